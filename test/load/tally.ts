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
  /** All requests that were due: each is in exactly one of the four below. */
  readonly due: number
  readonly served: number
  readonly mixed: number
  readonly failed: number
  /** Sent, or still waiting for a connection. */
  readonly open: number
  /** Pages that were in work while the link moved, mixed or not. */
  readonly met: number
  /** The first few reasons. */
  readonly why: readonly string[]
  readonly nodes: Readonly<Record<string, NodeTally>>
  /** Answers in each second since the first request. */
  readonly seconds: readonly number[]
  /** From the first request to the last one that was due. */
  readonly offeredMs: number
  /**
   * From the moment a request was due to its whole answer, in milliseconds; a count for each whole millisecond, the last one for all above.
   * Empty until the end.
   */
  readonly waits: readonly number[]
  readonly connections: number
}

const MAX_REASONS = 5
const MAX_WAIT_MS = 10_000

/** Counts what it is told. */
export class Tally {
  readonly #nodes: Record<string, NodeTally> = {}
  readonly #why: string[] = []
  readonly #seconds: number[] = []
  readonly #waits = new Array<number>(MAX_WAIT_MS + 1).fill(0)
  readonly #counts = { served: 0, mixed: 0, failed: 0 }
  #met = 0
  due = 0
  offeredMs = 0
  connections = 0

  get settled(): number {
    return this.#counts.served + this.#counts.mixed + this.#counts.failed
  }

  /**
   * @param node who answered, "" when nobody did
   * @param atMs since the first request was due
   */
  settle(verdict: Verdict, node: string, met: boolean, atMs: number, waitedMs: number): void {
    this.#counts[verdict.kind] += 1
    if (met) this.#met += 1
    const wait = Math.min(MAX_WAIT_MS, Math.floor(waitedMs))
    this.#waits[wait] = (this.#waits[wait] ?? 0) + 1
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
      due: this.due,
      ...this.#counts,
      open: this.due - this.settled,
      met: this.#met,
      why: this.#why,
      nodes: this.#nodes,
      seconds: this.#seconds,
      offeredMs: this.offeredMs,
      waits: options.atEnd ? this.#waits : [],
      connections: this.connections,
    }
  }
}

/** The wait, in whole milliseconds, that this share of the requests did not exceed. */
export function waitAt(report: Pick<LoadReport, 'waits'>, share: number): number {
  const total = report.waits.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (const [ms, count] of report.waits.entries()) {
    seen += count
    if (seen >= total * share) return ms
  }
  return MAX_WAIT_MS
}
