// Owns taking the lease from whoever holds it, by name and with a reason: the old holder can write nothing more, and the history names both.

import { isOver, type RolloutEvent } from '#conductor/core/reduce.ts'
import { execute, tell } from '#conductor/shell/execute.ts'
import { observe } from '#conductor/shell/observe.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Lease, LeaseNote } from '#fleet/ports.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

/** @throws FleetError `USAGE` without a reason · `LEASE_HELD` when it has passed to somebody else meanwhile */
export async function takeOver(bench: Bench, note: LeaseNote, reason: string): Promise<Lease> {
  const { ports, signal, report } = bench
  if (reason === '')
    throw new FleetError('USAGE', '--take-over needs a reason: --reason WHY is shown to whoever is fenced off')
  const holder = await ports.locks.holder(signal)
  if (holder === null) {
    report.say('Nobody holds the lease: there is nobody to take it from.')
    return ports.locks.acquire(note, signal)
  }
  report.say(
    `Taking the lease from ${plain(holder.holder)}, who has it since ${holder.since}: ${plain(holder.reason)}.`,
  )
  const lease = await ports.locks.fence(holder.session, note, signal)
  try {
    await recordTakeOver(bench, lease, holder, note, reason)
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
  return lease
}

/** Whoever takes an open rollout over is its commander from here on. */
async function recordTakeOver(
  bench: Bench,
  lease: Lease,
  from: LeaseNote,
  note: LeaseNote,
  reason: string,
): Promise<void> {
  const { app, rings, policy, ports, by, clock, signal } = bench
  const { rollout, ledger } = await observe(ports, { app, rings, policy }, signal)
  const open = rollout !== null && !isOver(rollout) ? rollout : null
  const at = new Date(clock.now()).toISOString()
  const facts = { from: from.holder, to: note.holder, rollout: open?.id ?? null, build: note.build ?? null, reason }
  const commander = open?.commander ?? open?.by ?? by
  const handed: RolloutEvent[] = commander === by ? [] : [{ type: 'handedOver', to: by, from: commander, by }]
  const told = [{ at, by, event: 'taken-over', facts }, ...(open === null ? [] : tell(open, handed, by, at))]
  const deed = { rollout: handed.length > 0 ? open : null, events: handed, told, answered: [] }
  await execute({ ledger: ports.ledger, lease }, ledger, deed, signal)
}

/** For the one who was fenced off: who has the lease now, and why. */
export async function namingTaker(error: unknown, { ports }: Bench): Promise<unknown> {
  if (!isFleetError(error, 'LEASE_LOST')) return error
  const holder = await ports.locks.holder(AbortSignal.timeout(2_000)).catch(() => null)
  if (holder === null) return error
  const taken = `${holder.holder} has it since ${holder.since} (${holder.reason})`
  return new FleetError('LEASE_LOST', `${error.message}; ${taken}`, { cause: error })
}
