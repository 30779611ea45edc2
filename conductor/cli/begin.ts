// Owns the transaction that begins a rollout, or takes up the orders of the open one, with whatever else is to be told in it.

import { beginDeed } from '#conductor/shell/begin.ts'
import { execute, type Told, tell } from '#conductor/shell/execute.ts'
import type { Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { Decided } from './deciding.ts'
import type { Bench } from './world.ts'

/** What is written in the same transaction: the answer to whoever asked for it. */
export interface Along {
  readonly told: readonly Told[]
  readonly answered: readonly string[]
}

const ALONE: Along = { told: [], answered: [] }

/** @throws what `execute` throws */
export async function begin(
  bench: Bench,
  lease: Lease,
  start: Extract<Decided, { kind: 'begin' }>,
  emergency: boolean,
  along: Along = ALONE,
): Promise<Rollout> {
  const { ports, by, signal } = bench
  const past = (start.beginning.forced ?? []).length === 0 ? {} : { emergency }
  const { told, ...begun } = beginDeed(start, by, past)
  const deed = { ...begun, told: [...along.told, ...told], answered: along.answered }
  return (await execute({ ledger: ports.ledger, lease }, start.observed.ledger, deed, signal)) ?? begun.rollout
}

/** Writes only where there are orders to adopt or somebody to answer. @throws what `execute` throws */
export async function resume(
  bench: Bench,
  lease: Lease,
  start: Extract<Decided, { kind: 'resume' }>,
  along: Along = ALONE,
): Promise<Rollout> {
  const { ports, by, signal, clock } = bench
  const { rollout, adopts: events, observed } = start
  if (events.length === 0 && along.told.length === 0) return rollout
  const told = [...along.told, ...tell(rollout, events, by, new Date(clock.now()).toISOString())]
  const deed = { rollout: events.length === 0 ? null : rollout, events, told, answered: along.answered }
  return (await execute({ ledger: ports.ledger, lease }, observed.ledger, deed, signal)) ?? rollout
}
