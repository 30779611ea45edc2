// Owns bugs that somebody could write into a rollout's rules, each as the production rules with one of them changed.
import { plan } from '#conductor/core/plan.ts'
import { placeAll, serviceOf } from '#conductor/core/service.ts'
import { capOf, type FleetView, type RingView } from '#conductor/core/standing.ts'
import type { Check } from '#conductor/sim/checks.ts'
import type { Fault } from '#conductor/sim/faults.ts'
import { PRODUCTION, type Rules } from '#conductor/sim/rules.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { ALL, admit, place, type Target } from '#fleet/target.ts'
import { step } from '#puller/core/machine.ts'

export interface Bug {
  readonly rules: Partial<Rules>
  /** Under which it shows soonest; those of the seed when left out. */
  readonly faults?: readonly Fault[]
  /** The checks that may be the first to notice. */
  readonly noticed: readonly Check[]
}

type Plan = typeof plan
type Ordered = Extract<ReturnType<Plan>['action'], { type: 'order' }>

/** A plan that is made of another view of the nodes than the true one. */
function seeing(change: (node: RosterNode, target: Target) => RosterNode): Plan {
  return (rollout, fleet, ...rest) => {
    const rings = Object.entries(fleet.rings).map(([ring, view]): [string, RingView] => {
      if (view.standing.kind !== 'record') return [ring, view]
      const { target } = view.standing
      return [ring, { ...view, nodes: view.nodes.map((node) => change(node, target)) }]
    })
    return plan(rollout, { ...fleet, rings: Object.fromEntries(rings) }, ...rest)
  }
}

/** A plan whose orders are written otherwise than they were decided. */
function writing(change: (order: Ordered['order'], fleet: FleetView) => Target): Plan {
  return (rollout, fleet, ...rest) => {
    const planned = plan(rollout, fleet, ...rest)
    if (planned.action.type !== 'order') return planned
    const { order } = planned.action
    return { ...planned, action: { type: 'order', order: { ...order, target: change(order, fleet) } } }
  }
}

/** Who is out counts in a rollback too, down to nobody. */
const strict: Plan = (rollout, fleet, ...rest) => {
  const planned = plan(rollout, fleet, ...rest)
  const { action } = planned
  if (action.type !== 'order' || rollout.phase !== 'recalling' || action.order.taken.length === 0) return planned
  const { ring, taken } = action.order
  const [view, mark] = [fleet.rings[ring], rollout.marks?.[ring]]
  if (view?.standing.kind !== 'record' || mark === undefined) return planned
  const { target } = view.standing
  const placed = placeAll(view.nodes, target.salt)
  const out = placed.filter((node) => serviceOf(node, target, mark) !== 'serving').length
  return taken.length + out <= capOf(fleet.policy, placed.length) ? planned : { ...planned, action: { type: 'wait' } }
}

const NOBODY: FleetView = { rings: {}, policy: { maxUnavailable: 0, failureBudget: 0, waveMs: 0, allAtOnce: false } }

export const BUGS: Readonly<Record<string, Bug>> = {
  'convergence counts without the generation acknowledged': {
    rules: {
      plan: seeing((node, { generation, rollout }) => {
        const acknowledged = { generation: Math.max(node.status.generation, generation), rollout }
        return { ...node, status: { ...node.status, ...acknowledged } }
      }),
    },
    faults: ['late', 'operators'],
    noticed: ['cap', 'convergence', 'rollback'],
  },
  'only busy nodes count as out': {
    rules: {
      plan: seeing(({ status }) => {
        const phase = status.phase === 'parked' ? 'idle' : status.phase
        return { silent: false, status: { ...status, phase, refusal: null } }
      }),
    },
    noticed: ['cap', 'convergence', 'liveness'],
  },
  'a rollback sends unexposed nodes to the bad build': {
    rules: {
      plan: writing(({ kind, target }) => {
        if (kind !== 'recall') return target
        const [build, manifest] = [target.fallback, target.fallbackManifest]
        const swapped = { build, manifest, fallback: target.build, fallbackManifest: target.manifest }
        return { ...target, ...swapped, recall: false, cutoff: ALL - target.cutoff }
      }),
    },
    noticed: ['rollback'],
  },
  'a refusal ends with the generation': {
    rules: { step: (state, event) => step(event.type === 'ordered' ? { ...state, refusals: [] } : state, event) },
    noticed: ['refusal'],
  },
  'the cap is strict in a recall': { rules: { plan: strict }, noticed: ['liveness'] },
  'who resumes begins with the next stage': {
    rules: {
      resume: (rollout, at) => {
        const more = rollout.phase !== 'recalling' && rollout.stage + 1 < rollout.stages.length
        return more ? PRODUCTION.execution(NOBODY, { type: 'nextStage' }, at) : []
      },
    },
    noticed: ['stages', 'convergence'],
  },
  'a record of cutoff 0 frees the laggards of a recall': {
    rules: { plan: writing(({ kind, target }) => (kind === 'recall' ? { ...target, cutoff: 0 } : target)) },
    noticed: ['cap'],
  },
  'laggards above the cutoff count as staged': {
    rules: {
      plan: seeing((node, target) => {
        const above = place(target.salt, node.status.node) >= target.cutoff && !target.recall
        const { fallback: hot, build: cold, generation, rollout } = target
        const known = Math.max(node.status.generation, generation)
        const staged = { phase: 'staged', hot, cold, generation: known, rollout, refusal: null } as const
        return above ? { silent: false, status: { ...node.status, ...staged } } : node
      }),
    },
    noticed: ['cap', 'convergence'],
  },
  'a bare id is taken without its index': {
    rules: {
      admit: (ratchet, mark) =>
        mark.kind === 'bare' && mark.generation === null && mark.modifyIndex !== ratchet.modifyIndex
          ? { verdict: 'accept', ratchet: { generation: ratchet.generation, modifyIndex: mark.modifyIndex } }
          : admit(ratchet, mark),
    },
    faults: ['late', 'reordered', 'by-hand'],
    noticed: ['old-order'],
  },
  'a write is not fenced by its own lease': {
    rules: {
      ledger: (ledger, holder) => ({
        ...ledger,
        commit: (lease, ...rest) => ledger.commit({ ...lease, session: holder() ?? lease.session }, ...rest),
      }),
    },
    noticed: ['fence'],
  },
}
