// Owns what a release begins from in tests: an entry of the catalog, and what a person asks for.
import type { ReleaseWish } from '#conductor/core/beginning.ts'
import type { BuildId } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { APP, C, digestFor } from './rollout-sim.ts'

/** A build that was published just now and proved good nowhere yet. */
export function entryOf(build: BuildId, over: Partial<CatalogEntry> = {}): CatalogEntry {
  return {
    app: APP,
    build,
    commit: null,
    createdAt: new Date().toISOString(),
    by: 'ci',
    manifest: digestFor(build),
    treeDigest: digestFor(build),
    artifact: { digest: digestFor(build), bytes: 1_234_567 },
    checks: {},
    good: {},
    quarantine: null,
    ...over,
  }
}

/** C, and nothing beside. */
export const WISH: ReleaseWish = {
  app: APP,
  build: C,
  by: 'ana',
  reason: '',
  adopt: false,
  restart: false,
  retry: false,
  id: 'r-x',
  at: '2026-11-22T16:04:30Z',
}
