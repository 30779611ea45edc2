// Owns the counts of the load generator: what became of each request, second by second, and the words it exchanges with whoever started it.
import type { Verdict } from './page.ts'

/** What the generator is asked to do, until it is told to `stop`. */
export interface LoadOrder {
  readonly host: string
  readonly port: number
  readonly perSecond: number
  /** Of the only builds that a page may show. */
  readonly builds: readonly string[]
  /** How long each page is in work at the application, in milliseconds: taken in turn, again and again. */
  readonly workMs: readonly number[]
}

export type LoadMessage = { readonly order: LoadOrder } | 'tell' | 'stop'

/** The requests that one node answered. */
export interface NodeTally {
  answered: number
  /** How often the build of its pages changed from one page to the next. */
  turns: number
  build: string
}

export interface LoadReport {
  /** Each request that was sent is in exactly one of the four below. */
  readonly sent: number
  readonly served: number
  readonly mixed: number
  readonly failed: number
  /** Not answered yet. */
  readonly open: number
  /** Pages that were in work while the link moved, mixed or not. */
  readonly met: number
  /** The first few reasons. */
  readonly why: readonly string[]
  readonly nodes: Readonly<Record<string, NodeTally>>
  /** Answers in each second since the first request. */
  readonly seconds: readonly number[]
  /** For how long requests were sent. */
  readonly sendingMs: number
  /** How long answers took, in milliseconds: a count for each whole millisecond, the last one for all above. Empty until the end. */
  readonly took: readonly number[]
  readonly connections: number
}

const MAX_REASONS = 5
const LONGEST_MS = 10_000

interface Answered {
  /** Who answered, "" when nobody did. */
  readonly node: string
  /** The link moved while the page was in work. */
  readonly met: boolean
  /** Since the first request. */
  readonly atMs: number
  readonly tookMs: number
}

/** Counts what it is told. */
export class Tally {
  readonly #nodes: Record<string, NodeTally> = {}
  readonly #why: string[] = []
  readonly #seconds: number[] = []
  readonly #took = new Array<number>(LONGEST_MS + 1).fill(0)
  readonly #counts = { served: 0, mixed: 0, failed: 0 }
  #met = 0
  sent = 0
  sendingMs = 0
  connections = 0

  get open(): number {
    return this.sent - this.#counts.served - this.#counts.mixed - this.#counts.failed
  }

  settle(verdict: Verdict, { node, met, atMs, tookMs }: Answered): void {
    this.#counts[verdict.kind] += 1
    if (met) this.#met += 1
    const whole = Math.min(LONGEST_MS, Math.floor(tookMs))
    this.#took[whole] = (this.#took[whole] ?? 0) + 1
    if (verdict.kind !== 'served' && this.#why.length < MAX_REASONS)
      this.#why.push(`${node || 'nobody'}: ${verdict.why}`)
    if (node === '') return
    const second = Math.floor(atMs / 1_000)
    while (this.#seconds.length <= second) this.#seconds.push(0)
    this.#seconds[second] = (this.#seconds[second] ?? 0) + 1
    this.#nodes[node] ??= { answered: 0, turns: 0, build: '' }
    const of = this.#nodes[node]
    of.answered += 1
    if (verdict.kind !== 'served' || verdict.build === of.build) return
    if (of.build !== '') of.turns += 1
    of.build = verdict.build
  }

  report(options: { readonly atEnd: boolean }): LoadReport {
    return {
      sent: this.sent,
      ...this.#counts,
      open: this.open,
      met: this.#met,
      why: this.#why,
      nodes: this.#nodes,
      seconds: this.#seconds,
      sendingMs: this.sendingMs,
      took: options.atEnd ? this.#took : [],
      connections: this.connections,
    }
  }
}

/** The time, in whole milliseconds, that this share of the answers did not exceed. */
export function tookAt({ took }: Pick<LoadReport, 'took'>, share: number): number {
  const total = took.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (const [ms, count] of took.entries()) {
    seen += count
    if (seen >= total * share) return ms
  }
  return LONGEST_MS
}

/** Answers a second while requests were sent: of all whole seconds together, and in the lowest of them. */
export function ratesOf({ seconds, sendingMs }: Pick<LoadReport, 'seconds' | 'sendingMs'>): {
  readonly average: number
  readonly lowest: number
} {
  const whole = Array.from({ length: Math.floor(sendingMs / 1_000) }, (_, at) => seconds[at] ?? 0)
  if (whole.length === 0) return { average: 0, lowest: 0 }
  return { average: whole.reduce((sum, count) => sum + count, 0) / whole.length, lowest: Math.min(...whole) }
}
