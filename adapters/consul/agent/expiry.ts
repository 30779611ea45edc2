// Owns the timers of sessions: one each, begun again by every renewal.
import type { Clock } from '#fleet/ports.ts'

/** Timers by id. */
export class Expiry {
  readonly #timers = new Map<string, AbortController>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` after `ms`, in place of what was set for this id before. */
  start(id: string, ms: number, expire: () => void): void {
    this.stop(id)
    const timer = new AbortController()
    this.#timers.set(id, timer)
    this.#clock.sleep(ms, timer.signal).then(expire, () => {})
  }

  stop(id: string): void {
    this.#timers.get(id)?.abort()
    this.#timers.delete(id)
  }

  stopAll(): void {
    for (const id of [...this.#timers.keys()]) this.stop(id)
  }
}
