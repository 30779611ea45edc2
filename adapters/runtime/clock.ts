// Owns real time and real randomness: the only door to either.
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '#fleet/ports.ts'

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  sleep: async (ms, signal) => {
    // Node fires a timer over 2^31−1 ms at once (failures G9): nobody here waits longer than an hour in one piece.
    const until = performance.now() + ms
    for (let left = ms; left > 0; left = until - performance.now()) {
      await delay(Math.min(left, 3_600_000), undefined, signal ? { signal } : {}).catch((error: unknown) => {
        // Node wraps the reason into an AbortError of its own; the port promises the reason.
        throw signal?.aborted ? signal.reason : error
      })
    }
  },
}
