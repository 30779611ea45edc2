// Owns which builds are pending: published, and not what production is ordered to run.
import type { CatalogEntry } from '#fleet/ports.ts'

export interface Pending {
  readonly entry: CatalogEntry
  /** Rings whose nodes run it already. */
  readonly running: readonly string[]
  /** It proved good in the last ring once, and does not run there now: it was taken back, or passed over. */
  readonly wasThere: boolean
}

/**
 * Builds published after the one that runs in the last ring; all of them where nothing runs there, or where what runs is not in the catalog.
 * @param builds newest first
 * @param running build → rings where nodes run it
 */
export function pendingBuilds(
  builds: readonly CatalogEntry[],
  last: { readonly ring: string; readonly build: string | null },
  running: (build: string) => readonly string[],
): readonly Pending[] {
  const at = builds.findIndex(({ build }) => build === last.build)
  const newer = at < 0 ? builds : builds.slice(0, at)
  return newer.map((entry) => ({
    entry,
    running: running(entry.build),
    wasThere: entry.good[last.ring] !== undefined,
  }))
}
