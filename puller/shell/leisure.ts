// Owns giving memory back once the work is done: a staging leaves garbage behind that nothing would collect while the node waits for days.
import type { Clock } from '#fleet/ports.ts'

/**
 * A node that is at rest for so long is most likely to stay there; sooner, the pause would stand in the way of a swap that follows, and the
 * threads that worked would still be there.
 */
const REST_MS = 12_000

export interface LeisureWorld {
  readonly clock: Clock
  /** Whether nothing is on its way. */
  readonly atRest: () => boolean
  readonly giveMemoryBack: () => void
}

export interface Leisure {
  /** There is something to give back: work was done that took memory. */
  worked(): void
  /** Waits for the moments until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}

export function openLeisure({ clock, atRest, giveMemoryBack }: LeisureWorld): Leisure {
  let work = Promise.withResolvers<void>()
  let lastMs = 0
  return {
    worked() {
      lastMs = clock.monotonic()
      work.resolve()
    },
    async run(signal) {
      const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      while (!signal.aborted) {
        await Promise.race([work.promise, over])
        work = Promise.withResolvers()
        for (let waitMs = REST_MS; waitMs > 0 && !signal.aborted; waitMs = lastMs + REST_MS - clock.monotonic()) {
          await clock.sleep(waitMs, signal).catch(() => undefined)
          if (!atRest()) lastMs = clock.monotonic()
        }
        if (!signal.aborted) giveMemoryBack()
      }
    },
  }
}
