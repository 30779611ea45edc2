// Owns the one way in which everything that is published is compressed.
import { constants, type ZstdOptions, zstdCompressSync } from 'node:zlib'

/** Level 3, with the checksum that lets a node refuse flipped bits before it uses them. */
function options(rawBytes: number): ZstdOptions {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: rawBytes,
    // What cannot be compressed grows a little (ZSTD_COMPRESSBOUND of zstd.h): with room for that there is no second piece of output to join.
    chunkSize: Math.max(rawBytes + (rawBytes >> 8) + 128, 1_024),
  }
}

/** One zstd frame. */
export function zstdFrame(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = zstdCompressSync(raw, options(raw.byteLength))
  // In memory of its own, no larger than it is: it may wait for the store.
  const frame = new Uint8Array(packed.byteLength)
  frame.set(packed)
  return frame
}
