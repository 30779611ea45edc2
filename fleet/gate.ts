// Owns what gates said of a rollout: verdicts with their reasons, and the figures that are kept of each reading.

export const VERDICTS = ['pass', 'fail', 'inconclusive'] as const
export type Verdict = (typeof VERDICTS)[number]

/**
 * Why a verdict is what it is. `unread`: there is no reading yet that counts; `breaking`: the limit is broken, but not for long enough;
 * `no-baseline`: nothing to compare with; `partial`: an answer with warnings; `no-answer`: nobody answered in time, or not usefully.
 */
export const GATE_REASONS = [
  'within',
  'beyond',
  'breaking',
  'unread',
  'no-samples',
  'too-few',
  'not-a-number',
  'no-baseline',
  'partial',
  'no-answer',
] as const
export type GateReason = (typeof GATE_REASONS)[number]

/** The last word of a gate on the stage in hand, as the rollout record carries it. */
export interface GateMark {
  readonly gate: string
  readonly verdict: Verdict
  readonly reason: GateReason
  /** Empty when it passed. */
  readonly message: string
  readonly at: string
}

/**
 * One reading as it is kept: seconds since the first of its stage, then either how many samples there were, the lowest, the highest, and
 * for a ratio the mean of the old cohort (null: it had none); or why there was no figure; or the answer of an HTTP or command gate.
 */
export type FigureRow = readonly [seconds: number, count: number, lo: number, hi: number, old?: number | null]
export type WordRow = readonly [seconds: number, word: GateReason | Verdict]
export type Row = FigureRow | WordRow

/** Rows that are kept of a gate and stage: with twice as many, neighbours become one. A record has room for no more. */
export const ROWS_MOST = 60

/** Gates of an app: more would not fit the rollout record. */
export const GATES_MOST = 12

/** Halves the rows when there are too many: of two neighbours the whole range is kept, and the worse word. */
export function thinned(rows: readonly Row[]): readonly Row[] {
  if (rows.length <= ROWS_MOST) return rows
  const half: Row[] = []
  for (let i = 0; i < rows.length; i += 2) {
    const [one, two] = [rows[i], rows[i + 1]]
    if (one !== undefined) half.push(two === undefined ? one : merged(one, two))
  }
  return half
}

const WORST: readonly string[] = ['pass', 'inconclusive', 'fail']

function merged(one: Row, two: Row): Row {
  const [seconds] = one
  // A figure says more than the lack of one.
  if (one.length === 2) return two.length === 2 ? [seconds, worse(one[1], two[1])] : later(seconds, two)
  if (two.length === 2) return one
  const [, , , hi, old] = two[3] > one[3] ? two : one
  const range = [seconds, Math.min(one[1], two[1]), Math.min(one[2], two[2]), hi] as const
  return old === undefined ? range : [...range, old]
}

function worse(one: WordRow[1], two: WordRow[1]): WordRow[1] {
  return WORST.indexOf(two) > WORST.indexOf(one) ? two : one
}

function later(seconds: number, [, count, lo, hi, old]: FigureRow): FigureRow {
  return old === undefined ? [seconds, count, lo, hi] : [seconds, count, lo, hi, old]
}
