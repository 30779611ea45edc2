// Owns judging: from one reading of a gate, the limit and what came before, to a verdict and a sentence. Without data nothing passes.
import { never } from '#fleet/assert.ts'
import { formatDuration } from '#fleet/duration.ts'
import type { GateReason } from '#fleet/gate.ts'
import type { Gate, GateMemory, Opinion, PrometheusGate, Reading } from './gates.ts'

export const FRESH: GateMemory = { brokenSinceMs: null }

/** Z-scores of fewer good rollouts than this say nothing. */
const BASELINE_LEAST = 3

/**
 * The samples of one evaluation as figures. Their order does not matter. One that is no number spoils the reading: what it stands for is not known.
 * @param old samples of the old cohort, for a ratio
 */
export function figuresOf(values: readonly number[], old?: readonly number[]): Reading {
  const all = [...values, ...(old ?? [])]
  const odd = all.filter((value) => !Number.isFinite(value))
  if (odd.length > 0) {
    const message = `${odd.length} of ${counted(all.length)} ${odd.length === 1 ? 'is' : 'are'} ${odd[0]}, no number to judge by`
    return { type: 'nothing', reason: 'not-a-number', message }
  }
  if (values.length === 0) return { type: 'nothing', reason: 'no-samples', message: 'the query has no samples' }
  const range = { type: 'figures', count: values.length, lo: Math.min(...values), hi: Math.max(...values) } as const
  return old === undefined ? range : { ...range, old: old.length === 0 ? null : mean(old) }
}

/** In ascending order, so that the sum is the same whatever order the samples came in. */
function mean(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted.reduce((sum, value) => sum + value / sorted.length, 0)
}

function spread(values: readonly number[]): number {
  const middle = mean(values)
  const squares = values.map((value) => (value - middle) ** 2)
  return Math.sqrt((mean(squares) * values.length) / Math.max(1, values.length - 1))
}

/**
 * Judges one reading. Pure: the same arguments, the same verdict.
 * @param baseline one figure of each good rollout before, newest first, for a z-score
 * @param atMs when the reading was begun; readings of a stage are judged in their order
 */
export function judge(
  gate: Gate,
  reading: Reading,
  baseline: readonly number[],
  memory: GateMemory,
  atMs: number,
): Opinion & { readonly memory: GateMemory } {
  const opinion = noData(gate, opine(gate, reading, baseline))
  if (opinion.verdict === 'inconclusive') return { ...opinion, memory }
  if (opinion.verdict === 'pass') return { ...opinion, memory: FRESH }
  const brokenSinceMs = memory.brokenSinceMs ?? atMs
  const lastedMs = atMs - brokenSinceMs
  if (lastedMs >= gate.forMs) return { ...opinion, memory: { brokenSinceMs } }
  const message = `${opinion.message}, for ${formatDuration(lastedMs)} of the ${formatDuration(gate.forMs)} after which it fails`
  return { verdict: 'inconclusive', reason: 'breaking', message, memory: { brokenSinceMs } }
}

function opine(gate: Gate, reading: Reading, baseline: readonly number[]): Opinion {
  switch (reading.type) {
    case 'nothing':
      return { verdict: 'inconclusive', reason: reading.reason, message: reading.message }
    case 'answer': {
      const { verdict, message } = reading
      const reason = ({ pass: 'within', fail: 'beyond', inconclusive: 'no-answer' } as const)[verdict]
      return { verdict, reason, message }
    }
    case 'figures':
      // Only after a change of the config in a replay: the figures are another kind's.
      if (gate.kind !== 'prometheus') return unsure('no-answer', `figures say nothing of a gate by ${gate.kind}`)
      return measure(gate, reading, baseline)
    default:
      return never(reading, 'reading')
  }
}

function unsure(reason: GateReason, message: string): Opinion {
  return { verdict: 'inconclusive', reason, message }
}

type Figures = Extract<Reading, { type: 'figures' }>

function measure(gate: PrometheusGate, figures: Figures, baseline: readonly number[]): Opinion {
  const { count, lo, hi, old } = figures
  const { limit, samples } = gate
  if (count < samples) return unsure('too-few', `the query has ${counted(count)}, and ${samples} are needed`)
  switch (limit.type) {
    case 'max':
      return atMost(hi, limit.max, `${peak(hi, count, 'highest')}`, `the limit of ${figure(limit.max)}`)
    case 'min': {
      const said = peak(lo, count, 'lowest')
      return lo >= limit.min
        ? { verdict: 'pass', reason: 'within', message: `${said} is not below the limit of ${figure(limit.min)}` }
        : { verdict: 'fail', reason: 'beyond', message: `${said} is below the limit of ${figure(limit.min)}` }
    }
    case 'ratio': {
      if (old === undefined || old === null)
        return unsure('no-baseline', 'the old cohort has no samples to compare with')
      if (lo < 0 || old < 0) return unsure('not-a-number', 'a ratio of values below zero says nothing')
      const floor = Math.max(old, limit.atLeast)
      const than = `${figure(limit.max)} times the ${figure(floor)} of the old cohort`
      return atMost(hi, limit.max * floor, peak(hi, count, 'highest'), than)
    }
    case 'zscore': {
      const before = baseline.slice(0, limit.over)
      if (before.length < BASELINE_LEAST) {
        const message = `only ${before.length} of the last good rollouts ${before.length === 1 ? 'has' : 'have'} samples, ${BASELINE_LEAST} are needed`
        return unsure('no-baseline', message)
      }
      const [middle, sigma] = [mean(before), Math.max(spread(before), limit.atLeast)]
      const than = `${figure(limit.max)} deviations (of ${figure(sigma)}) over the ${figure(middle)} of ${before.length} good rollouts`
      return atMost(hi, middle + limit.max * sigma, peak(hi, count, 'highest'), than)
    }
    default:
      return never(limit, 'limit')
  }
}

function atMost(value: number, most: number, said: string, than: string): Opinion {
  // A limit that overflows is none.
  if (!Number.isFinite(most)) return unsure('not-a-number', `${than} is no number`)
  if (value <= most) return { verdict: 'pass', reason: 'within', message: `${said} is not above ${than}` }
  return { verdict: 'fail', reason: 'beyond', message: `${said} is above ${than}` }
}

/** What the config says about the lack of data. A sample that is no number never passes, whatever it says. */
function noData(gate: Gate, opinion: Opinion): Opinion {
  if (gate.kind !== 'prometheus' || opinion.verdict !== 'inconclusive' || gate.onNoData === 'hold') return opinion
  const { reason, message } = opinion
  if (gate.onNoData === 'pass' && (reason === 'no-samples' || reason === 'no-baseline')) {
    return { verdict: 'pass', reason, message: `${message}; onNoData says that this passes` }
  }
  const isEmpty = reason === 'no-samples' || reason === 'too-few' || reason === 'not-a-number'
  if (gate.onNoData === 'fail' && isEmpty) {
    return { verdict: 'fail', reason, message: `${message}; onNoData says that this fails` }
  }
  return opinion
}

function counted(count: number): string {
  return `${count} ${count === 1 ? 'sample' : 'samples'}`
}

function peak(value: number, count: number, which: string): string {
  return count === 1 ? figure(value) : `${figure(value)}, the ${which} of ${count} samples,`
}

/** Four digits are enough for a person. */
function figure(value: number): string {
  return String(Number(value.toPrecision(4)))
}
