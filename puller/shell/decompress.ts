// Owns turning one zstd frame into its raw bytes, or finding that it is none.
import { zstdDecompressSync } from 'node:zlib'
import { discard } from './discard.ts'
import { uninterrupted } from './uninterrupted.ts'

/** With room to spare in the first piece of output there is no second one, and nothing to be joined. */
const SPARE_BYTES = 64

/**
 * Gives `use` the raw bytes of a frame, its checksum checked; null when it is not a frame of exactly so many bytes. Their memory is gone
 * when `use` returns, and so is the frame's.
 */
export function decompressed<result>(frame: Uint8Array, rawBytes: number, use: (raw: Buffer | null) => result): result {
  const raw = decompress(frame, rawBytes)
  discard(frame)
  try {
    return use(raw !== null && raw.byteLength === rawBytes ? raw : null)
  } finally {
    if (raw !== null) discard(raw, rawBytes + SPARE_BYTES)
  }
}

function decompress(frame: Uint8Array, rawBytes: number): Buffer | null {
  try {
    return uninterrupted(() =>
      zstdDecompressSync(frame, { chunkSize: rawBytes + SPARE_BYTES, maxOutputLength: rawBytes }),
    )
  } catch {
    return null
  }
}
