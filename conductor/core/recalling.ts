// Owns the way back of a whole rollout: every ring it wrote to is recalled, closed and waited for.
import { assert } from '#fleet/assert.ts'
import type { Because, RingMark, Rollout } from '#fleet/rollout.ts'
import { closingOrder, expectedTarget, type Order, orderOf, recallOrder } from './orders.ts'
import { ahead, isOurs } from './ownership.ts'
import type { Plan } from './plan.ts'
import { recallStep } from './recall.ts'
import { namesOf, placeAll, serviceOf } from './service.ts'
import { capOf, type FleetView, type Policy, policyIn, type RingView } from './standing.ts'
import { unwaived } from './waiver.ts'

/** Null: the ring is back and nothing is left to do there. */
type RingPlan = Plan | null

/** The first ring with something to write is served first; the rings wait for each other only at the end. */
export function recalling(rollout: Rollout, fleet: FleetView, now: number): Plan {
  const because: Because[] = []
  for (const [ring, mark] of Object.entries(rollout.marks ?? {})) {
    const view = fleet.rings[ring]
    assert(view !== undefined, 'every ring that a rollout wrote to is observed')
    const next = recallRing(rollout, view, mark, policyIn(fleet.policy, view.ring), now)
    if (next !== null && next.action.type !== 'wait') return next
    if (next !== null) because.push(...next.because)
  }
  if (because.length > 0) return { action: { type: 'wait' }, because }
  const outcome = rollout.outcome ?? 'rolled back'
  const stranded = Object.entries(rollout.marks ?? {}).some(([ring, { closed }]) => !rollout.fallbacks[ring] && !closed)
  return { action: { type: 'end', phase: stranded ? 'aborted' : 'rolledBack', outcome }, because: [] }
}

function write(order: Order, because: readonly Because[] = []): Plan {
  return { action: { type: 'order', order }, because }
}

function recallRing(rollout: Rollout, view: RingView, mark: RingMark, policy: Policy, now: number): RingPlan {
  const { standing } = view
  const ours = isOurs(rollout, view) && standing.kind === 'record'
  if (mark.closed !== null && ours) return ahead(rollout, view, now) ?? returning(rollout, view, mark)
  // Without a fallback there is nothing to run instead: what was only staged is called off, what runs is left running.
  if (!rollout.fallbacks[view.ring] && mark.peak > 0) return null
  const target = ours ? standing.target : expectedTarget(rollout, view, mark)
  const placed = placeAll(view.nodes, target.salt)
  const written = Date.parse(target.at)
  const waveAgeMs = Number.isNaN(written) ? Number.POSITIVE_INFINITY : now - written
  const step = recallStep(placed, target, mark, { cap: capOf(policy, placed.length), policy, waveAgeMs })
  switch (step.type) {
    case 'wait':
      return ahead(rollout, view, now) ?? { action: { type: 'wait' }, because: [step.because] }
    case 'close':
      return write(orderOf('close', view, closingOrder(rollout, view, mark, now), step.taken))
    case 'recall': {
      const next = recallOrder(rollout, view, target, step.cutoff, now)
      return write(orderOf('recall', view, next, step.taken))
    }
  }
}

/** After the closing record: everybody is back, failed or silent, or is waited for. */
function returning(rollout: Rollout, view: RingView, mark: RingMark): RingPlan {
  if (view.standing.kind !== 'record' || view.standing.target.build === null) return null
  const { target } = view.standing
  const placed = placeAll(view.nodes, mark.salt)
  const away = placed.filter((node) => serviceOf(node, target, mark) === 'working')
  const working = unwaived(rollout, away)
  if (working.length === 0) return null
  const message = `waiting for nodes to come back to ${target.build}`
  return { action: { type: 'wait' }, because: [{ code: 'nodes-returning', message, nodes: namesOf(working) }] }
}
