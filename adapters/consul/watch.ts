// Owns the watch loop: blocking queries that survive what Consul and the network between do, without ever spinning.
import { type Backoff, type Bucket, type BucketLevel, backoffMs, takeToken } from '#fleet/backoff.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import type { Answer } from './client.ts'

/** How fast a watch may ask. */
export interface Pace {
  /** Answers that brought a change. Twelve changes in a row pass at once; two a second are followed for ever. */
  readonly changes: Bucket
  /** Answers that came soon and brought nothing: an index that flaps, an agent that restarts, a server that does not block. */
  readonly idle: Bucket
  readonly errors: Backoff
  /** A refused token is not cured by asking: read again between half of this and all of it. */
  readonly deniedMs: number
  /** A missing key wakes on every write in the datacenter, so it is asked for and not waited for; one never seen yet sooner at first. */
  readonly absentMs: number
}

const PACE: Pace = {
  changes: { burst: 20, refillMs: 500 },
  idle: { burst: 2, refillMs: 15_000 },
  errors: { floorMs: 200, ceilingMs: 30_000 },
  deniedMs: 30_000,
  absentMs: 15_000,
}

/** What is watched. */
export interface Watched<value> {
  /** For log lines: the key or prefix. */
  readonly what: string
  read(index: number, signal: AbortSignal): Promise<Answer<value>>
  /** Equal prints: the same content. An answer is no proof of a change. */
  print(value: value): string
  isAbsent(value: value): boolean
  /** Least time to wait after a change, to gather many in one answer; for what is large to read. */
  gatherMs?(value: value): number
  /** Called at each good answer, also one that brings nothing new. */
  onAnswer?(): void
}

/** `answer`: new content, or the same after a `trouble` that is over. `trouble`: no good answer for `sinceMs`. */
export type WatchEvent<value> =
  | { readonly type: 'answer'; readonly value: value }
  | { readonly type: 'trouble'; readonly error: FleetError; readonly sinceMs: number }

/** A token bucket with its level. */
function bucketOf(bucket: Bucket, clock: Clock): () => number {
  let level: BucketLevel = { tokens: bucket.burst, atMs: clock.monotonic() }
  return () => {
    const taken = takeToken(bucket, level, clock.monotonic())
    level = taken.level
    return taken.waitMs
  }
}

/**
 * Yields the content at once, then every change that it sees, until the signal aborts; then it ends without an error. Content that was
 * replaced at once may be skipped, the newest never is. Each failed round yields one `trouble`; the content last seen stands meanwhile.
 */
export async function* watch<value>(
  watched: Watched<value>,
  world: { readonly clock: Clock; readonly log: Logger; readonly waitMs: number; readonly pace?: Partial<Pace> },
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<value>, void, undefined> {
  const { clock, log } = world
  const pace = { ...PACE, ...world.pace }
  const waitForChange = bucketOf(pace.changes, clock)
  const waitWhenIdle = bucketOf(pace.idle, clock)
  let index = 0
  // Soon at first: a key that was never there is most often one that is about to be created; one that was deleted is not.
  let absentMs = Math.min(pace.absentMs, 1_000)
  let failures = 0
  let troubled = false
  let toldNoIndex = false
  let last: string | null = null
  let goodAt = clock.monotonic()

  while (!signal.aborted) {
    const began = clock.monotonic()
    let answer: Answer<value>
    try {
      answer = await watched.read(index, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof FleetError)) throw error
      troubled = true
      // Whatever answers next may be another server, or one restored from a snapshot: look first, then wait.
      index = 0
      yield { type: 'trouble', error, sinceMs: clock.monotonic() - goodAt }
      await rest(errorPauseMs(pace, error, failures, clock.random()), clock, signal)
      failures += 1
      continue
    }
    failures = 0
    goodAt = clock.monotonic()

    if (answer.meta.knownLeader) watched.onAnswer?.()
    if (answer.meta.index === 0 && !toldNoIndex) {
      toldNoIndex = true
      log.warn('consul sent no index', { key: watched.what })
    }
    const seen = Math.max(1, answer.meta.index)
    const wentBack = seen < index
    const print = watched.print(answer.value)
    const changed = print !== last && !wentBack
    if (changed || (troubled && !wentBack)) {
      last = print
      troubled = false
      yield { type: 'answer', value: answer.value }
    }
    if (!answer.meta.knownLeader) {
      troubled = true
      const sinceMs = answer.meta.lastContactMs
      const detail = `Consul has no leader (${Math.round(sinceMs / 1_000)} s); what it said last stands`
      yield { type: 'trouble', error: new FleetError('CONSUL_NO_LEADER', detail), sinceMs }
    }

    if (watched.isAbsent(answer.value)) {
      index = 0
      await rest(absentMs * (0.9 + 0.2 * clock.random()), clock, signal)
      absentMs = Math.min(pace.absentMs, 2 * absentMs)
      continue
    }
    absentMs = pace.absentMs
    if (wentBack) log.debug('consul index went back', { key: watched.what, from: index, to: seen })
    const soon = goodAt - began < 0.9 * world.waitMs
    // Woken for nothing: so a Consul that was restored from a snapshot does, once, by what stood before, and is silent from then on.
    const roused = soon && !changed && index > 0 && seen === index
    index = wentBack || roused ? 0 : seen
    const waitMs = changed
      ? Math.max(watched.gatherMs?.(answer.value) ?? 0, waitForChange())
      : soon
        ? waitWhenIdle()
        : 0
    // Up to a tenth more, so that a fleet that was slowed down together does not ask in step.
    await rest(waitMs * (1 + 0.1 * clock.random()), clock, signal)
  }
}

function errorPauseMs(pace: Pace, error: FleetError, failures: number, random: number): number {
  if (error.code === 'CONSUL_DENIED') return pace.deniedMs * (0.5 + 0.5 * random)
  return backoffMs(pace.errors, failures + 1, random)
}

/** Sleeps, or returns at once when the signal aborts: the loop looks at the signal itself. */
async function rest(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
