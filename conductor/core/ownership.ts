// Owns telling our own orders from those of others: what a rollout may write over, and what it must not.
import type { LineHold } from '#fleet/hold.ts'
import type { Hold, Rollout } from '#fleet/rollout.ts'
import type { RosterNode } from '#fleet/roster.ts'
import type { Target } from '#fleet/target.ts'
import { ORPHAN } from './legality.ts'
import { nextGeneration, orderOf, reached } from './orders.ts'
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

/**
 * Obeys an order that the key has forgotten: it accepted a higher generation, or, as Consul was restored and the number given out once more,
 * another record of this one.
 */
function isAhead({ status }: RosterNode, { generation }: Target): boolean {
  const refused = status.troubles.some(({ code }) => code === 'TARGET_REGRESSED')
  return status.generation > generation || (status.generation === generation && refused)
}

/** Since when nodes of a ring were seen to be ahead of their key, in milliseconds since 1970, by ring. */
export type AheadSince = Readonly<Record<string, number>>

/** The same, one look later. */
export function stillAhead(before: AheadSince, rings: Readonly<Record<string, RingView>>, now: number): AheadSince {
  const seen = Object.values(rings).filter(({ standing, nodes }) => {
    return standing.kind === 'record' && nodes.some((node) => isAhead(node, standing.target))
  })
  return Object.fromEntries(seen.map(({ ring }) => [ring, before[ring] ?? now]))
}

/**
 * Statuses are restored along with the key: until a node has met the old order and said so, its status tells of a time before it was brought to
 * the build. An order written on the word of the first that speaks would take the others back.
 */
const SPEAK_MS = 5_000

/**
 * A node that obeys another order than the key's ignores the key: the same order is written again above it. Whoever was brought further
 * by what was forgotten stays there: a cutoff rises in a rollout, also one that Consul does not remember.
 * @param sinceMs since when it is seen, where all are to be heard first
 */
export function ahead(rollout: Rollout, view: RingView, now: number, sinceMs?: number): Plan | null {
  if (view.standing.kind !== 'record') return null
  const { target } = view.standing
  const further = view.nodes.filter((node) => isAhead(node, target))
  const nodes = further.map(({ status }) => status.node)
  if (nodes.length === 0) return null
  const message = `nodes obey another order than generation ${target.generation}, which the key shows`
  const because = [{ code: 'node-ahead', message, nodes }]
  if (sinceMs !== undefined && now - sinceMs < SPEAK_MS) return { action: { type: 'wait' }, because }
  const forward = rollout.phase !== 'recalling' && target.build === rollout.build
  const cutoff = forward ? Math.max(target.cutoff, reached(rollout, further, target.salt)) : target.cutoff
  const stamp = { generation: nextGeneration(rollout, view), at: new Date(now).toISOString() }
  const again = { ...target, ...stamp, cutoff }
  return { action: { type: 'order', order: orderOf('rewrite', view, again, []) }, because }
}
