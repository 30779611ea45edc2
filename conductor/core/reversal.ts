// Owns how a rollback begins: what goes back to what in each ring, or why nothing does.
import { assert } from '#fleet/assert.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { BuildRef, Rollout } from '#fleet/rollout.ts'
import { ALL } from '#fleet/target.ts'
import type { Refusal, ReleaseFacts } from './beginning.ts'
import { type Force, forceIn, isBeyondUs } from './force.ts'
import { goodBefore } from './good.ts'
import { beginRollout, isOver, reduce } from './reduce.ts'
import type { RingView } from './standing.ts'

export interface RollbackWish {
  readonly app: Name
  readonly by: string
  readonly reason: string
  readonly id: string
  readonly at: string
  /** `previous`: the build before the running one, also where that was rolled back to just now. */
  readonly previous: boolean
  /** A command is owed to the end of the way back. */
  readonly afterRollout?: boolean
}

export type RollbackStart =
  /** The open rollout turns back. */
  | { readonly kind: 'turn'; readonly rollout: Rollout }
  /** It turns back already. */
  | { readonly kind: 'join'; readonly rollout: Rollout }
  /** No rollout is open: one rollout of the way back for each build that is taken back. */
  | { readonly kind: 'reverse'; readonly rollouts: readonly Rollout[] }
  | { readonly kind: 'already'; readonly message: string }
  | Refusal

/** Causes that are our own verdict: whoever types `rollback` after one of them asks for what has been done already. */
const OWN_VERDICTS = ['failures-over-budget', 'gate-failed', 'identity-mismatch', 'smoke-failed']

export function startRollback(wish: RollbackWish, facts: ReleaseFacts): RollbackStart {
  const { rollout } = facts
  if (rollout !== null && !isOver(rollout)) {
    return rollout.phase === 'recalling' ? { kind: 'join', rollout } : { kind: 'turn', rollout }
  }
  if (!wish.previous && rollout !== null && isUndone(rollout, facts.rings)) {
    const back = Object.values(rollout.fallbacks)[0]
    return {
      kind: 'already',
      message: `Rollout ${rollout.id} of ${rollout.build} was rolled back already, by itself: the order is ${back?.build ?? 'nothing'}; conduct rollback --to previous goes one build further back`,
    }
  }
  const beyond = facts.rings.find((view) => isBeyondUs(view, facts.rollout, facts.builds))
  if (beyond !== undefined) return beyondUs(beyond)
  const forces = facts.rings.map((view) => ({ ring: view.ring, force: wayBack(view, facts) }))
  const known = forces.flatMap(({ ring, force }) => (force === null ? [] : [{ ring, force }]))
  const stuck = known.filter(({ force }) => force.fallback === null)
  if (known.length === 0 || stuck.length > 0) {
    const where = (known.length === 0 ? forces : stuck).map(({ ring }) => ring).join(', ')
    const running = stuck[0]?.force.build.build
    const only = `${running} is the only build known in ${where}`
    const message = running === undefined ? `nothing was released to ${where} yet` : only
    return { kind: 'refuse', code: 'NO_PREVIOUS', message }
  }
  const banned = known.find(({ force }) => isQuarantined(force.fallback, facts))
  if (banned !== undefined) {
    const { ring, force } = banned
    const message = `${ring} would go back to ${force.fallback?.build}, which is under quarantine, and no other build is good there; conduct rollback --to BUILD names one`
    return { kind: 'refuse', code: 'BUILD_QUARANTINED', message }
  }
  return { kind: 'reverse', rollouts: grouped(known).map((group, i) => reversal(wish, group, facts, i)) }
}

/** Consul and the catalog were restored to before what the nodes run: any order to the whole ring would move all of it at once. */
function beyondUs({ ring, nodes }: RingView): Refusal {
  const run = [...new Set(nodes.flatMap(({ status }) => status.hot ?? []))].join(' and ')
  const fact = `${ring} runs ${run} by an order that Consul has forgotten, and what ran before it is not known`
  return { kind: 'refuse', code: 'NO_PREVIOUS', message: `${fact}; conduct rollback --to BUILD names a build` }
}

/**
 * What is in force, with where it goes back to: what the order names, which most nodes have in cold; where it names nothing, or a build under
 * quarantine, the last good build before. Another build comes into a ring only while it runs one on every node: never three at once.
 */
function wayBack(view: RingView, facts: ReleaseFacts): Force | null {
  const force = forceIn(view, facts.rollout, facts.builds)
  if (force === null || force.cutoff !== ALL) return force
  if (force.fallback !== null && !isQuarantined(force.fallback, facts)) return force
  return { ...force, fallback: goodBefore(facts.builds, view.ring, force.build) ?? force.fallback }
}

function isQuarantined(ref: BuildRef | null, { builds }: ReleaseFacts): boolean {
  return builds.some(({ build, quarantine }) => build === ref?.build && quarantine !== null)
}

/** The last rollout ended in a rollback of our own, and its closing records still stand. */
function isUndone(rollout: Rollout, rings: readonly RingView[]): boolean {
  if (rollout.phase !== 'rolledBack' || !OWN_VERDICTS.includes(rollout.cause ?? '')) return false
  return rings.every(({ ring, standing }) => {
    return standing.kind === 'record' && standing.target.generation === rollout.generations[ring]
  })
}

interface Reversed {
  readonly ring: Name
  readonly force: Force
}

/** Rings that go back from the same build together. */
function grouped(known: readonly Reversed[]): readonly (readonly Reversed[])[] {
  const groups = new Map<BuildId, Reversed[]>()
  for (const one of known) groups.set(one.force.build.build, [...(groups.get(one.force.build.build) ?? []), one])
  return [...groups.values()]
}

/** A rollout that is born on its way back. Its marks tell `plan` what it takes back, as if it had brought it. */
function reversal(wish: RollbackWish, group: readonly Reversed[], facts: ReleaseFacts, index: number): Rollout {
  const [first] = group
  assert(first !== undefined, 'a group holds a ring')
  const { build, manifest } = first.force.build
  const { app, by, reason, at } = wish
  const id = index === 0 ? wish.id : `${wish.id}-${index + 1}`
  const stages = group.map(({ ring }) => ({ ring, share: 100 }))
  const fallbacks = Object.fromEntries(group.map(({ ring, force }) => [ring, force.fallback]))
  const names = { app, id, build, manifest, by, reason, at }
  const fresh = beginRollout({
    ...names,
    stages,
    fallbacks,
    attempt: 1,
    activation: null,
    adopt: true,
    there: [],
    generations: {},
    afterRollout: wish.afterRollout ?? false,
  })
  const marks = group.map(({ ring, force }) => [ring, markOf(ring, force, facts)])
  const written = facts.rollout?.generations ?? {}
  const generations = group.map(({ ring, force }) => [ring, Math.max(force.generation, written[ring] ?? 0)])
  const born = {
    ...fresh,
    marks: Object.fromEntries(marks),
    generations: { ...written, ...Object.fromEntries(generations) },
  }
  return reduce(born, { type: 'recallBegun', cause: 'operator', outcome: `rolled back by ${by}` })
}

function markOf(ring: Name, force: Force, facts: ReleaseFacts) {
  const { salt, cutoff, fallback } = force
  const prior = fallback === null ? null : goodBefore(facts.builds, ring, fallback)
  // Began at 0: whatever a node said last of running the build counts, however long ago it was brought there.
  return { began: 0, salt, peak: cutoff, recalled: null, closed: null, prior }
}
