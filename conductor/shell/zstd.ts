// Owns the one way in which everything that is published is compressed.
import { constants, type ZstdOptions, zstdCompressSync } from 'node:zlib'

/** Level 3, with the checksum that lets a node refuse flipped bits before it uses them. */
function options(rawBytes: number): ZstdOptions & { readonly chunkSize: number } {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: rawBytes,
    // What cannot be compressed grows a little (ZSTD_COMPRESSBOUND of zstd.h): with room for that there is no second piece of output to join.
    chunkSize: Math.max(rawBytes + (rawBytes >> 8) + 128, 1_024),
  }
}

/** Frees memory at once that belongs to `bytes` alone: the collector would let hundreds of such buffers lie. */
export function release({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** One zstd frame. */
export function zstdFrame(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const how = options(raw.byteLength)
  const packed = zstdCompressSync(raw, how)
  // In memory of its own, no larger than it is: it may wait for the store.
  const frame = new Uint8Array(packed.byteLength)
  frame.set(packed)
  if (packed.buffer.byteLength === how.chunkSize) release(packed)
  return frame
}
