// Owns what a node is aiming at: the order in force against what lies on its disk, read anew on every turn.
import type { BuildId } from '#fleet/build.ts'
import { manifestIn, type Target, wants } from '#fleet/target.ts'
import { type Held, type NodeState, type Order, type Stand, same } from './state.ts'
import type { Notice } from './table.ts'

/** What should happen next, were the node at rest. */
export type Aim =
  /** Nothing: hot is right, or nothing is asked of it. */
  | { readonly kind: 'rest' }
  /** Hot is right and the build to come lies ready in cold. */
  | { readonly kind: 'ready' }
  /** Cold must hold this, complete and swept. */
  | { readonly kind: 'stage'; readonly held: Held }
  /** Cold holds what must be hot. */
  | { readonly kind: 'swap'; readonly to: Held }
  /** Hot is right but must be restarted and verified (again). */
  | { readonly kind: 'restart' }
  /** The node stands parked. */
  | { readonly kind: 'park' }

/** Names one reading of the order: a turn that was asked for under another is asked for again. */
export function orderKey(state: NodeState): string {
  if (state.stand?.manual) return 'manual'
  return state.order === null ? '' : `${state.order.target.generation}:${state.order.modifyIndex}`
}

/** Whether this build may not run under this target's attempt. */
export function refusedBy(state: NodeState, held: Held, target: Target): boolean {
  return state.refusals.some((refusal) => same(refusal, held) && refusal.attempt >= target.attempt)
}

/** The refusals that an order leaves: one ends for good by a target that names its build under a higher attempt, whatever is ordered later. */
export function refusalsUnder(refusals: NodeState['refusals'], { target }: Order): NodeState['refusals'] {
  const named = [heldIn(target, target.build), heldIn(target, target.fallback)]
  return refusals.filter(({ attempt, ...held }) => {
    return attempt >= target.attempt || !named.some((build) => same(build, held))
  })
}

function heldIn(target: Target, build: BuildId | null): Held | null {
  const manifest = build === null ? null : manifestIn(target, build)
  return build === null || manifest === null ? null : { build, manifest }
}

/** What the order asks of this node, its refusals taken off: a refused build leaves both directories as they are. */
export function asked(state: NodeState): { readonly hot: Held | null; readonly cold: Held | null } {
  const { order } = state
  if (order === null) return { hot: null, cold: null }
  const wanted = wants(order.target, order.place, state.hot?.build ?? null)
  const hot = heldIn(order.target, wanted.hot)
  const cold = heldIn(order.target, wanted.cold)
  if (hot !== null && refusedBy(state, hot, order.target)) return { hot: null, cold: null }
  return { hot, cold: cold !== null && refusedBy(state, cold, order.target) ? null : cold }
}

/** What must be hot: the order's, or the operator's on this node; null when nothing is asked. */
export function askedHot(state: NodeState): Held | null {
  return state.stand === null ? asked(state).hot : state.stand.manual
}

/** Parked ends by a record of another rollout or a recall; what failed by itself, also by a higher attempt or another activation. */
export function released(stand: Stand, order: Order): boolean {
  const { target } = order
  if (target.rollout !== stand.rollout || target.build !== stand.build) return true
  if (target.recall && target.generation > stand.generation) return true
  if (stand.manual !== null) return false
  return target.attempt > stand.attempt || (target.activation !== null && target.activation !== stand.activation)
}

function towards(state: NodeState, held: Held): Aim {
  return same(state.cold, held) && state.cold?.ready ? { kind: 'swap', to: held } : { kind: 'stage', held }
}

function restartAsked(state: NodeState): boolean {
  if (state.hot === null || state.order === null) return false
  if (!state.verified) return true
  const { build, activation } = state.order.target
  return state.hot.build === build && activation !== null && activation !== state.activated
}

export function aim(state: NodeState): Aim {
  if (state.stand !== null) {
    const { manual } = state.stand
    return manual === null || same(manual, state.hot) ? { kind: 'park' } : towards(state, manual)
  }
  const { hot, cold } = asked(state)
  if (hot !== null && !same(hot, state.hot)) return towards(state, hot)
  if (restartAsked(state)) return { kind: 'restart' }
  // The fallback is armed again in the background; only a build that is still to come is staged as a phase of its own.
  if (cold === null || cold.build !== state.order?.target.build) return { kind: 'rest' }
  return same(state.cold, cold) && state.cold?.ready ? { kind: 'ready' } : { kind: 'stage', held: cold }
}

/** What keeps a resting node fit for a rollback: `arm` sweeps what lies in cold, `rearm` brings the fallback back into it. */
export function upkeep(state: NodeState): { readonly kind: 'arm' | 'rearm'; readonly held: Held } | null {
  if (state.stopping || state.order === null) return null
  const { cold } = asked(state)
  if (cold !== null && cold.build === state.order.target.fallback && !same(cold, state.cold)) {
    return { kind: 'rearm', held: cold }
  }
  const spare = state.cold
  const { target } = state.order
  if (spare === null || spare.armed || refusedBy(state, spare, target)) return null
  // What a recall took away is not worth a sweep: nobody goes back to it under this record.
  if (target.recall && spare.build === target.build) return null
  return { kind: 'arm', held: { build: spare.build, manifest: spare.manifest } }
}

/** The build that the job in hand brings into cold, now or when its wait is over. */
function inHand(state: NodeState): Held | null {
  return state.job?.kind === 'stage' || state.job?.kind === 'wait' ? state.job.held : null
}

function atRest(state: NodeState): Notice | null {
  const { phase, job } = state
  const next = aim(state)
  switch (next.kind) {
    case 'stage':
      return phase === 'fetching' && same(inHand(state), next.held) ? null : 'wanted'
    case 'swap':
    case 'restart': {
      const waiting = phase === 'staged' && (job?.kind === 'turn' || job?.kind === 'wait')
      return waiting && job.order === orderKey(state) ? null : 'recalled'
    }
    case 'ready':
      return phase === 'staged' && job === null ? null : 'readied'
    case 'park':
      return phase === 'parked' ? null : 'parked'
    case 'rest': {
      if (phase !== 'idle') return 'settled'
      const need = upkeep(state)
      return (need === null ? job === null : same(inHand(state), need.held)) ? null : 'settled'
    }
  }
}

function moving(state: NodeState): Notice | null {
  const { phase, job, move } = state
  if (job?.kind === 'undrain' || move === null) return null
  if (phase === 'draining') {
    const next = aim(state)
    const still = move.kind === 'restart' ? next.kind === 'restart' : next.kind === 'swap' && same(next.to, move.to)
    if (still && !state.stopping) return null
    return state.verified ? 'unwanted' : 'unwantedForGood'
  }
  // A hot tree that was not sound was left: first make what serves now whole, whatever comes next.
  if (move.kind === 'recover') return null
  const wanted = askedHot(state)
  if (wanted === null || same(wanted, state.hot)) return null
  if (move.kind === 'swap' && move.from !== null) return 'unwanted'
  return state.verified ? 'unwantedInPlace' : 'unwantedForGood'
}

/** What the order says about where the node stands; null when all is on its way. */
export function notice(state: NodeState): Notice | null {
  switch (state.phase) {
    case 'idle':
    case 'fetching':
    case 'staged':
    case 'parked':
      if (state.stopping) return state.phase === 'fetching' ? 'settled' : null
      return atRest(state)
    case 'draining':
    case 'restarting':
    case 'verifying':
      return moving(state)
    case 'swapping':
    case 'reverting':
      return null
  }
}
