// Owns turning one zstd frame into its raw bytes, or finding that it is none.
import { zstdDecompressSync } from 'node:zlib'
import { litter } from './litter.ts'

/** The raw bytes of a frame, its checksum checked; null when it is not a frame of exactly so many bytes. */
export function decompress(frame: Uint8Array, rawBytes: number): Buffer | null {
  let raw: Buffer
  try {
    // With room to spare in the first piece of output there is no second one, and nothing to be joined.
    raw = zstdDecompressSync(frame, { chunkSize: rawBytes + 64, maxOutputLength: rawBytes })
  } catch {
    return null
  }
  litter(frame.byteLength + rawBytes)
  return raw.byteLength === rawBytes ? raw : null
}
