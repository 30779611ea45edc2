// Owns removing builds from catalog and store, in an order that a crash cannot spoil.
import { isHalfPruned, PRUNING } from '#conductor/core/prune.ts'
import { FleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { BuildStore, Catalog, CatalogEntry } from '#fleet/ports.ts'

export interface PrunePorts {
  readonly store: BuildStore
  readonly catalog: Catalog
}

/**
 * Removes one build. Its catalog entry is marked first (quarantined: from here on nobody can release it) and removed last: whatever point a
 * crash leaves it at, the entry still names what is left in the store, no entry ever names a build as fit whose objects are gone, and the next
 * prune goes on. Among the objects the manifest goes first, as it came last: without it nothing of the build is believed.
 * @returns how many objects were removed
 * @throws FleetError `WRITE_CONFLICT` when somebody changed the entry meanwhile, and what store and catalog throw
 */
export async function pruneBuild(
  { store, catalog }: PrunePorts,
  entry: CatalogEntry,
  of: { readonly by: string; readonly at: string },
  signal: AbortSignal,
): Promise<number> {
  const { build } = entry
  const found = await catalog.find(build, signal)
  if (found === null) return 0
  if (!isHalfPruned(found.entry)) {
    const quarantine = { by: of.by, reason: PRUNING, at: of.at }
    await catalog.put({ ...found.entry, quarantine }, found.index, signal)
  }
  let removed = 0
  const manifest = objectsOf.manifest(build)
  const names = await Array.fromAsync(store.list(`${build}/`, signal))
  for (const name of names.toSorted((a, b) => Number(b === manifest) - Number(a === manifest))) {
    await store.remove(name, signal)
    removed += 1
  }
  const marked = await catalog.find(build, signal)
  if (marked === null) return removed
  if (!isHalfPruned(marked.entry)) {
    throw new FleetError('WRITE_CONFLICT', `the catalog entry of ${build} changed while it was pruned; it was left`)
  }
  await catalog.remove(build, marked.index, signal)
  return removed
}

/** Removes the deltas of builds that stay which begin at one that is gone: no node can use them any more. */
export async function pruneDeltas(
  store: BuildStore,
  kept: readonly string[],
  gone: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (const build of kept) {
    const names = await Array.fromAsync(store.list(`${build}/from/`, signal))
    const older = (name: string): string => /\/from\/(.+)\.delta\.zst$/.exec(name)?.[1] ?? ''
    for (const name of names.filter((each) => gone.has(older(each)))) {
      await store.remove(name, signal)
      removed += 1
    }
  }
  return removed
}
