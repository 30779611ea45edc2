// Owns pausing long synchronous work: synchronous file calls are several times faster than asynchronous ones, but they must let others in.
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '#fleet/ports.ts'

/** Longest stretch of synchronous work, in milliseconds: leases are renewed and Ctrl-C is heard in between. */
const STRETCH_MS = 15

/** Lets the event loop turn when a stretch of work was long enough. */
export class Breather {
  readonly #signal: AbortSignal
  readonly #clock: Clock
  #since: number

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
    this.#since = clock.monotonic()
  }

  /** True when it paused. @throws the signal's reason once it has aborted */
  async breathe(): Promise<boolean> {
    if (this.#clock.monotonic() - this.#since < STRETCH_MS) return false
    await setImmediate()
    this.#signal.throwIfAborted()
    this.#since = this.#clock.monotonic()
    return true
  }
}
