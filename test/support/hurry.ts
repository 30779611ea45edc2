// Owns a clock that runs faster than the world, so that waits of minutes are tested in seconds with the production numbers.
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Clock } from '#fleet/ports.ts'

/** A clock on which `factor` seconds pass in each real one; wall time starts at the real one. */
export function hurried(factor: number): Clock {
  const began = systemClock.monotonic()
  const wall = systemClock.now()
  const elapsed = () => (systemClock.monotonic() - began) * factor
  return {
    now: () => wall + elapsed(),
    monotonic: elapsed,
    random: systemClock.random,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  }
}
