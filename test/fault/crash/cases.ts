// Owns which operations the parts of a campaign look at, and how one point of them is put into the table.
import {
  OPERATIONS,
  type Operation,
  type OperationName,
  STATES,
  type State,
  type StateName,
} from '#test/support/crash/states.ts'

export interface Outcome {
  readonly label: string
  /** Columns of the table that count one more. */
  readonly counts: Readonly<Record<string, number>>
  readonly recoveryMs: number
  readonly wrong: readonly string[]
}

export const PULLER_CASES: readonly (readonly [StateName, OperationName])[] = [
  ['empty', 'first'],
  ['both', 'delta'],
  ['both', 'rollback'],
  ['unclean', 'start'],
]
export const POWER_CASES: readonly (readonly [StateName, OperationName])[] = [
  ['empty', 'first'],
  ['both', 'delta'],
  ['both', 'rollback'],
  ['drift', 'rollback'],
]
export const ERROR_CASES: readonly (readonly [StateName, OperationName])[] = [
  ['both', 'delta'],
  ['both', 'rollback'],
]

export function labelOf(state: State, operation: Operation): string {
  return `${STATES[state.name]} | ${OPERATIONS[operation.name]}`
}

export function outcomeOf(
  label: string,
  where: string,
  verdict: {
    readonly killed?: boolean
    readonly killedAgain?: boolean
    readonly recoveryMs: number
    readonly wrong: readonly string[]
  },
): Outcome {
  const { killed, killedAgain, recoveryMs, wrong } = verdict
  const counts = {
    ...(killed !== undefined && { killed: Number(killed) }),
    ...(killedAgain && { 'killed again': 1 }),
    converged: Number(wrong.length === 0),
  }
  return { label, counts, recoveryMs, wrong: wrong.map((text) => `${label}, ${where}: ${text}`) }
}
