// Owns staging and sweeping: cold is looked at, planned, brought up to date in place, proven durable, sealed and armed.
import { lstatSync, readdirSync } from 'node:fs'
import { isFleetError } from '#fleet/errors.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import type { Trouble } from '#fleet/node-status.ts'
import { isNothing, pathsOf, type StagePlan } from '#fleet/stage-plan.ts'
import type { StageResult } from '../core/trees.ts'
import { type ColumnsWorld, columnsOf, type HotBuild } from './columns-of.ts'
import type { DeltaBase } from './delta-source.ts'
import { ensureDiff, keepDiff } from './diffs.ts'
import { printable } from './directories.ts'
import { diskFault } from './disk-faults.ts'
import { Downloads } from './fetch.ts'
import { type Glance, glance, Lookout } from './glance.ts'
import { type Ground, sealOf } from './ground.ts'
import { needIdle } from './idle.ts'
import { Install } from './install.ts'
import type { LocalManifest } from './manifests.ts'
import { repairLimit, waitForMoment } from './moments.ts'
import { Patch } from './patch.ts'
import { diskNowMs } from './record.ts'
import { readRecord, type Seal, type SealRecord, writeSeal } from './seal.ts'
import { type Inodes, inodesOf } from './sight.ts'
import { lazily, type StageJob } from './stage-job.ts'
import { Supply } from './supply.ts'
import { Thorough } from './thorough.ts'
import type { Workers } from './workers.ts'

const MOST_DRIFT = 20

export class Staging {
  readonly #ground: Ground
  readonly #job: StageJob
  readonly #workers: Workers
  readonly #reading: ColumnsWorld
  readonly #downloads: Downloads
  readonly #startedMs: number
  /** Repairing a sealed tree: everything is brought in aside first, so that the seal is not given up for bytes that never come. */
  readonly #sweeping: boolean
  /** What was sealed when we came: cold's, which tells what may be kept, and hot's, which tells what may be copied. */
  readonly #seal: Seal | null
  readonly #record: SealRecord | null
  readonly #before: () => LocalManifest | null
  readonly #hot: HotBuild | null
  readonly #supply: Supply
  #unsealed = false

