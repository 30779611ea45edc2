// Owns getting bytes out of the store: resumed where they broke off, watched for stalls, held to a rate, counted.
import { backoffMs } from '#fleet/backoff.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Frame } from '#fleet/manifest.ts'
import type { BuildStore, ByteRange, Clock, Logger, ObjectFacts } from '#fleet/ports.ts'
import { discard } from './discard.ts'

export interface FetchOptions {
  readonly maxBytesPerSecond: number | null
  /** Slower than this over `stallSeconds` counts as stalled: a body can stall for ever, and no one else would notice. */
  readonly minBytesPerSecond: number
  readonly stallSeconds: number
}

export interface FetchWorld {
  readonly store: BuildStore
  readonly clock: Clock
  readonly log: Logger
}

/** Rounds without a single byte after which a download is given up for now. A stall has cost `stallSeconds` already: it counts double. */
const FRUITLESS_ROUNDS = 4
const SETTLED = new Error('settled')
const BACKOFF = { floorMs: 200, ceilingMs: 5_000 }

/** The downloads of one staging. */
export class Downloads {
  readonly #world: FetchWorld
  readonly #options: FetchOptions
  #freeAtMs = 0
  /** Bodies that are being read at once: they share the line, and the rate that is expected of it. */
  #reading = 0
  /** Bytes that came from the store, those that had to be thrown away included. */
  fetchedBytes = 0

  constructor(world: FetchWorld, options: FetchOptions) {
    this.#world = world
    this.#options = options
  }

  /**
   * Streams a range of an object; what breaks off is taken up again at the byte where it stopped.
   * @param version as `BuildStore.find` gave it: a replaced object is never mixed with the old one
   * @throws FleetError `STORE_*`; the signal's reason
   */
  async *stream(name: string, range: ByteRange, version: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let at = range.start
    for (let fruitless = 0; at < range.end; ) {
      const from = at
      try {
        for await (const part of this.#watched(name, { start: at, end: range.end }, version, signal)) {
          if (at + part.byteLength > range.end) {
            throw new FleetError('STORE_BAD_ANSWER', `the store sent more of ${name} than was asked for`)
          }
          at += part.byteLength
          this.fetchedBytes += part.byteLength
          // Pacing wants its length after the reader may have let it go.
          const { byteLength } = part
          yield part
          await this.#pace(byteLength, signal)
        }
        if (at < range.end) throw new FleetError('STORE_UNREACHABLE', `${name} ended at byte ${at} of ${range.end}`)
      } catch (error) {
        signal.throwIfAborted()
        const rounds = isFleetError(error, 'STORE_STALLED') ? 2 : 1
        fruitless = this.#isFruitful(error, at - from) ? 0 : fruitless + rounds
        const lasting = !isFleetError(error) || error.kind !== 'transient' || error.code === 'STORE_CHANGED'
        if (lasting || fruitless >= FRUITLESS_ROUNDS) throw error
        this.#world.log.warn('download broke off', { object: name, atBytes: at, code: error.code })
        const { clock } = this.#world
        await clock.sleep(backoffMs(BACKOFF, fruitless, clock.random()), signal)
      }
    }
  }

