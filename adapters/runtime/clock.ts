// Owns real time and real randomness: the only door to either.
import type { Clock } from '#fleet/ports.ts'

/** Node fires a timer over 2^31−1 ms at once (failures G9): nobody here waits longer than an hour in one piece. */
const LONGEST_MS = 3_600_000

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  // Not by node:timers/promises: that makes an error with a stack for each sleep that is cut short, and every request to Consul has one.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (ms > 0) signal?.throwIfAborted()
      const untilMs = performance.now() + ms
      let timer: NodeJS.Timeout | undefined
      const cut = (): void => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const goOn = (): void => {
        const leftMs = untilMs - performance.now()
        if (leftMs > 0) {
          timer = setTimeout(goOn, Math.min(leftMs, LONGEST_MS))
          return
        }
        signal?.removeEventListener('abort', cut)
        resolve()
      }
      signal?.addEventListener('abort', cut, { once: true })
      goOn()
    }),
}
