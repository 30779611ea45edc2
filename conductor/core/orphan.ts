// Owns finding orphan writes: what stands in a target key and was written by nobody who held the lease.
import type { Name } from '#fleet/build.ts'
import type { HistoryEntry, TargetView } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { orderDigest } from '#fleet/target.ts'
import { readStanding } from './standing.ts'

/** Name of the history entry that says so; nobody knows who wrote, so it is by `unknown`. */
export const ORPHAN_WRITE = 'orphan-write'

/** Characters of a foreign value that the history keeps. */
const SHOWN = 200

export interface Orphan {
  readonly ring: Name
  /** Consul's index of that write; 0 for a key that was deleted. */
  readonly modifyIndex: number
  /** The value, shortened; null for a key that was deleted. */
  readonly value: string | null
  readonly bytes: number
  readonly digest: string | null
}

/** The bytes of a key are not what was written there last; false where that is not known. */
export function isByHand(raw: Uint8Array | null, rollout: Rollout | null, ring: Name): boolean {
  const written = rollout?.orders?.[ring]
  return raw !== null && written !== undefined && orderDigest(raw) !== written
}

/** Every target that nobody with the lease wrote. What `init` writes asks for nothing, and is nobody's order. */
export function orphansIn(
  targets: Readonly<Record<string, TargetView>>,
  rollout: Rollout | null,
  app: Name,
): readonly Orphan[] {
  return Object.entries(targets).flatMap(([name, view]): readonly Orphan[] => {
    const ring = name as Name
    if (!isOrphan(view, rollout, app, ring)) return []
    const { raw, index } = view
    if (raw === null) return [{ ring, modifyIndex: 0, value: null, bytes: 0, digest: null }]
    const value = new TextDecoder().decode(raw.subarray(0, 4 * SHOWN)).slice(0, SHOWN)
    return [{ ring, modifyIndex: index, value, bytes: raw.byteLength, digest: orderDigest(raw) }]
  })
}

function isOrphan(view: TargetView, rollout: Rollout | null, app: Name, ring: Name): boolean {
  const written = rollout?.orders?.[ring]
  const generation = rollout?.generations[ring]
  if (view.raw === null) return written !== undefined || generation !== undefined
  const standing = readStanding(view, app, ring)
  if (standing.kind !== 'record') return true
  const { target } = standing
  if (target.build === null && target.generation === 0) return false
  if (written !== undefined) return orderDigest(view.raw) !== written
  // Of a rollout that was written before digests were kept, the generation is all that is known.
  return target.generation !== generation
}

/**
 * Those that the history does not tell of yet. The last thing it says of a ring's key is the order that was written, or the orphan that was found.
 * @param recent newest first
 */
export function untold(orphans: readonly Orphan[], recent: readonly HistoryEntry[]): readonly Orphan[] {
  return orphans.filter(({ ring, modifyIndex, digest }) => {
    const last = recent.find(
      ({ event, facts }) => facts.ring === ring && (event === 'ordered' || event === ORPHAN_WRITE),
    )
    if (last?.event !== ORPHAN_WRITE) return true
    return last.facts.modifyIndex !== modifyIndex || last.facts.digest !== digest
  })
}
