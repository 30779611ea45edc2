// Owns which order is really in force in a ring: what the nodes obey, when the key itself may hold anything.
import type { Name } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef, Rollout } from '#fleet/rollout.ts'
import { ALL } from '#fleet/target.ts'
import { forgottenIn } from './forgotten.ts'
import type { RingView } from './standing.ts'

/** The order that a ring's nodes follow, as far as it can be known. `cutoff` and `salt` say who follows which half of it. */
export interface Force {
  readonly build: BuildRef
  readonly fallback: BuildRef | null
  readonly cutoff: number
  readonly salt: string
  readonly generation: number
}

function refOf(build: CatalogEntry['build'] | null, manifest: CatalogEntry['manifest'] | null): BuildRef | null {
  return build === null || manifest === null ? null : { build, manifest }
}

/** Readable, but not above what nodes accepted already: nobody obeys it. */
export function isRegressed(view: RingView, rollout: Rollout | null): boolean {
  if (view.standing.kind !== 'record') return false
  const { generation } = view.standing.target
  const written = rollout?.generations[view.ring] ?? 0
  const same = generation === written && isForeign(view, rollout)
  return same || generation < written || view.nodes.some(({ status }) => status.generation > generation)
}

/** A record that the last rollout to come here did not write. */
export function isForeign(view: RingView, rollout: Rollout | null): boolean {
  if (view.byHand && view.standing.kind === 'record') return true
  const mark = rollout?.marks?.[view.ring]
  if (view.standing.kind !== 'record' || rollout === null || mark === undefined) return false
  // A way back that has written nothing yet stands over the record that it takes back.
  if (mark.began === 0 && mark.recalled === null) return false
  const { target } = view.standing
  return target.rollout !== rollout.id || target.generation !== rollout.generations[view.ring]
}

/** What the last rollout left in a ring, or null when it never came there. */
export function leftBy(rollout: Rollout | null, ring: Name): Force | null {
  const mark = rollout?.marks?.[ring]
  if (rollout === null || mark === undefined) return null
  const back = rollout.fallbacks[ring] ?? null
  const generation = rollout.generations[ring] ?? 0
  if (mark.closed !== null) {
    if (back === null) return null
    return { build: back, fallback: mark.prior, cutoff: ALL, salt: rollout.id, generation }
  }
  const build = { build: rollout.build, manifest: rollout.manifest }
  return { build, fallback: back, cutoff: mark.peak, salt: mark.salt, generation }
}

/** The build that nodes were to run before anything stood in the key that is not ours. */
export function runningUnder(force: Force | null): BuildRef | null {
  if (force === null) return null
  return force.cutoff > 0 ? force.build : force.fallback
}

/**
 * The order in force. A key that is gone, unreadable or behind its nodes leaves in force what the last rollout wrote, or what nodes obey that
 * Consul has forgotten; a bare id is in force with what ran before as its fallback, unless nobody can know its manifest.
 */
export function forceIn(view: RingView, rollout: Rollout | null, builds: readonly CatalogEntry[]): Force | null {
  const { standing, ring } = view
  const left = leftBy(rollout, ring)
  if (standing.kind === 'bare') {
    const { build } = standing.bare
    const entry = builds.find((known) => known.build === build)
    if (entry === undefined) return left
    const before = runningUnder(left)
    const fallback = before !== null && before.build === build ? (left?.fallback ?? null) : before
    const { generation } = standing.target
    return { build: { build, manifest: entry.manifest }, fallback, cutoff: ALL, salt: build, generation }
  }
  const forgotten = forgottenBy(view, rollout, builds)
  if (forgotten !== null && forgotten !== 'unknown') return forgotten
  if (standing.kind !== 'record' || (isRegressed(view, rollout) && left !== null)) return left
  const { target } = standing
  const build = refOf(target.build, target.manifest)
  if (build === null) return null
  const own = refOf(target.fallback, target.fallbackManifest)
  const byHand = isForeign(view, rollout)
  const before = runningUnder(left)
  const fallback = own ?? (byHand && before?.build !== build.build ? before : null)
  const { cutoff, salt, generation } = target
  return { build, fallback, cutoff, salt, generation }
}

function forgottenBy(view: RingView, rollout: Rollout | null, builds: readonly CatalogEntry[]) {
  const remembered = { left: leftBy(rollout, view.ring), written: rollout?.generations[view.ring] ?? 0 }
  return forgottenIn(view, remembered, builds)
}

/** Nodes obey an order that Consul has forgotten, and nothing here tells which: what the last rollout left is no guide to what they run. */
export function isBeyondUs(view: RingView, rollout: Rollout | null, builds: readonly CatalogEntry[]): boolean {
  return forgottenBy(view, rollout, builds) === 'unknown'
}
