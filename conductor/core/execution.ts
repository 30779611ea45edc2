// Owns what an action means for the rollout record: the events that the shell writes down together with the order.
import type { BuildRef } from '#fleet/rollout.ts'
import type { Action } from './plan.ts'
import type { RolloutEvent } from './reduce.ts'
import type { FleetView, RingView } from './standing.ts'

/** What the ring would go back to if it goes back twice: the fallback of the order that the rollout's first one replaces. */
function priorOf({ standing }: RingView): BuildRef | null {
  if (standing.kind !== 'record') return null
  const { fallback, fallbackManifest } = standing.target
  return fallback === null || fallbackManifest === null ? null : { build: fallback, manifest: fallbackManifest }
}

function notedAt(note: Extract<Action, { type: 'note' }>['note'], at: string): RolloutEvent {
  return note === 'soaked' || note === 'silenceOver' ? { type: note } : { type: note, at }
}

/** @param at ISO 8601 */
export function execution(fleet: FleetView, action: Action, at: string): readonly RolloutEvent[] {
  switch (action.type) {
    case 'wait':
    case 'smoke':
      return []
    case 'order': {
      const view = fleet.rings[action.order.ring]
      return [{ type: 'ordered', order: action.order, prior: view === undefined ? null : priorOf(view) }]
    }
    case 'nextStage':
      return [{ type: 'stagePassed', at }]
    case 'note':
      return [notedAt(action.note, at)]
    case 'waive':
      return action.waivers.map((waiver) => ({ type: 'waived', waiver }))
    case 'unwaive':
      return action.nodes.map((node) => ({ type: 'unwaived', node, reason: action.reason, policy: true }))
    case 'hold':
      return [{ type: 'held', hold: action.hold }]
    case 'rollBack':
      return [{ type: 'recallBegun', cause: action.cause, outcome: action.outcome }]
    case 'end':
      return [{ type: 'ended', phase: action.phase, outcome: action.outcome, at }]
  }
}
