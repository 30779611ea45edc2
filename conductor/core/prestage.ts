// Owns bringing the build into cold ahead of time: which rings are staged before it is their turn.
import type { Name } from '#fleet/build.ts'
import { holdsOn } from '#fleet/hold.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { orderOf, stageOrder } from './orders.ts'
import { mayBeginOver } from './ownership.ts'
import type { Plan } from './plan.ts'
import { stageOf } from './progress.ts'
import { type FleetView, isSettled, type RingView } from './standing.ts'

/** Rings of the plan that come after the one in hand, in order, each once. */
function ringsAhead(rollout: Rollout): readonly Name[] {
  const { ring: hand } = stageOf(rollout)
  const later = rollout.stages.slice(rollout.stage + 1).map(({ ring }) => ring)
  return [...new Set(later)].filter((ring) => ring !== hand)
}

/**
 * The order at cutoff 0 for the first ring that may be staged now, or null. Only rings that the rollout found fit for it when it began
 * (`Rollout.prestage`): staging takes the place of the older build in cold, and with it the way back from the one that runs.
 */
export function prestage(rollout: Rollout, fleet: FleetView, now: number): Plan | null {
  for (const [index, ring] of ringsAhead(rollout).entries()) {
    const when = rollout.prestage?.[ring]
    const due = when === 'start' || (when === 'previous' && index === 0)
    const view = fleet.rings[ring]
    if (!due || view === undefined || rollout.marks?.[ring] !== undefined || !isFit(rollout, view)) continue
    if (rollout.back !== true && holdsOn(fleet.line ?? [], ring, now).length > 0) continue
    const order = orderOf('stage', view, stageOrder(rollout, view, now), [])
    const because = [{ code: 'prestaging', message: `${ring} brings ${rollout.build} into cold before its turn` }]
    return { action: { type: 'order', order }, because }
  }
  return null
}

/** Whatever stands against it is said when it is the ring's turn. */
function isFit(rollout: Rollout, view: RingView): boolean {
  const { standing, nodes } = view
  if (nodes.length === 0 || (rollout.there ?? []).includes(view.ring)) return false
  const runs = standing.kind === 'record' && isSettled(standing.target) && standing.target.build === rollout.build
  return !runs && mayBeginOver(rollout, view)
}