  constructor(ground: Ground, job: StageJob, workers: Workers) {
    this.#ground = ground
    this.#job = job
    this.#workers = workers
    this.#downloads = new Downloads(ground, ground.fetch)
    this.#startedMs = ground.clock.monotonic()
    this.#seal = sealOf(ground, job.cold)
    this.#record = this.#seal && !job.doubted ? readRecord(ground.layout, job.cold, this.#seal) : null
    this.#sweeping = this.#seal?.manifest === job.order.manifest
    const { manifests } = ground
    this.#reading = { manifests, workers }
    const hotSeal = job.hot === null ? null : sealOf(ground, job.hot)
    const read = (seal: Seal | null) => lazily(() => seal && manifests.load(seal.manifest))
    this.#before = read(this.#seal)
    this.#hot = hotSeal && { seal: hotSeal, local: read(hotSeal) }
    const base = (tree: 'hot' | 'cold', seal: Seal | null): DeltaBase[] =>
      seal === null ? [] : [{ tree, ...seal, bytes: () => manifests.glimpse(seal.manifest) }]
    // Deltas begin at what runs now: hot has that more often than cold.
    const bases = [...base('hot', hotSeal), ...base('cold', this.#seal)]
    this.#supply = new Supply(ground, this.#downloads, this.#wanted, this.#sweeping ? [] : bases)
  }

  async run(): Promise<StageResult> {
    try {
      return this.#sweeping ? await this.#sweep() : await this.#stage()
    } catch (error) {
      throw diskFault(error, `staging ${this.#job.order.build}`, this.#ground.layout.trees)
    } finally {
      await this.#supply.close()
    }
  }

  async #stage(): Promise<StageResult> {
    const { order, signal } = this.#job
    const { manifests, layout } = this.#ground
    // A tree that was busy the last time is asked again before anything is fetched: this may go on for hours.
    if (this.#job.busy) await this.#needIdle(inodesOf(await this.#workers.call(0, 'walk', [this.#tree])))
    if (!manifests.has(order.manifest)) await this.#spread()
    // Cold is looked at while manifest and bytes are on their way.
    const lookout = new Lookout(this.#ground.clock, this.#sealedColumns, (columns) => this.#glance(columns))
    const wanted = await this.#supply.manifest(signal)
    const quickly = (await this.#patch(wanted, lookout)) ?? (await this.#install(wanted))
    if (quickly !== null) return quickly
    wanted.check()
    manifests.keep(wanted)
    const nowMs = diskNowMs(layout.tmp)
    const thorough = this.#thorough()
    const walk = await thorough.walk()
    await this.#needIdle(inodesOf(walk))
    const sight = await thorough.see(walk, wanted)
    const plan = thorough.plan(sight, wanted)
    const how = await thorough.apply(plan, sight, wanted, signal)
    this.#writeSeal(wanted, await thorough.record(plan, sight, wanted, nowMs))
    return await this.#armed(plan, how)
  }

  async #needIdle(inodes: Inodes): Promise<void> {
    await needIdle(this.#ground, this.#workers, this.#job.cold, inodes)
  }

  /** The quick way, when the record tells what lies in cold: work that grows with the change alone. Null when it cannot be taken. */
  async #patch(wanted: LocalManifest, lookout: Lookout): Promise<StageResult | null> {
    if (this.#seal === null || this.#record === null) return null
    const { seal, record } = { seal: this.#seal, record: this.#record }
    const done = await new Patch(this.#ground, { ...this.#common(), seal, record, wanted, lookout }).run()
    return done && (await this.#armed(done.plan, done.how, done.keptBytes))
  }

  #thorough(): Thorough {
    return new Thorough(this.#ground, {
      ...this.#common(),
      record: this.#record,
      aside: this.#sweeping,
      needIdle: (walk) => this.#needIdle(inodesOf(walk)),
    })
  }

  /** What every way of bringing a tree up to date works with. */
  #common() {
    return {
      ...{ job: this.#job, workers: this.#workers, downloads: this.#downloads, supply: this.#supply },
      ...{ before: this.#before, hot: this.#hot },
      spread: () => this.#spread(),
      onUnseal: () => {
        this.#unsealed = true
      },
    }
  }

  /** Into an empty tree everything is written once, in order. Null when cold is not empty, or the manifest cannot be read in one pass. */
  async #install(wanted: LocalManifest): Promise<StageResult | null> {
    const { layout, app } = this.#ground
    if (this.#seal !== null || readdirSync(this.#tree).length > 0) return null
    const columns = await this.#workers.call(0, 'readColumns', [wanted.bytes, { app, build: this.#job.order.build }])
    if (columns === null) return null
    const root = lstatSync(this.#tree)
    await this.#needIdle({ dev: root.dev, inodes: Float64Array.of(root.ino), empty: true })
    await this.#spread()
    const hot = this.#hot && this.#job.hot && { ...this.#hot, tree: layout.tree[this.#job.hot] }
    const world = { workers: this.#workers, downloads: this.#downloads, supply: this.#supply }
    const install = new Install(this.#ground, { ...world, job: this.#job, wanted, columns, hot })
    const { how, copiedBytes, writtenFiles, record } = await install.run()
    this.#writeSeal(wanted, record)
    // What only saves work comes last: it may not take the room of what must be written.
    this.#ground.manifests.keepColumns(wanted.digest, columns)
    return { ...(await this.#armed(null, how)), copiedBytes, writtenFiles }
  }

  async #sweep(): Promise<StageResult> {
    const { order, cold } = this.#job
    const { marks, log, layout } = this.#ground
    const sealed = { tree: cold, build: order.build, manifest: order.manifest }
    const limit = repairLimit(this.#ground, this.#job.signal)
    let drift: readonly string[] = ['(there is no copy of the manifest to compare with)']
    let plan: StagePlan | null = null
    let busy: Trouble | null = null
    try {
      const glanced = await this.#glance(this.#sealedColumns)
      if (glanced !== null) {
        drift = []
        await this.#needIdle(glanced.inodes)
        const lies = this.#seal && { seal: this.#seal, columns: glanced.columns }
        if (lies !== null && this.#hot !== null) await ensureDiff(layout, this.#reading, lies, this.#hot)
        return await this.#armed(null, 'sweep', glanced.bytes)
      }
      const nowMs = diskNowMs(layout.tmp)
      const thorough = this.#thorough()
      const walk = await thorough.walk()
      const wanted = await this.#supply.manifest(limit.signal)
      wanted.check()
      this.#ground.manifests.keep(wanted)
      const sight = await thorough.see(walk, wanted)
      plan = thorough.plan(sight, wanted)
      drift = pathsOf(plan, wanted.manifest.entries).slice(0, MOST_DRIFT).map(printable)
      await this.#needIdle(inodesOf(walk))
      if (!isNothing(plan)) await thorough.apply(plan, sight, wanted, limit.signal)
      this.#writeSeal(wanted, await thorough.record(plan, sight, wanted, nowMs))
      return await this.#armed(plan, 'sweep')
    } catch (error) {
      this.#job.signal.throwIfAborted()
      if (isFleetError(error, 'COLD_BUSY', 'COLD_QUIET', 'COLD_UNPROVABLE')) {
        busy = { code: error.code, message: error.message }
      }
      // A tree that was in service once may be again, as it lies; any other must be whole (design section 4).
      const usable = drift.length === 0 || marks.wasHot(sealed)
      if (this.#unsealed || !usable || (busy === null && drift.length === 0)) throw error
      if (drift.length > 0) log.warn('cold tree has drifted', { tree: cold, paths: drift, error })
      return this.#result({ plan, how: 'sweep', drift, armed: false, busy })
    } finally {
      limit.end()
    }
  }

  get #sealedColumns(): Promise<Columns | null> {
    // Nobody would wait for them.
    if (this.#record === null) return Promise.resolve(null)
    return columnsOf(this.#reading, this.#seal, this.#before(), 0)
  }

  /** Whether the record alone says that cold is as it was sealed; null when it does not. */
  async #glance(columns: Promise<Columns | null>): Promise<Glance | null> {
    return this.#record && (await glance(this.#workers, this.#tree, columns, this.#record))
  }

  get #tree(): string {
    return this.#ground.layout.tree[this.#job.cold]
  }

  get #wanted() {
    return { build: this.#job.order.build, digest: this.#job.order.manifest }
  }

  #writeSeal(wanted: LocalManifest, record: SealRecord): void {
    const { layout, app, clock, manifests, cabinet } = this.#ground
    const { diff } = this.#supply
    const at = new Date(clock.now()).toISOString()
    writeSeal(layout, this.#job.cold, { app, build: this.#job.order.build, manifest: wanted.digest, at }, record)
    manifests.retain([wanted.digest, this.#hot?.seal.manifest])
    cabinet.refill()
    if (diff !== null && diff.from === this.#hot?.seal.manifest) keepDiff(layout, diff)
  }

  /** Not when repairing: that is urgent. */
  async #spread(): Promise<void> {
    if (!this.#sweeping) await waitForMoment(this.#ground, this.#job)
  }

  /** @param keptBytes all that was kept, when the plan only knows of what changed */
  async #armed(plan: StagePlan | null, how: StageResult['how'], keptBytes?: number): Promise<StageResult> {
    const { marks } = this.#ground
    const sealed = { tree: this.#job.cold, build: this.#wanted.build, manifest: this.#wanted.digest }
    if (!marks.wasHot(sealed)) await this.#job.beforeArm?.(this.#tree)
    marks.arm(sealed)
    const result = this.#result({ plan, how, drift: [], armed: true, busy: null })
    return keptBytes === undefined ? result : { ...result, keptBytes }
  }

  #result(
    end: Pick<StageResult, 'how' | 'drift' | 'armed' | 'busy'> & { readonly plan: StagePlan | null },
  ): StageResult {
    const { plan, ...rest } = end
    const changed = plan !== null && rest.drift.length === 0
    return {
      ...rest,
      fetchedBytes: this.#downloads.fetchedBytes,
      keptBytes: plan?.keptBytes ?? 0,
      copiedBytes: changed ? plan.copiedBytes : 0,
      writtenFiles: changed ? plan.copy.length + plan.fetch.length : 0,
      ms: Math.round(this.#ground.clock.monotonic() - this.#startedMs),
    }
  }
}
