// Owns how fresh a view is: when each of its parts was last answered for, and what it says of one that was not.
import type { Clock } from '#fleet/ports.ts'

/** A quiet blocking query comes back after 10 s and its jitter; one that was not answered for this long is in trouble. */
const STALE_MS = 17_000

export interface Freshness {
  readonly fresh: boolean
  /** Since the part that was answered longest ago, in milliseconds. */
  readonly ageMs: number
  /** Why it is not fresh; null while it is. */
  readonly reason: string | null
}

interface Part {
  answeredMs: number | null
  trouble: string | null
}

export class Freshnesses {
  readonly #clock: Clock
  readonly #parts: ReadonlyMap<string, Part>
  readonly #beganMs: number

  constructor(clock: Clock, parts: readonly string[]) {
    this.#clock = clock
    this.#beganMs = clock.monotonic()
    this.#parts = new Map(parts.map((name) => [name, { answeredMs: null, trouble: null }]))
  }

  answered(name: string): void {
    const part = this.#parts.get(name)
    if (part === undefined) return
    part.answeredMs = this.#clock.monotonic()
    part.trouble = null
  }

  /** It is kept until the next answer; what was answered before stands, and grows old. */
  troubled(name: string, message: string): void {
    const part = this.#parts.get(name)
    if (part !== undefined) part.trouble = message
  }

  isFresh(name: string): boolean {
    const part = this.#parts.get(name)
    return part !== undefined && this.#reasonOf(name, part) === null
  }

  look(): Freshness {
    const now = this.#clock.monotonic()
    const reasons = [...this.#parts].flatMap(([name, part]) => this.#reasonOf(name, part) ?? [])
    const answered = [...this.#parts.values()].map(({ answeredMs }) => answeredMs ?? this.#beganMs)
    return {
      fresh: reasons.length === 0,
      ageMs: Math.max(0, ...answered.map((at) => now - at)),
      reason: reasons[0] ?? null,
    }
  }

  #reasonOf(name: string, { answeredMs, trouble }: Part): string | null {
    if (trouble !== null) return `${name}: ${trouble}`
    if (answeredMs === null) return `${name}: not read yet`
    const ageMs = this.#clock.monotonic() - answeredMs
    return ageMs > STALE_MS ? `${name}: not answered for ${Math.round(ageMs / 1_000)} s` : null
  }
}