  /** A stall that brought a few bytes is no progress: it would go on like that for ever. */
  #isFruitful(error: unknown, bytes: number): boolean {
    const least = isFleetError(error, 'STORE_STALLED') ? this.#leastBytesPerSecond * this.#options.stallSeconds : 1
    return bytes >= least
  }

  /** All of an object, when it is no longer than `mostBytes`. @throws FleetError `LIMITS_EXCEEDED` · `STORE_*` */
  async whole(name: string, mostBytes: number, signal: AbortSignal): Promise<Uint8Array | null> {
    const facts = await this.find(name, signal)
    if (facts === null) return null
    if (facts.bytes > mostBytes) {
      throw new FleetError('LIMITS_EXCEEDED', `${name} has ${facts.bytes} bytes, at most ${mostBytes} are read`)
    }
    const parts: Uint8Array[] = []
    for await (const part of this.stream(name, { start: 0, end: facts.bytes }, facts.version, signal)) parts.push(part)
    const bytes = Buffer.concat(parts)
    for (const part of parts) discard(part)
    return bytes
  }

  /**
   * Facts of an object; asked again a few times while the store refuses or fails. A store that is mute counts as stalled, and whoever watches
   * must hear of it within a stall or two: that is not asked again here, but by whoever retries the whole staging.
   */
  async find(name: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    for (let round = 1; ; round += 1) {
      const stop = new AbortController()
      try {
        const asked = this.#world.store.find(name, AbortSignal.any([signal, stop.signal]))
        return await this.#within(asked, this.#options.stallSeconds * 1_000, name, signal)
      } catch (error) {
        stop.abort()
        signal.throwIfAborted()
        const lasting = !isFleetError(error) || error.kind !== 'transient' || error.code === 'STORE_STALLED'
        if (lasting || round >= FRUITLESS_ROUNDS) throw error
        const { clock } = this.#world
        await clock.sleep(backoffMs(BACKOFF, round, clock.random()), signal)
      }
    }
  }

  get #leastBytesPerSecond(): number {
    return this.#options.minBytesPerSecond / Math.max(1, this.#reading)
  }

  async *#watched(name: string, range: ByteRange, version: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const stallMs = this.#options.stallSeconds * 1_000
    const { clock, store } = this.#world
    const stop = new AbortController()
    const body = store.read(name, { range, version }, AbortSignal.any([signal, stop.signal]))
    const parts = body[Symbol.asyncIterator]()
    // Only time spent waiting for the store counts: a full disk queue or our own rate limit is no stall of its.
    let waitedMs = 0
    let bytes = 0
    let since: number | null = null
    // One watch for all parts: a timer for each would cost more than the part.
    const watch = async (): Promise<never> => {
      for (let leftMs = stallMs; leftMs > 0; leftMs = stallMs - (since === null ? 0 : clock.monotonic() - since)) {
        await clock.sleep(leftMs, stop.signal)
      }
      throw stalled(name, 0, stallMs)
    }
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const late = Promise.race([watch(), aborted.promise])
    late.catch(() => undefined)
    this.#reading += 1
    try {
      signal.throwIfAborted()
      for (;;) {
        const from = clock.monotonic()
        since = from
        const asked = parts.next()
        asked.catch(() => undefined)
        const next = await Promise.race([asked, late])
        since = null
        waitedMs += clock.monotonic() - from
        if (next.done) return
        bytes += next.value.byteLength
        if (waitedMs >= stallMs) {
          if (bytes * 1_000 < this.#leastBytesPerSecond * waitedMs) throw stalled(name, bytes, waitedMs)
          waitedMs = 0
          bytes = 0
        }
        yield next.value
      }
    } finally {
      this.#reading -= 1
      signal.removeEventListener('abort', onAbort)
      stop.abort(SETTLED)
      // Not awaited: a body that never settles would hold us here for ever.
      parts.return?.().catch(() => undefined)
    }
  }

  /** The answer, unless it is late or the signal aborts: a store need not heed either. */
  async #within<value>(asked: Promise<value>, limitMs: number, name: string, signal: AbortSignal): Promise<value> {
    const done = new AbortController()
    asked.catch(() => undefined)
    const late = this.#world.clock.sleep(limitMs, AbortSignal.any([signal, done.signal])).then(
      () => Promise.reject(stalled(name, 0, limitMs)),
      () => (signal.aborted ? Promise.reject(signal.reason) : new Promise<never>(() => undefined)),
    )
    late.catch(() => undefined)
    try {
      return await Promise.race([asked, late])
    } finally {
      // With a reason of our own: the one that is made up otherwise costs more than all else here.
      done.abort(SETTLED)
    }
  }

  async #pace(bytes: number, signal: AbortSignal): Promise<void> {
    const rate = this.#options.maxBytesPerSecond
    if (rate === null) return
    const nowMs = this.#world.clock.monotonic()
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes * 1_000) / rate
    if (this.#freeAtMs > nowMs) await this.#world.clock.sleep(this.#freeAtMs - nowMs, signal)
  }
}

function stalled(name: string, bytes: number, ms: number): FleetError {
  return new FleetError('STORE_STALLED', `${name}: ${bytes} bytes came in ${Math.round(ms / 1_000)} s; hot still runs`)
}

/**
 * Cuts a stream that begins with the frame `first` into frames, each in memory of its own that can be handed to another thread. What the
 * stream gives is discarded.
 * @throws FleetError `STORE_BAD_ANSWER` when the stream ends inside a frame
 */
export async function* cutFrames(
  stream: AsyncIterable<Uint8Array>,
  frames: readonly Frame[],
  first: number,
): AsyncGenerator<{ index: number; bytes: Uint8Array<ArrayBuffer> }> {
  let index = first
  let filled = 0
  let bytes = new Uint8Array(frames[index]?.bytes ?? 0)
  for await (const part of stream) {
    for (let at = 0; at < part.byteLength; ) {
      const taken = part.subarray(at, at + bytes.byteLength - filled)
      bytes.set(taken, filled)
      filled += taken.byteLength
      at += taken.byteLength
      if (filled < bytes.byteLength) continue
      yield { index, bytes }
      index += 1
      filled = 0
      bytes = new Uint8Array(frames[index]?.bytes ?? 0)
      if (bytes.byteLength === 0 && at < part.byteLength) {
        throw new FleetError('STORE_BAD_ANSWER', 'the artifact goes on after its last frame')
      }
    }
    discard(part)
  }
  if (filled > 0) throw new FleetError('STORE_BAD_ANSWER', `the artifact ends inside frame ${index}`)
}

/** Frames put together until they hold so many bytes, or there are no more. */
export async function* batches<frame extends { readonly bytes: Uint8Array }>(
  frames: AsyncIterable<frame>,
  leastBytes: number,
): AsyncGenerator<readonly frame[]> {
  let batch: frame[] = []
  let held = 0
  for await (const frame of frames) {
    batch.push(frame)
    held += frame.bytes.byteLength
    if (held < leastBytes) continue
    yield batch
    batch = []
    held = 0
  }
  if (batch.length > 0) yield batch
}
