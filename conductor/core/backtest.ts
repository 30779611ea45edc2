// Owns replaying a gate over what was kept of past rollouts: what it would say now, with the limits of today, and whether it ever had data.
import type { Row, Verdict } from '#fleet/gate.ts'
import { FRESH, judge } from './gate.ts'
import type { Gate, Reading } from './gates.ts'
import { baselineOf, type PastRollout, type PastStage } from './past.ts'

/** One gate at one stage of one rollout, then and now. */
export interface Replay {
  readonly rollout: string
  readonly build: string
  /** How the rollout ended; null while it is open. */
  readonly outcome: string | null
  readonly at: string
  readonly ring: string
  readonly share: number
  /** What it said when the stage ended; null: it was not asked then. */
  readonly said: Verdict | null
  /** What it would say: fail if any reading fails, else what the last one says. */
  readonly wouldSay: Verdict
  readonly message: string
  readonly reads: number
  readonly hadData: boolean
}

export interface Backtest {
  readonly gate: string
  /** Newest rollout first, its stages in their order. */
  readonly replays: readonly Replay[]
  /** It was read, and never was there a figure or an answer. */
  readonly neverHadData: boolean
}

/** @param past newest first */
export function backtest(gate: Gate, past: readonly PastRollout[]): Backtest {
  const replays = past.flatMap((rollout) =>
    rollout.stages
      .filter((stage) => stage.gate === gate.name)
      .map((stage) => replay(gate, rollout, stage, baselineFor(gate, past, rollout, stage))),
  )
  return { gate: gate.name, replays, neverHadData: replays.length > 0 && replays.every(({ hadData }) => !hadData) }
}

function baselineFor(gate: Gate, past: readonly PastRollout[], { rollout }: PastRollout, { ring }: PastStage) {
  if (gate.kind !== 'prometheus' || gate.limit.type !== 'zscore') return []
  return baselineOf(past, { gate: gate.name, ring, before: rollout })
}

function replay(gate: Gate, past: PastRollout, stage: PastStage, baseline: readonly number[]): Replay {
  const { rollout, build, outcome } = past
  const { ring, share, verdict, reads, at, rows } = stage
  const hadData = rows.some((row) => row.length !== 2 || row[1] === 'pass' || row[1] === 'fail')
  return { rollout, build, outcome, at, ring, share, said: verdict, ...replayed(gate, rows, baseline), reads, hadData }
}

/** The verdict of a gate over readings, in their order: the first failure would have ended the stage. */
function replayed(
  gate: Gate,
  rows: readonly Row[],
  baseline: readonly number[],
): { readonly wouldSay: Verdict; readonly message: string } {
  let memory = FRESH
  let last: { wouldSay: Verdict; message: string } = { wouldSay: 'inconclusive', message: 'it was never read' }
  for (const row of rows) {
    const next = judge(gate, readingOf(row), baseline, memory, row[0] * 1_000)
    memory = next.memory
    last = { wouldSay: next.verdict, message: next.message }
    if (next.verdict === 'fail') break
  }
  return last
}

const LACKS: Readonly<Record<string, string>> = {
  'no-samples': 'the query had no samples',
  'not-a-number': 'a sample was no number',
  partial: 'Prometheus answered in part only',
  'no-answer': 'nobody answered',
}

/** A kept reading as it was. */
export function readingOf(row: Row): Reading {
  if (row.length !== 2) {
    const [, count, lo, hi, old] = row
    return { type: 'figures', count, lo, hi, ...(old !== undefined && { old }) }
  }
  const word = row[1]
  if (word === 'pass' || word === 'fail' || word === 'inconclusive') {
    return { type: 'answer', verdict: word, message: `it answered ${word} then` }
  }
  return { type: 'nothing', reason: word, message: LACKS[word] ?? word }
}
