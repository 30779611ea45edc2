// Owns telling our own orders from those of others: what a rollout may write over, and what it must not.
import type { LineHold } from '#fleet/hold.ts'
import type { Hold, Rollout } from '#fleet/rollout.ts'
import { ORPHAN } from './legality.ts'
import { nextGeneration, orderOf } from './orders.ts'
import type { Plan } from './plan.ts'
import { isSettled, type RingView } from './standing.ts'

/** The order that stands is the last one this rollout wrote. */
export function isOurs(rollout: Rollout, { ring, standing, byHand }: RingView): boolean {
  if (standing.kind !== 'record' || byHand) return false
  const { target } = standing
  return target.rollout === rollout.id && target.generation === rollout.generations[ring]
}

/**
 * A ring is begun only over a settled record that runs what the rollout took for its fallback (design section 6), or over the last word
 * of the rollout before on a build that never ran anywhere there.
 */
export function mayBeginOver(rollout: Rollout, { ring, standing, byHand }: RingView): boolean {
  if (standing.kind !== 'record' || byHand) return false
  const { target } = standing
  const back = rollout.fallbacks[ring]?.build ?? null
  const stillborn = back === null && target.generation === rollout.generations[ring]
  return isSettled(target) && (target.build === back || stillborn)
}

/** What a person is told of a key that does not hold an order of ours. */
export function describeStanding({ ring, standing }: RingView): string {
  switch (standing.kind) {
    case 'gone':
      return `the target key of ${ring} is gone`
    case 'rejected':
      return `the target of ${ring} cannot be read: ${standing.message}`
    case 'bare':
      return `the target of ${ring} is the bare build id ${standing.bare.build}`
    case 'record': {
      const { build, generation, by, at } = standing.target
      return `the target of ${ring} orders ${build ?? 'nothing'} (generation ${generation}, by ${by || 'nobody'}, ${at || 'no time'})`
    }
  }
}

/** `the line is stopped by ben: database upgrade`. */
export function describeHolds(holds: readonly LineHold[]): string {
  return holds
    .map(({ ring, by, reason, expires }) => {
      const what = ring === null ? 'the line is stopped' : `${ring} is stopped`
      return `${what} by ${by}${expires === null ? '' : ` until ${expires}`}: ${reason}`
    })
    .join('; ')
}

export function orphanHold(view: RingView, now: number): Hold {
  return {
    by: 'conduct',
    code: ORPHAN,
    reason: `${describeStanding(view)}: this rollout did not write it`,
    at: new Date(now).toISOString(),
  }
}

/** A node that reports a higher generation than the key ignores the key: the same order is written again above it. */
export function ahead(rollout: Rollout, view: RingView, now: number): Plan | null {
  if (view.standing.kind !== 'record') return null
  const { target } = view.standing
  const nodes = view.nodes
    .filter(({ status }) => status.generation > target.generation)
    .map(({ status }) => status.node)
  if (nodes.length === 0) return null
  const again = { ...target, generation: nextGeneration(rollout, view), at: new Date(now).toISOString() }
  const message = `nodes accepted a generation above ${target.generation} already`
  return {
    action: { type: 'order', order: orderOf('rewrite', view, again, []) },
    because: [{ code: 'node-ahead', message, nodes }],
  }
}
