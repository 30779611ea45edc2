// Owns waking whoever waits for something to happen.
import type { Clock } from '#fleet/ports.ts'

/** Rings for all who wait now. Who must not miss a ring between two waits compares what it is about. */
export class Signal {
  /** How often it rang. */
  rings = 0
  readonly #waiting = new Set<() => void>()

  ring(): void {
    this.rings += 1
    for (const wake of this.#waiting) wake()
  }

  /** Resolves at the next ring, or after `limitMs`. @throws the signal's reason */
  async wait(clock: Clock, limitMs: number, signal: AbortSignal): Promise<void> {
    const rung = new AbortController()
    const wake = () => rung.abort()
    this.#waiting.add(wake)
    try {
      await clock.sleep(limitMs, AbortSignal.any([signal, rung.signal])).catch(() => undefined)
    } finally {
      this.#waiting.delete(wake)
    }
    signal.throwIfAborted()
  }
}
