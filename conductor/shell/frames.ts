// Owns the frames of an artifact: where they are cut, and compressing them in parallel and in order.
import type { Frame } from '#fleet/manifest.ts'
import { Compressors } from './compressors.ts'

/** A file longer than this has frames of its own. */
export const LARGE_BYTES = 128 * 1024

/** A shared frame is not cut before this many raw bytes, and always before it would pass the most. */
const LEAST_SHARED_BYTES = 16 * 1024
const MOST_SHARED_BYTES = 256 * 1024
/** Mean distance of the cuts beyond the least. */
const MEAN_CUT_BYTES = 48 * 1024

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

/** Frames are handed to a thread by so many raw bytes: each time costs both sides as much as a small frame takes to compress. */
const BATCH_BYTES = 256 * 1024
/** Batches in work at once: so many that no thread waits for the next, few enough for the memory (each at most 1.25 MiB raw). */
const AT_ONCE = 24

interface InWork {
  readonly facts: readonly Omit<Frame, 'offset' | 'bytes'>[]
  readonly packed: Promise<readonly Uint8Array[]>
}

/**
 * Compresses frames on several threads and yields them in order. Returns what the source returned.
 * @param source whose raw bytes are handed over: nobody else may use them any more
 * @param onFrame told the place of each frame in the artifact, in order
 */
export async function* compressFrames<result>(
  source: Iterator<RawFrame, result>,
  onFrame: (frame: Frame) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, result> {
  const compressors = new Compressors()
  let next = source.next()
  const begin = (): InWork => {
    const batch: RawFrame[] = []
    for (let held = 0; held < BATCH_BYTES && !next.done; next = source.next()) {
      batch.push(next.value)
      held += next.value.raw.byteLength
    }
    const facts = batch.map(({ raw, ...rest }) => ({ ...rest, rawBytes: raw.byteLength }))
    const work = { facts, packed: compressors.compress(batch.map(({ raw }) => alone(raw))) }
    // Whoever stops half-way leaves promises behind: their failures must not end the process.
    work.packed.catch(() => undefined)
    return work
  }
  try {
    const inWork: InWork[] = []
    for (let offset = 0; ; ) {
      while (inWork.length < AT_ONCE && !next.done) inWork.push(begin())
      const first = inWork.shift()
      if (first === undefined) return (next as IteratorReturnResult<result>).value
      const packed = await first.packed
      for (const [index, facts] of first.facts.entries()) {
        signal.throwIfAborted()
        const bytes = packed[index] ?? new Uint8Array(0)
        onFrame({ offset, bytes: bytes.byteLength, ...facts })
        offset += bytes.byteLength
        yield bytes
      }
    }
  } finally {
    await compressors.close()
  }
}

/** In memory of its own, as only that can be handed to another thread. */
function alone(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = raw
  const owns = buffer instanceof ArrayBuffer && buffer.byteLength === raw.byteLength
  return owns ? (raw as Uint8Array<ArrayBuffer>) : new Uint8Array(raw)
}
