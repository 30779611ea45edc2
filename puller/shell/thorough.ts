// Owns the slow way of staging, which can always be taken: every path is looked at, what no record vouches for is hashed, and what is not as
// the build has it is changed.
import { Chunks } from '#fleet/kept-chunks.ts'
import type { Entry } from '#fleet/manifest.ts'
import { contentsOf, type StagePlan, stagePlan } from '#fleet/stage-plan.ts'
import { apply } from './apply.ts'
import type { Bringing } from './bring.ts'
import type { HotBuild } from './columns-of.ts'
import type { Downloads } from './fetch.ts'
import type { Ground } from './ground.ts'
import type { LocalManifest } from './manifests.ts'
import { recordOf } from './record.ts'
import type { SealRecord } from './seal.ts'
import { type Sight, see } from './sight.ts'
import type { StageJob } from './stage-job.ts'
import type { Supply } from './supply.ts'
import { syncTree } from './sync-volume.ts'
import type { Walk } from './walk.ts'
import type { Workers } from './workers.ts'

export interface ThoroughWorld {
  readonly job: StageJob
  readonly workers: Workers
  readonly downloads: Downloads
  readonly supply: Supply
  /** Of cold, if it is sealed; with its manifest it vouches for what it saw. */
  readonly record: SealRecord | null
  readonly before: () => LocalManifest | null
  readonly hot: HotBuild | null
  /** Everything is brought in beside the tree first. */
  readonly aside: boolean
  readonly needIdle: (walk: Walk) => Promise<void>
  readonly spread: () => Promise<void>
  readonly onUnseal: () => void
}

export class Thorough {
  readonly #ground: Ground
  readonly #world: ThoroughWorld
  readonly #tree: string

  constructor(ground: Ground, world: ThoroughWorld) {
    this.#ground = ground
    this.#world = world
    this.#tree = ground.layout.tree[world.job.cold]
  }

  walk(): Promise<Walk> {
    return this.#world.workers.call(0, 'walk', [this.#tree])
  }

  /** What lies in the tree. */
  async see(walk: Walk, wanted: LocalManifest): Promise<Sight> {
    const { record, before, workers } = this.#world
    const entries = before()?.manifest.entries
    const vouched = entries && record?.ino.length === entries.length + 1 ? { entries, record } : null
    return await see(workers, this.#tree, walk, wanted.manifest.entries, vouched, this.#ground.owner)
  }

  plan(sight: Sight, wanted: LocalManifest): StagePlan {
    const sources = contentsOf(this.#world.hot?.local()?.manifest.entries ?? [])
    return stagePlan(wanted.manifest.entries, sight.view, sources)
  }

  /** Everything from the first file aside to `syncfs`. After it the tree is complete and durable, but for its seal. @throws as `apply` */
  async apply(
    plan: StagePlan,
    sight: Sight,
    wanted: LocalManifest,
    signal: AbortSignal,
  ): Promise<'delta' | 'ranges' | 'whole'> {
    const { job, supply, aside, needIdle, spread, onUnseal } = this.#world
    const how = await apply(this.#ground, {
      plan,
      view: sight.view,
      bringing: this.#bringing(wanted.manifest, sight, signal),
      supply,
      cold: job.cold,
      needIdle: () => needIdle(sight.walk),
      aside,
      spread,
      onUnseal,
    })
    await syncTree(this.#ground.layout, job.cold)
    return how
  }

  /** @param nowMs the disk's time just before the walk */
  async record(plan: StagePlan, sight: Sight, wanted: LocalManifest, nowMs: number): Promise<SealRecord> {
    const { layout, clock } = this.#ground
    const world = { workers: this.#world.workers, tree: this.#tree, tmp: layout.tmp, clock }
    return await recordOf(world, plan, sight, wanted.manifest.entries, nowMs)
  }

  #bringing(manifest: LocalManifest['manifest'], sight: Sight, signal: AbortSignal): Bringing {
    const { job, workers, downloads, before, hot } = this.#world
    const isTrusted = (entry: Entry) => sight.view.get(entry.path)?.content === entry.content
    const chunks = new Chunks(hot?.local()?.manifest ?? null, before()?.manifest ?? null, isTrusted)
    return {
      ...{ manifest, workers, downloads, signal },
      onProgress: job.onProgress,
      trees: { hot: job.hot === null ? '' : this.#ground.layout.tree[job.hot], cold: this.#tree },
      kept: async () => (index) => chunks.keptOf(manifest.entries[index], manifest.frames),
      replaces: (path) => sight.view.get(path)?.type === 'f',
    }
  }
}
