// Owns whether the daemon's loops turn: what the health check answers and what the watchdog is fed by.
import type { Clock } from '#fleet/ports.ts'

/** A loop that has not turned for this long is stuck: every wait in it ends sooner. */
const STUCK_MS = 60_000

export interface Life {
  readonly alive: boolean
  /** Since the slowest loop turned, in milliseconds. */
  readonly turnedMs: number
  readonly reason: string | null
}

export class Liveness {
  /** Whether this daemon leads its app now. */
  leads = false
  readonly #clock: Clock
  readonly #turns = new Map<string, number>()

  constructor(clock: Clock, loops: readonly string[]) {
    this.#clock = clock
    for (const loop of loops) this.turned(loop)
  }

  turned(loop: string): void {
    this.#turns.set(loop, this.#clock.monotonic())
  }

  look(): Life {
    const now = this.#clock.monotonic()
    const ages = [...this.#turns].map(([loop, at]) => ({ loop, ms: Math.round(now - at) }))
    const slowest = ages.toSorted((a, b) => b.ms - a.ms)[0] ?? { loop: '', ms: 0 }
    const alive = slowest.ms <= STUCK_MS
    const reason = alive ? null : `the ${slowest.loop} has not turned for ${Math.round(slowest.ms / 1_000)} s`
    return { alive, turnedMs: slowest.ms, reason }
  }
}
