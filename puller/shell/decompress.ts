// Owns turning one zstd frame into its raw bytes, or finding that it is none.
import { zstdDecompressSync } from 'node:zlib'

/** The raw bytes of a frame, its checksum checked; null when it is not a frame of exactly so many bytes. */
export function decompress(frame: Uint8Array, rawBytes: number): Buffer | null {
  try {
    const raw = zstdDecompressSync(frame, { maxOutputLength: rawBytes })
    return raw.byteLength === rawBytes ? raw : null
  } catch {
    return null
  }
}
