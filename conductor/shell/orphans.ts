// Owns telling the history of orphan writes: each once, by whoever holds the lease and looks.
import { ORPHAN_WRITE, type Orphan, orphansIn, untold } from '#conductor/core/orphan.ts'
import type { Name } from '#fleet/build.ts'
import type { Lease, Ledger, LedgerView } from '#fleet/ports.ts'
import { execute, type Told } from './execute.ts'

/** How far back the history is asked whether it knows of one. */
const RECENT = 500

/** Orphan writes in view that the history does not tell of. Reads nothing when there is none. */
export async function untoldOrphans(
  ledger: Ledger,
  seen: LedgerView,
  app: Name,
  signal: AbortSignal,
): Promise<readonly Orphan[]> {
  const orphans = orphansIn(seen.targets, seen.rollout?.record ?? null, app)
  return orphans.length === 0 ? [] : untold(orphans, await ledger.history(RECENT, signal))
}

export function tellOrphans(orphans: readonly Orphan[], noticedBy: string, at: string): readonly Told[] {
  return orphans.map((orphan) => ({ at, by: 'unknown', event: ORPHAN_WRITE, facts: { ...orphan, noticedBy } }))
}

/** Looks for orphan writes turn after turn, and asks the history about each no more than once. */
export class OrphanWatch {
  private readonly told = new Set<string>()

  /** Writes down what is new. @returns whether anything was @throws what a commit throws */
  async record(
    world: { readonly ledger: Ledger; readonly lease: Lease },
    seen: LedgerView,
    of: { readonly app: Name; readonly by: string; readonly at: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const nameOf = ({ ring, modifyIndex, digest }: Orphan) => `${ring} ${modifyIndex} ${digest}`
    const standing = orphansIn(seen.targets, seen.rollout?.record ?? null, of.app)
    if (standing.every((orphan) => this.told.has(nameOf(orphan)))) return false
    const fresh = await untoldOrphans(world.ledger, seen, of.app, signal)
    const told = tellOrphans(fresh, of.by, of.at)
    if (told.length > 0) await execute(world, seen, { rollout: null, events: [], told, answered: [] }, signal)
    for (const orphan of standing) this.told.add(nameOf(orphan))
    return told.length > 0
  }
}

/** Every ring that anything is known of: of the plan, of the last rollouts, and whatever has keys. A key that was deleted is missed only so. */
export async function everyRing(
  ledger: Ledger,
  planned: readonly Name[],
  signal: AbortSignal,
): Promise<readonly Name[]> {
  const [keyed, { rollout }] = await Promise.all([ledger.rings(signal), ledger.view(planned, signal)])
  const ordered = Object.keys(rollout?.record.generations ?? {}) as Name[]
  return [...new Set([...planned, ...keyed, ...ordered])]
}
