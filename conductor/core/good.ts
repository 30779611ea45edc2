// Owns the one definition of good: a build that converged on a ring and soaked there, and is not under quarantine.
import type { Name } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef } from '#fleet/rollout.ts'

/** When the build proved good in a ring, or null: it never did, or it is under quarantine. */
export function goodAt({ good, quarantine }: CatalogEntry, ring: Name): string | null {
  return quarantine === null ? (good[ring] ?? null) : null
}

/** The entry of a build that converged and soaked in these rings. @param at ISO 8601 */
export function provedGood(entry: CatalogEntry, rings: readonly Name[], at: string): CatalogEntry {
  return { ...entry, good: { ...entry.good, ...Object.fromEntries(rings.map((ring) => [ring, at])) } }
}

/** The builds that are good in a ring, the one that proved itself last first. */
export function goodIn(builds: readonly CatalogEntry[], ring: Name): readonly CatalogEntry[] {
  const proved = builds.flatMap((entry) => {
    const at = goodAt(entry, ring)
    return at === null ? [] : [{ entry, at }]
  })
  return proved.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0)).map(({ entry }) => entry)
}

/** The newest build that was good in a ring before `build` was: where one goes back to when nothing nearer is known, or twice. */
export function goodBefore(builds: readonly CatalogEntry[], ring: Name, build: BuildRef): BuildRef | null {
  // The time counts also where the build is under quarantine by now: it is about what came before.
  const own = builds.find((entry) => entry.build === build.build)?.good[ring] ?? null
  const older = goodIn(builds, ring).find((entry) => {
    const at = goodAt(entry, ring)
    return entry.build !== build.build && at !== null && (own === null || at < own)
  })
  return older === undefined ? null : { build: older.build, manifest: older.manifest }
}
