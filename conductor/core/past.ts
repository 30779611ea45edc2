// Owns what the history tells of gates in rollouts that are over: their readings by stage, and which of them were good.
import { GATE_REASONS, type GateReason, type Row, VERDICTS, type Verdict } from '#fleet/gate.ts'
import type { CatalogEntry, HistoryEntry } from '#fleet/ports.ts'

/** A gate at one stage of a rollout, as it stood when the stage ended. */
export interface PastStage {
  readonly gate: string
  readonly ring: string
  readonly stage: number
  readonly share: number
  /** Null: it was not asked then. */
  readonly verdict: Verdict | null
  readonly message: string
  readonly reads: number
  readonly rows: readonly Row[]
  /** When the stage ended, ISO 8601. */
  readonly at: string
}

/** When a rollout ran its build in a ring: from the first raise to the end of the ring's stages. */
export interface PastSpan {
  readonly ring: string
  readonly fallback: string | null
  /** ISO 8601. */
  readonly from: string
  readonly to: string
}

export interface PastRollout {
  readonly rollout: string
  readonly build: string
  /** How it ended: done, rolledBack or aborted; null while it is open, or where the end is not in the history any more. */
  readonly outcome: string | null
  /** Done, and its build is not under quarantine. */
  readonly good: boolean
  readonly at: string
  readonly stages: readonly PastStage[]
  readonly spans: readonly PastSpan[]
}

/** Rollouts of which the history keeps readings or an end, newest first. @param entries newest first */
export function pastRollouts(
  entries: readonly HistoryEntry[],
  builds: readonly CatalogEntry[],
): readonly PastRollout[] {
  const found = new Map<string, Found>()
  for (const { event, facts, at } of entries) {
    const id = facts.rollout
    if (typeof id !== 'string' || !HEARD.includes(event)) continue
    const past = found.get(id) ?? { build: '', outcome: null, at, stages: [], spans: new Map(), to: at }
    found.set(id, past)
    hear(past, event, facts, at)
  }
  const banned = new Set(builds.filter(({ quarantine }) => quarantine !== null).map(({ build }): string => build))
  return [...found].map(([rollout, { build, outcome, at, stages, spans }]) => {
    const good = outcome === 'done' && !banned.has(build)
    return { rollout, build, outcome, at, good, stages, spans: [...spans.values()] }
  })
}

/** A rollout as it is put together, from its end backwards. */
interface Found {
  build: string
  outcome: string | null
  readonly at: string
  readonly stages: PastStage[]
  readonly spans: Map<string, PastSpan>
  /** When what comes next, backwards, was over. */
  to: string
}

const HEARD: readonly string[] = ['gate-judged', 'ended', 'ordered', 'stage-passed', 'rollback-begun']

function hear(past: Found, event: string, facts: HistoryEntry['facts'], at: string): void {
  if (event === 'gate-judged') {
    const stage = pastStage(facts, at)
    if (stage !== null) past.stages.unshift(stage)
  } else if (event === 'ordered') {
    const { ring, kind, build, fallback } = facts
    if (kind !== 'raise' || typeof ring !== 'string') return
    if (typeof build === 'string') past.build = build
    const to = past.spans.get(ring)?.to ?? past.to
    past.spans.set(ring, { ring, fallback: typeof fallback === 'string' ? fallback : null, from: at, to })
  } else {
    past.to = at
    if (event !== 'ended') return
    if (typeof facts.phase === 'string') past.outcome = facts.phase
    if (typeof facts.build === 'string') past.build = facts.build
  }
}

/** Null for a change of mind in the middle of a stage, and for what cannot be read. */
function pastStage(facts: HistoryEntry['facts'], at: string): PastStage | null {
  const { gate, ring, stage, share, verdict, message, end, reads, samples } = facts
  if (end !== true || typeof gate !== 'string' || typeof ring !== 'string') return null
  const said = VERDICTS.find((one) => one === verdict)
  if (said === undefined || !Array.isArray(samples)) return null
  return {
    gate,
    ring,
    stage: Number(stage),
    share: Number(share),
    verdict: said,
    message: String(message ?? ''),
    reads: Number(reads),
    rows: samples.flatMap(rowOf),
    at,
  }
}

const WORDS: readonly string[] = [...GATE_REASONS, ...VERDICTS]

function rowOf(value: unknown): readonly Row[] {
  if (!Array.isArray(value)) return []
  const cells: readonly unknown[] = value
  const [seconds, second, lo, hi, old] = cells
  if (typeof seconds !== 'number') return []
  if (typeof second === 'string') return WORDS.includes(second) ? [[seconds, second as GateReason | Verdict]] : []
  if (typeof second !== 'number' || typeof lo !== 'number' || typeof hi !== 'number') return []
  if (cells.length < 5) return [[seconds, second, lo, hi]]
  return [[seconds, second, lo, hi, typeof old === 'number' ? old : null]]
}

/**
 * One figure of each good rollout that has samples of a gate in a ring, newest first: the mean of its highest values there.
 * @param before leaves out this rollout and all that came after it; null leaves out none
 */
export function baselineOf(
  past: readonly PastRollout[],
  of: { readonly gate: string; readonly ring: string; readonly before: string | null },
): readonly number[] {
  const from = past.findIndex(({ rollout }) => rollout === of.before) + 1
  return past.slice(from).flatMap(({ good, stages }) => {
    const highest = stages
      .filter(({ gate, ring }) => gate === of.gate && ring === of.ring)
      .flatMap(({ rows }) => rows.flatMap((row) => (row.length === 2 ? [] : [row[3]])))
    if (!good || highest.length === 0) return []
    return [highest.reduce((sum, value) => sum + value / highest.length, 0)]
  })
}
