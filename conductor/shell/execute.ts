// Owns doing: the events of one decision, written as one fenced transaction. Decides nothing.

import { progressOf, stageOf } from '#conductor/core/progress.ts'
import { type RolloutEvent, reduce } from '#conductor/core/reduce.ts'
import { POLICY } from '#conductor/core/waiver.ts'
import type { AsideWrite, HistoryEntry, Lease, Ledger, LedgerView } from '#fleet/ports.ts'
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
  /** Keys beside the rollouts that it writes. */
  readonly aside?: readonly AsideWrite[]
}

/**
 * One transaction: orders, rollout record, history and answers, or nothing of it.
 * @returns the rollout as it stands in Consul now
 * @throws FleetError `LEASE_LOST` · `WRITE_CONFLICT` · kind transient when it is not known whether it was written
 */
export async function execute(
  world: { readonly ledger: Ledger; readonly lease: Lease },
  seen: LedgerView,
  { rollout, events, told, answered, aside = [] }: Deed,
  signal: AbortSignal,
): Promise<Rollout | null> {
  const after = rollout === null ? null : events.reduce(reduce, rollout)
  const targets: Record<string, Uint8Array> = {}
  for (const event of events) {
    if (event.type === 'ordered') targets[event.order.ring] = writeTarget(event.order.target)
  }
  const advances = rollout?.back !== true && events.some(isAdvance)
  const change = { targets, rollout: after, events: told, answered, advances, aside }
  await world.ledger.commit(world.lease, seen, change, signal)
  return after
}

/** Whether an event brings a build further, which no hold of the line may be overtaken by. */
function isAdvance(event: RolloutEvent): boolean {
  if (event.type === 'ordered') return event.order.kind === 'stage' || event.order.kind === 'raise'
  return event.type === 'stagePassed' || event.type === 'retried'
}

/** What the history says of each event that befell a rollout. */
export function tell(rollout: Rollout, events: readonly RolloutEvent[], by: string, at: string): readonly Told[] {
  return events.map((event) => ({
    at,
    by:
      ('policy' in event && event.policy === true) || ('waiver' in event && event.waiver.policy === true) ? POLICY : by,
    event: NAMES[event.type],
    facts: { rollout: rollout.id, ...factsOf(event, rollout) },
  }))
}

const NAMES: Readonly<Record<RolloutEvent['type'], string>> = {
  ordered: 'ordered',
  stagePassed: 'stage-passed',
  converged: 'stage-converged',
  convergenceLost: 'convergence-lost',
  smoked: 'smoke-tested',
  soaked: 'stage-soaked',
  promoted: 'promoted',
  judged: 'gate-judged',
  held: 'held',
  unheld: 'unheld',
  recallBegun: 'rollback-begun',
  ended: 'ended',
  retried: 'retried',
  waived: 'waived',
  unwaived: 'unwaived',
  silenceBegun: 'nodes-silent',
  silenceOver: 'silence-over',
  handedOver: 'handed-over',
}

function factsOf(event: RolloutEvent, rollout: Rollout): Readonly<Record<string, unknown>> {
  switch (event.type) {
    case 'ordered': {
      const { kind, ring, target, taken, exposed, roster } = event.order
      const { build, fallback, cutoff, generation } = target
      const digest = orderDigest(writeTarget(target))
      return { kind, ring, generation, build, fallback, cutoff, exposed, roster, taken: taken.length, digest }
    }
    case 'converged':
    case 'convergenceLost':
    case 'soaked':
    case 'silenceBegun':
    case 'silenceOver':
      return placeOf(rollout)
    case 'promoted':
      return { ...placeOf(rollout), by: event.by }
    case 'smoked':
      return { ...placeOf(rollout), passed: event.passed, message: event.message }
    case 'stagePassed':
      return { ...placeOf(rollout), ...lastedOf(rollout, event.at) }
    case 'judged': {
      const { gate, verdict, reason, message } = event.mark
      const { ring, share } = stageOf(rollout)
      return { ring, stage: rollout.stage, share, gate, verdict, reason, message }
    }
    case 'held':
      return { code: event.hold.code, reason: event.hold.reason }
    case 'unheld':
      return {}
    case 'recallBegun':
      return { build: rollout.build, cause: event.cause, outcome: event.outcome }
    case 'ended':
      return {
        phase: event.phase,
        outcome: event.outcome,
        build: rollout.build,
        ...(event.phase === 'done' && { ...lastOf(rollout), ...lastedOf(rollout, event.at) }),
      }
    case 'retried':
      return { build: rollout.build, attempt: event.attempt, nodes: event.nodes }
    case 'waived':
      return { node: event.waiver.node, reason: event.waiver.reason }
    case 'unwaived':
      return { node: event.node, reason: event.reason }
    case 'handedOver':
      return { to: event.to, from: event.from }
  }
}

function placeOf(rollout: Rollout): { ring: string; share: number } {
  const { ring, share } = stageOf(rollout)
  return { ring, share }
}

/** The stage that a rollout ended with, by names of its own: the end is about all of its rings. */
function lastOf(rollout: Rollout): { lastRing: string; lastShare: number } {
  const { ring, share } = stageOf(rollout)
  return { lastRing: ring, lastShare: share }
}

/** How long a stage took, and how much of that it was told to soak: what later plans are estimated by. */
function lastedOf(rollout: Rollout, at: string): { seconds: number; soakSeconds: number } {
  const { begunAt } = progressOf(rollout)
  const seconds = Math.max(0, Math.round((Date.parse(at) - Date.parse(begunAt)) / 100) / 10)
  return { seconds, soakSeconds: stageOf(rollout).soakSeconds ?? 0 }
}
