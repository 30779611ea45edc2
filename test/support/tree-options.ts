// Owns the options of trees under test: no waiting that the test does not ask for.
import type { Name } from '#fleet/build.ts'
import type { TreesOptions } from '#puller/shell/trees.ts'

export const APP = 'web' as Name

export const QUICK: Omit<TreesOptions, 'root' | 'app'> = {
  coldInUse: { policy: 'refuse', seconds: 0 },
  coldQuietSeconds: 0,
  repairSeconds: 5,
  fetch: { spreadSeconds: 0, maxBytesPerSecond: null, minBytesPerSecond: 1_024, stallSeconds: 5 },
}
