// Owns the production functions that a simulation decides with, as one argument: a test puts a broken one in its place.
import { execution } from '#conductor/core/execution.ts'
import { plan } from '#conductor/core/plan.ts'
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import type { Ledger } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { admit } from '#fleet/target.ts'
import { step } from '#puller/core/machine.ts'

export interface Rules {
  readonly plan: typeof plan
  readonly execution: typeof execution
  /** What a driver does first with an open rollout that it takes over: nothing, the record says all. */
  readonly resume: (rollout: Rollout, at: string) => readonly RolloutEvent[]
  readonly admit: typeof admit
  readonly step: typeof step
  /** @param holder session that holds the lease now */
  readonly ledger: (ledger: Ledger, holder: () => string | null) => Ledger
}

export const PRODUCTION: Rules = { plan, execution, resume: () => [], admit, step, ledger: (ledger) => ledger }
