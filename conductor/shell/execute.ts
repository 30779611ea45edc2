// Owns doing: the events of one decision, written as one fenced transaction. Decides nothing.

import { type RolloutEvent, reduce } from '#conductor/core/reduce.ts'
import type { HistoryEntry, Lease, Ledger, LedgerView } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { orderDigest } from '#fleet/target.ts'
import { writeTarget } from '#fleet/wire.ts'

/** An entry of the history, before it has its place in the chain. */
export type Told = Omit<HistoryEntry, 'seq' | 'prev'>

export interface Deed {
  /** The rollout that the events befall; null writes history or answers only. */
  readonly rollout: Rollout | null
  readonly events: readonly RolloutEvent[]
  readonly told: readonly Told[]
  /** Ids of requests that this settles. */
  readonly answered: readonly string[]
}

/**
 * One transaction: orders, rollout record, history and answers, or nothing of it.
 * @returns the rollout as it stands in Consul now
 * @throws FleetError `LEASE_LOST` · `WRITE_CONFLICT` · kind transient when it is not known whether it was written
 */
export async function execute(
  world: { readonly ledger: Ledger; readonly lease: Lease },
  seen: LedgerView,
  { rollout, events, told, answered }: Deed,
  signal: AbortSignal,
): Promise<Rollout | null> {
  const after = rollout === null ? null : events.reduce(reduce, rollout)
  const targets: Record<string, Uint8Array> = {}
  for (const event of events) {
    if (event.type === 'ordered') targets[event.order.ring] = writeTarget(event.order.target)
  }
  await world.ledger.commit(world.lease, seen, { targets, rollout: after, events: told, answered }, signal)
  return after
}

/** What the history says of each event that befell a rollout. */
export function tell(rollout: Rollout, events: readonly RolloutEvent[], by: string, at: string): readonly Told[] {
  return events.map((event) => ({
    at,
    by,
    event: NAMES[event.type],
    facts: { rollout: rollout.id, ...factsOf(event, rollout) },
  }))
}

const NAMES: Readonly<Record<RolloutEvent['type'], string>> = {
  ordered: 'ordered',
  stagePassed: 'stage-passed',
  held: 'held',
  unheld: 'unheld',
  recallBegun: 'rollback-begun',
  ended: 'ended',
}

function factsOf(event: RolloutEvent, rollout: Rollout): Readonly<Record<string, unknown>> {
  switch (event.type) {
    case 'ordered': {
      const { kind, ring, target, taken, exposed, roster } = event.order
      const { build, fallback, cutoff, generation } = target
      const digest = orderDigest(writeTarget(target))
      return { kind, ring, generation, build, fallback, cutoff, exposed, roster, taken: taken.length, digest }
    }
    case 'stagePassed':
      return { ring: rollout.stages[rollout.stage]?.ring ?? null }
    case 'held':
      return { code: event.hold.code, reason: event.hold.reason }
    case 'unheld':
      return {}
    case 'recallBegun':
      return { build: rollout.build, cause: event.cause, outcome: event.outcome }
    case 'ended':
      return { phase: event.phase, outcome: event.outcome, build: rollout.build }
  }
}
