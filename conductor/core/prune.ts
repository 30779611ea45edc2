// Owns retention: which builds may go, and for each that stays the reason.
import type { Name } from '#fleet/build.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { leftBy } from './force.ts'
import { goodAt, goodIn } from './good.ts'
import type { RingView } from './standing.ts'

/** Reason of the quarantine that an entry is under while its objects go. */
export const PRUNING = 'being pruned'

/** An entry that a prune marked and did not get to the end of. */
export function isHalfPruned({ quarantine }: CatalogEntry): boolean {
  return quarantine?.reason === PRUNING
}

export interface PruneWish {
  /** The newest builds that stay whatever else is true of them. */
  readonly keep: number
  /** Builds younger than this stay, in milliseconds; null: age does not matter. */
  readonly olderThanMs: number | null
  /** Good builds of each ring that stay, the last to prove themselves; null: all of them. */
  readonly keepGood: number | null
}

export interface PruneFacts {
  /** Newest first. */
  readonly builds: readonly CatalogEntry[]
  /** Every ring that has keys, also one that no plan names. */
  readonly rings: readonly RingView[]
  readonly rollout: Rollout | null
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface Kept {
  readonly build: string
  readonly because: readonly string[]
}

export interface PrunePlan {
  /** Oldest first: what goes when it is broken off is what is missed least. */
  readonly remove: readonly CatalogEntry[]
  readonly keep: readonly Kept[]
}

export function planPrune(wish: PruneWish, facts: PruneFacts): PrunePlan {
  const { builds } = facts
  const reasons = new Map<string, string[]>()
  const keep = (build: string | null | undefined, why: string): void => {
    if (build === null || build === undefined) return
    const known = reasons.get(build) ?? []
    if (!known.includes(why)) reasons.set(build, [...known, why])
  }
  for (const view of facts.rings) keepRing(view, facts.rollout, keep)
  keepRollout(facts.rollout, keep)
  for (const ring of goodRings(builds, facts.rings)) {
    const good = goodIn(builds, ring)
    for (const { build } of good.slice(0, wish.keepGood ?? good.length)) keep(build, `good in ${ring}`)
  }
  builds.forEach((entry, place) => {
    const { build, createdAt } = entry
    // Something of it is gone already: neither its place nor its age makes it whole again.
    if (isHalfPruned(entry)) return
    if (place < wish.keep) keep(build, `one of the newest ${wish.keep}`)
    // A time that cannot be read is no proof of age.
    const ageMs = facts.now - Date.parse(createdAt)
    if (wish.olderThanMs !== null && !(ageMs > wish.olderThanMs)) keep(build, 'too young')
  })
  const remove = builds.filter(({ build }) => !reasons.has(build)).toReversed()
  const kept = builds.flatMap(({ build }) => {
    const because = reasons.get(build)
    return because === undefined ? [] : [{ build, because }]
  })
  return { remove, keep: kept }
}

type Keep = (build: string | null | undefined, why: string) => void

/** What nodes have on disk, silent ones too, and what they are ordered to have, also where the key itself says nothing. */
function keepRing(view: RingView, rollout: Rollout | null, keep: Keep): void {
  const { ring, standing, nodes } = view
  for (const { status } of nodes) {
    keep(status.hot, `hot on ${status.node}`)
    keep(status.cold, `cold on ${status.node}`)
  }
  if (standing.kind === 'record' || standing.kind === 'bare') {
    keep(standing.target.build, `ordered in ${ring}`)
    keep(standing.target.fallback, `fallback in ${ring}`)
  }
  const left = leftBy(rollout, ring)
  keep(left?.build.build, `ordered in ${ring}`)
  keep(left?.fallback?.build, `fallback in ${ring}`)
}

/** The open rollout, and the last one too: it is what a rollback would undo. */
function keepRollout(rollout: Rollout | null, keep: Keep): void {
  if (rollout === null) return
  const what = rollout.endedAt === null ? 'of the open rollout' : 'of the last rollout'
  keep(rollout.build, what)
  for (const back of Object.values(rollout.fallbacks)) keep(back?.build, what)
  for (const { prior } of Object.values(rollout.marks ?? {})) keep(prior?.build, what)
}

function goodRings(builds: readonly CatalogEntry[], rings: readonly RingView[]): readonly Name[] {
  const proved = builds.flatMap((entry) =>
    Object.keys(entry.good).filter((ring) => goodAt(entry, ring as Name) !== null),
  )
  return [...new Set([...rings.map(({ ring }) => ring), ...(proved as Name[])])]
}

/** Why it cannot be known what may go, or null: what cannot be read might name any build. */
export function pruneDoubt({ rings }: PruneFacts): { readonly code: ErrorCode; readonly message: string } | null {
  for (const { ring, standing, nodes } of rings) {
    if (standing.kind === 'rejected')
      return { code: standing.code, message: `the target of ${ring}: ${standing.message}` }
    const mute = nodes.find(({ status }) => status.at === '')
    if (mute !== undefined) {
      const message = `what ${mute.status.node} of ${ring} has on its disk is not known: its status cannot be read`
      return { code: 'RECORD_INVALID', message }
    }
  }
  return null
}
