// Owns when a status is written: at once where people wait for it, coalesced where they do not, again when it may have been lost.
import { backoffMs } from '#fleet/backoff.ts'
import { describeError, type FleetError, isFleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { Clock, Logger, StatusSink } from '#fleet/ports.ts'

/** Statuses of one node are at least this far apart, but for those that a rollout waits for. */
const COALESCE_MS = 2_000
/** What passes sooner is not told: a wait that looks again and finds nothing new would else be two writes each time. */
const PASSING_MS = 500
/** Level-triggered: a status that was lost is said again, at a moment of this span. */
const AGAIN_FLOOR_MS = 4 * 60_000
const AGAIN_SPREAD_MS = 2 * 60_000
const RETRY = { floorMs: 500, ceilingMs: 30_000 }

export interface PublisherWorld {
  readonly sink: StatusSink
  readonly clock: Clock
  readonly log: Logger
  readonly status: () => NodeStatus
  /** Differs when the status says something new. */
  readonly gist: () => string
  /** The node came to rest: a rollout waits for this. */
  readonly urgent: () => boolean
}

export interface Publisher {
  /** Something may have changed. @param again say it even if nothing did: Consul was away */
  poke(again?: boolean): void
  /** Publishes until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** What keeps the status from being seen, or null. */
  readonly trouble: () => FleetError | null
}

export function openPublisher(world: PublisherWorld): Publisher {
  const { sink, clock, log } = world
  let said = ''
  let saidAtMs = Number.NEGATIVE_INFINITY
  /** Since when there is something new to say; null while there is not. */
  let newSinceMs: number | null = null
  let nextAtMs = 0
  let failures = 0
  let trouble: FleetError | null = null
  let wake = Promise.withResolvers<void>()

  /** Milliseconds until the next write is due; null while there is nothing to say. */
  function due(): number | null {
    const now = clock.monotonic()
    if (failures > 0) return Math.max(0, nextAtMs - now)
    if (world.gist() !== said) {
      newSinceMs ??= now
      return world.urgent() ? 0 : Math.max(0, saidAtMs + COALESCE_MS - now, newSinceMs + PASSING_MS - now)
    }
    newSinceMs = null
    return Math.max(0, nextAtMs - now)
  }

  async function publish(signal: AbortSignal): Promise<void> {
    const gist = world.gist()
    try {
      await sink.publish(world.status(), signal)
      if (trouble !== null) log.info('status is seen again', {})
      said = gist
      newSinceMs = null
      saidAtMs = clock.monotonic()
      nextAtMs = saidAtMs + AGAIN_FLOOR_MS + AGAIN_SPREAD_MS * clock.random()
      failures = 0
      trouble = null
    } catch (error) {
      if (signal.aborted) return
      if (!isFleetError(error)) throw error
      if (trouble?.code !== error.code) {
        log.warn('status could not be written', { code: error.code, detail: `${describeError(error)}; trying again` })
      }
      trouble = error
      nextAtMs = clock.monotonic() + backoffMs(RETRY, failures, clock.random())
      failures += 1
    }
  }

  return {
    poke(again = false) {
      if (again) {
        said = ''
        nextAtMs = 0
      }
      wake.resolve()
    },
    async run(signal) {
      while (!signal.aborted) {
        const waitMs = due() ?? 0
        if (waitMs > 0) {
          wake = Promise.withResolvers<void>()
          const pause = new AbortController()
          const both = AbortSignal.any([signal, pause.signal])
          await Promise.race([clock.sleep(waitMs, both).catch(() => undefined), wake.promise])
          pause.abort(new Error('woken'))
          continue
        }
        await publish(signal)
      }
    },
    trouble: () => trouble,
  }
}
