// Owns the frames of an artifact: where they are cut, and compressing them in parallel and in order.
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { Frame } from '#fleet/manifest.ts'

/** A file longer than this has frames of its own. */
export const LARGE_BYTES = 128 * 1024

/** A shared frame is not cut before this many raw bytes, and always before it would pass the most. */
const LEAST_SHARED_BYTES = 32 * 1024
const MOST_SHARED_BYTES = 256 * 1024
/** Mean distance of the cuts beyond the least. */
const MEAN_CUT_BYTES = 96 * 1024

/** FNV-1a over a path, its bits mixed once more: 32 even bits from any text. */
function pathHash(path: string): number {
  let sum = 0x811c9dc5
  for (let at = 0; at < path.length; at += 1) sum = Math.imul(sum ^ path.charCodeAt(at), 0x01000193)
  sum = Math.imul(sum ^ (sum >>> 16), 0x45d9f3b)
  return (sum ^ (sum >>> 16)) >>> 0
}

/**
 * Whether a shared frame ends before this entry. The cut hangs on the entry alone (its path, and its length for the odds), so that two
 * builds that differ in some files cut the rest at the same places: unchanged regions have the same frames, byte for byte.
 * @param tarBytes what the entry takes in the tar · @param frameBytes what the frame holds already
 */
export function cutsBefore(path: string, tarBytes: number, frameBytes: number): boolean {
  if (frameBytes === 0) return false
  if (frameBytes + tarBytes > MOST_SHARED_BYTES) return true
  if (frameBytes < LEAST_SHARED_BYTES) return false
  return pathHash(path) < 2 ** 32 * Math.min(1, tarBytes / MEAN_CUT_BYTES)
}

/** What is compressed into one frame. */
export interface RawFrame {
  readonly raw: Uint8Array
  /** SHA-256 of `raw` where the manifest shall carry it. */
  readonly digest?: string
}

const compress = promisify(zstdCompress)

/** One zstd frame: level 3, with the checksum that lets a node refuse flipped bits before it uses them. */
export function zstdFrame(raw: Uint8Array): Promise<Uint8Array> {
  return compress(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: raw.byteLength,
  })
}

/** Frames in work at once: enough for the thread pool, few enough for the memory (each at most 1 MiB raw). */
const AT_ONCE = 6

/**
 * Compresses frames in parallel and yields them in order. Returns what the source returned.
 * @param onFrame told the place of each frame in the artifact, in order
 */
export async function* compressFrames<result>(
  source: Iterator<RawFrame, result>,
  onFrame: (frame: Frame) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, result> {
  const inWork: { readonly raw: RawFrame; readonly packed: Promise<Uint8Array> }[] = []
  let next = source.next()
  for (let offset = 0; ; ) {
    while (inWork.length < AT_ONCE && !next.done) {
      const packed = zstdFrame(next.value.raw)
      // Whoever stops half-way leaves promises behind: their failures must not end the process.
      packed.catch(() => undefined)
      inWork.push({ raw: next.value, packed })
      next = source.next()
    }
    const first = inWork.shift()
    if (first === undefined) break
    const bytes = await first.packed
    signal.throwIfAborted()
    const { raw, digest } = first.raw
    const place = { offset, bytes: bytes.byteLength, rawBytes: raw.byteLength }
    onFrame(digest === undefined ? place : { ...place, digest })
    offset += bytes.byteLength
    yield bytes
  }
  return (next as IteratorReturnResult<result>).value
}
