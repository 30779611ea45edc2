// Owns a clock that runs faster than real time, for limits of minutes that a test cannot sit out with real processes.
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Clock } from '#fleet/ports.ts'

/** Real time, `speed` times as fast: a sleep of 10 s takes 10 s / speed, and durations come out as if it had been 10 s. */
export function hurriedClock(speed: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * speed,
    random: () => systemClock.random(),
    sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
  }
}
