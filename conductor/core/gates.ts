// Owns the gates of an app as the config gives them, whom they are asked about, and what they answer.
import type { BuildId, Name } from '#fleet/build.ts'
import type { GateReason, Row, Verdict } from '#fleet/gate.ts'

/** What the samples of a Prometheus gate are held against. `atLeast` is the least that an old cohort's mean, or a spread, is taken for. */
export type Limit =
  | { readonly type: 'max'; readonly max: number }
  | { readonly type: 'min'; readonly min: number }
  | { readonly type: 'ratio'; readonly max: number; readonly atLeast: number }
  | { readonly type: 'zscore'; readonly max: number; readonly over: number; readonly atLeast: number }

/** What an HTTP gate's answer must be. */
export interface Expected {
  /** Null: any of 200 to 299. */
  readonly status: number | null
  /** The body holds this text. */
  readonly text: string | null
  /** The body is a JSON object with these values, each by its dotted path. */
  readonly json: Readonly<Record<string, string | number | boolean | null>>
  /** Statuses that say neither yes nor no. */
  readonly holdOn: readonly number[]
}

interface Common {
  readonly name: string
  /** Null: in every ring. */
  readonly rings: readonly Name[] | null
  /** How long the limit must be broken, without a pass in between, before the gate fails. */
  readonly forMs: number
  readonly intervalMs: number
  readonly timeoutMs: number
}

export interface PrometheusGate extends Common {
  readonly kind: 'prometheus'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** With `{{app}}`, `{{build}}`, `{{ring}}` and `{{nodes}}`. */
  readonly query: string
  readonly limit: Limit
  /** Fewer are inconclusive. */
  readonly samples: number
  readonly onNoData: 'hold' | 'fail' | 'pass'
}

export interface HttpGate extends Common {
  readonly kind: 'http'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly expect: Expected
}

export interface CommandGate extends Common {
  readonly kind: 'command'
  readonly argv: readonly string[]
}

export type Gate = PrometheusGate | HttpGate | CommandGate

/** One reading of a gate: figures, an answer that is a verdict by itself, or why there is neither. */
export type Reading =
  | {
      readonly type: 'figures'
      readonly count: number
      readonly lo: number
      readonly hi: number
      /** Mean of the old cohort, null when it has no samples; left out where none was asked for. */
      readonly old?: number | null
    }
  | { readonly type: 'answer'; readonly verdict: Verdict; readonly message: string }
  | { readonly type: 'nothing'; readonly reason: GateReason; readonly message: string }

/** What a gate remembers from one reading of a stage to the next. */
export interface GateMemory {
  /** Since when the limit is broken, in milliseconds; null while it is not. */
  readonly brokenSinceMs: number | null
}

export interface Opinion {
  readonly verdict: Verdict
  readonly reason: GateReason
  readonly message: string
}

/** The stage that gates are asked about, and whom it is about. */
export interface Cohort {
  readonly app: Name
  readonly rollout: string
  readonly build: BuildId
  readonly fallback: BuildId | null
  readonly ring: Name
  readonly share: number
  /** Index into the stages of the rollout. */
  readonly stage: number
  /** Nodes that run the build, and those of the ring that run the fallback. */
  readonly nodes: readonly string[]
  readonly oldNodes: readonly string[]
  /** When the rollout began, in milliseconds since 1970: right before it the whole ring ran the fallback. */
  readonly beganAtMs: number
  /** A reading that was begun before this, in milliseconds since 1970, is too old to pass on. */
  readonly startedAtMs: number
  /** Names of the gates that count here; null: all that are for the ring. */
  readonly gates: readonly string[] | null
}

/** What a gate says of a stage, with the readings that it says it from. */
export interface Judged extends Opinion {
  readonly gate: string
  /** When the last reading was begun; null before the first. */
  readonly at: string | null
  /** Readings so far, thinned; `reads` counts all. */
  readonly samples: readonly Row[]
  readonly reads: number
  /** Last words of a command, else empty. */
  readonly output: string
}

/**
 * Reads the gates of a stage. Answers soon, with what is known by then: a gate that has not answered yet is inconclusive. Each gate is
 * read at most once an interval; a new stage begins from nothing. Never throws but the signal's reason; reading ends with the signal.
 */
export interface GateReader {
  read(cohort: Cohort, signal: AbortSignal): Promise<readonly Judged[]>
}
