// Owns how a build goes on from where an aborted rollout left it: the same record, taken over by a new rollout.
import type { Name } from '#fleet/build.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { orderOf, raiseOrder } from './orders.ts'
import { isOurs } from './ownership.ts'
import type { RolloutEvent } from './reduce.ts'
import { isSettled, type RingView } from './standing.ts'

/** An aborted rollout left this ring between two builds: its record stands, and says who runs which. */
export function isAbandoned(view: RingView, last: Rollout | null): last is Rollout {
  if (last === null || last.phase !== 'aborted' || view.standing.kind !== 'record') return false
  return isOurs(last, view) && !isSettled(view.standing.target) && !view.standing.target.recall
}

/** `production runs c-build on 3 of 10 nodes since rollout r-7 was aborted by ana: wrong time`. */
export function describeAbandoned({ ring }: { readonly ring: Name }, { id, build, outcome }: Rollout): string {
  return `${ring} was left between ${build} and what ran before by rollout ${id}, ${outcome ?? 'aborted'}`
}

/**
 * The first order of a rollout in a ring that was abandoned: the same build, fallback, salt and cutoff (anything else would be a third build),
 * one generation up, so that the ring is its own from here on.
 */
export function takeUp(rollout: Rollout, last: Rollout, view: RingView, now: number): readonly RolloutEvent[] {
  if (view.standing.kind !== 'record') return []
  const { target } = view.standing
  const order = raiseOrder(rollout, view, target, target.cutoff, now)
  const kind = target.cutoff === 0 ? 'stage' : 'raise'
  return [{ type: 'ordered', order: orderOf(kind, view, order, []), prior: last.marks?.[view.ring]?.prior ?? null }]
}
