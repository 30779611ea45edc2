// Owns what every operation on the trees of one root stands on: layout, marks, copies of manifests, options and the world.
import type { Name } from '#fleet/build.ts'
import type { BuildStore, Clock, Logger } from '#fleet/ports.ts'
import type { TreeName } from '../core/trees.ts'
import type { Owner } from './disk.ts'
import type { Cabinet } from './durable.ts'
import type { FetchOptions } from './fetch.ts'
import type { Layout } from './layout.ts'
import type { Manifests } from './manifests.ts'
import type { Marks } from './marks.ts'
import { readSeal, type Seal } from './seal.ts'

/** When cold may be written. */
export interface ColdRules {
  readonly policy: 'refuse' | 'assumeAfterSeconds'
  readonly seconds: number
  readonly quietSeconds: number
}

export interface Ground {
  readonly layout: Layout
  readonly app: Name
  readonly node: string
  readonly owner: Owner | null
  readonly cold: ColdRules
  readonly repairSeconds: number
  readonly fetch: FetchOptions & { readonly spreadSeconds: number }
  readonly cabinet: Cabinet
  readonly manifests: Manifests
  readonly marks: Marks
  readonly store: BuildStore
  readonly clock: Clock
  readonly log: Logger
}

export function sealOf(ground: Ground, tree: TreeName): Seal | null {
  return readSeal(ground.layout.root, tree, ground.app)
}
