// Owns staging and sweeping: cold is looked at, planned, brought up to date in place, proven durable, sealed and armed.
import { hash } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { Chunks } from '#fleet/kept-chunks.ts'
import type { Entry } from '#fleet/manifest.ts'
import type { Trouble } from '#fleet/node-status.ts'
import { isNothing, pathsOf, peakOf, type StagePlan, stagePlan } from '#fleet/stage-plan.ts'
import type { StageOrder, StageProgress, StageResult, TreeName } from '../core/trees.ts'
import { type Bringing, copyFiles, fileOrder } from './bring.ts'
import type { DeltaBase } from './delta-source.ts'
import { printable } from './directories.ts'
import { diskFault } from './disk-faults.ts'
import { Downloads } from './fetch.ts'
import { type Ground, sealOf } from './ground.ts'
import { needIdle } from './idle.ts'
import type { LocalManifest } from './manifests.ts'
import { checkRoom } from './preflight.ts'
import { diskNowMs, recordOf } from './record.ts'
import { type Seal, unseal, writeSeal } from './seal.ts'
import { type Sight, see } from './sight.ts'
import { Supply } from './supply.ts'
import { discardTree, syncVolume } from './sync-volume.ts'
import type { Workers } from './workers.ts'

export interface StageJob {
  readonly order: StageOrder
  readonly cold: TreeName
  readonly hot: TreeName | null
  /** Believe nothing of what the seal's record says: every file is hashed again. */
  readonly doubted: boolean
  readonly signal: AbortSignal
  readonly onProgress: (progress: StageProgress) => void
  /** Orders whose share of the spread was waited for already: a retry must not wait again. */
  readonly spread: Set<string>
}

const MOST_DRIFT = 20

export class Staging {
  readonly #ground: Ground
  readonly #job: StageJob
  readonly #workers: Workers
  readonly #downloads: Downloads
  readonly #startedMs: number
  /** Repairing a sealed tree: everything is brought in aside first, so that the seal is not given up for bytes that never come. */
  readonly #sweeping: boolean
  /** What was sealed when we came: cold's, which tells what may be kept, and hot's, which tells what may be copied. */
  readonly #seal: Seal | null
  readonly #before: LocalManifest | null
  readonly #hot: LocalManifest | null
  readonly #supply: Supply
  #unsealed = false

  constructor(ground: Ground, job: StageJob, workers: Workers) {
    this.#ground = ground
    this.#job = job
    this.#workers = workers
    this.#downloads = new Downloads(ground, ground.fetch)
    this.#startedMs = ground.clock.monotonic()
    this.#seal = sealOf(ground, job.cold)
    this.#sweeping = this.#seal?.manifest === job.order.manifest
    this.#before = this.#seal && ground.manifests.load(this.#seal.manifest)
    const hotSeal = job.hot === null ? null : sealOf(ground, job.hot)
    this.#hot = hotSeal && ground.manifests.load(hotSeal.manifest)
    this.#supply = new Supply(ground, this.#downloads, this.#wanted, this.#sweeping ? [] : this.#bases())
  }

  #bases(): DeltaBase[] {
    const hot = this.#hot && { tree: 'hot' as const, local: this.#hot }
    const cold = this.#before && { tree: 'cold' as const, local: this.#before }
    return [hot, cold].flatMap((base) => base ?? [])
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
    const { signal } = this.#job
    const nowMs = diskNowMs(this.#ground.layout.tmp)
    const walk = await this.#workers.call(0, 'walk', [this.#tree])
    await needIdle(this.#ground, this.#workers, this.#job.cold, walk)
    if (this.#ground.manifests.load(this.#job.order.manifest) === null) await this.#spread()
    const wanted = await this.#supply.manifest(signal)
    const sight = await this.#see(walk, wanted)
    const plan = this.#plan(sight, wanted)
    const how = await this.#apply(plan, sight, wanted, signal)
    await this.#sealTree(plan, sight, wanted, nowMs)
    this.#ground.marks.arm({ tree: this.#job.cold, ...this.#wanted, manifest: wanted.digest })
    return this.#result({ plan, how, drift: [], armed: true, busy: null })
  }

  async #sweep(): Promise<StageResult> {
    const { order, cold } = this.#job
    const { marks, log } = this.#ground
    const sealed = { tree: cold, build: order.build, manifest: order.manifest }
    const limit = this.#repairLimit()
    let drift: readonly string[] = ['(there is no copy of the manifest to compare with)']
    let plan: StagePlan | null = null
    let busy: Trouble | null = null
    try {
      const nowMs = diskNowMs(this.#ground.layout.tmp)
      const walk = await this.#workers.call(0, 'walk', [this.#tree])
      const wanted = await this.#supply.manifest(limit.signal)
      const sight = await this.#see(walk, wanted)
      plan = this.#plan(sight, wanted)
      drift = pathsOf(plan, wanted.manifest.entries).slice(0, MOST_DRIFT).map(printable)
      await needIdle(this.#ground, this.#workers, cold, walk)
      if (!isNothing(plan)) await this.#apply(plan, sight, wanted, limit.signal)
      if (!isNothing(plan) || sight.hashed > 0) await this.#sealTree(plan, sight, wanted, nowMs)
      marks.arm(sealed)
      return this.#result({ plan, how: 'sweep', drift: [], armed: true, busy: null })
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

  get #tree(): string {
    return this.#ground.layout.tree[this.#job.cold]
  }

  get #wanted(): { build: StageOrder['build']; digest: StageOrder['manifest'] } {
    return { build: this.#job.order.build, digest: this.#job.order.manifest }
  }

  async #see(walk: Parameters<typeof see>[2], wanted: LocalManifest): Promise<Sight> {
    const { owner } = this.#ground
    const before = this.#before?.manifest.entries
    const record = this.#job.doubted ? undefined : this.#seal?.record
    const vouched = before && record?.ino.length === before.length ? { entries: before, record } : null
    return await see(this.#workers, this.#tree, walk, wanted.manifest.entries, vouched, owner)
  }

  #plan(sight: Sight, wanted: LocalManifest): StagePlan {
    const sources = new Map<string, string>()
    for (const { type, content, path } of this.#hot?.manifest.entries ?? [])
      if (type === 'f') sources.set(content, path)
    return stagePlan(wanted.manifest.entries, sight.view, sources)
  }

  /** Everything from the first file aside to `syncfs`. After it the tree is complete and durable, but for its seal. */
  async #apply(
    plan: StagePlan,
    sight: Sight,
    wanted: LocalManifest,
    signal: AbortSignal,
  ): Promise<'delta' | 'ranges' | 'whole'> {
    const { layout, owner } = this.#ground
    const { manifest } = wanted
    const { entries } = manifest
    checkRoom(layout.trees, peakOf(plan, entries, sight.view, this.#sweeping))
    const attempt = mkdtempSync(join(layout.tmp, 'at-'))
    const shape = { tree: this.#tree, attempt, owner }
    await this.#workers.all('openWriter', [shape])
    const bringing = this.#bringing(manifest, sight, signal)
    if (plan.fetchedBytes > 0) {
      await this.#spread()
      await this.#supply.prove(bringing)
    }
    const aside = this.#sweeping
    const near = plan.copy.filter((step) => step.from.tree === 'cold')
    const far = plan.copy.filter((step) => step.from.tree === 'hot')
    const lost = new Set(await copyFiles(bringing, this.#tree, near, false))
    let how: 'delta' | 'ranges' | 'whole' = 'ranges'
    const bring = async (): Promise<void> => {
      const wrong = await copyFiles(bringing, bringing.trees.hot, far, !aside)
      how = await this.#supply.bring(bringing, [...plan.fetch, ...lost, ...wrong], !aside)
    }
    if (aside) await bring()

    await needIdle(this.#ground, this.#workers, this.#job.cold, sight.walk)
    signal.throwIfAborted()
    this.#unsealed = true
    unseal(layout.root, this.#job.cold)
    const at = (index: number) => entries[index] ?? []
    await this.#workers.call(0, 'prepare', [shape, { ...plan, mkdir: plan.mkdir.flatMap(at) }])
    await this.#workers.all('forget', [])
    const ready = aside
      ? [...plan.copy.map((step) => step.entry), ...plan.fetch]
      : near.map((step) => step.entry).filter((entry) => !lost.has(entry))
    await this.#workers.call(0, 'place', [ready.map((index) => fileOrder(manifest, index))])
    if (!aside) await bring()
    const links = plan.links.flatMap((index) => {
      const entry = entries[index]
      return entry ? [{ index, entry }] : []
    })
    const last = { links, set: plan.set.flatMap(at), directories: plan.directories.flatMap(at) }
    await this.#workers.call(0, 'finish', [shape, last])
    signal.throwIfAborted()
    await this.#sync()
    return how
  }

  #bringing(manifest: LocalManifest['manifest'], sight: Sight, signal: AbortSignal): Bringing {
    const { layout } = this.#ground
    const before = this.#before?.manifest ?? null
    const isTrusted = (entry: Entry) => sight.view.get(entry.path)?.content === entry.content
    const chunks = new Chunks(this.#hot?.manifest ?? null, before, isTrusted)
    return {
      manifest,
      workers: this.#workers,
      downloads: this.#downloads,
      signal,
      onProgress: this.#job.onProgress,
      trees: { hot: this.#job.hot === null ? '' : layout.tree[this.#job.hot], cold: this.#tree },
      keptOf: (index) => {
        const entry = manifest.entries[index]
        return entry === undefined ? [] : chunks.keptOf(entry, manifest.frames)
      },
    }
  }

  async #sync(): Promise<void> {
    try {
      await syncVolume(this.#tree)
    } catch (error) {
      // What is in memory may never reach the disk, and a second try would say it has (failures C7): start from nothing.
      discardTree(this.#ground.layout, this.#job.cold)
      throw error
    }
  }

  async #sealTree(plan: StagePlan, sight: Sight, wanted: LocalManifest, nowMs: number): Promise<void> {
    const { layout, app, clock, manifests, cabinet } = this.#ground
    const record = await recordOf(this.#workers, this.#tree, layout.tmp, plan, sight, wanted.manifest.entries, nowMs)
    const at = new Date(clock.now()).toISOString()
    writeSeal(layout.root, this.#job.cold, { app, build: this.#job.order.build, manifest: wanted.digest, at, record })
    manifests.retain([wanted.digest, this.#hot?.digest])
    cabinet.refill()
  }

  /** Waits for this node's moment in the spread, so that a fleet does not ask one store all at once. Not when repairing: that is urgent. */
  async #spread(): Promise<void> {
    const { order, spread, signal } = this.#job
    if (this.#sweeping || spread.has(order.manifest)) return
    const place = Number.parseInt(hash('sha256', `${order.build}/${this.#ground.node}`).slice(0, 8), 16) / 2 ** 32
    await this.#ground.clock.sleep(this.#ground.fetch.spreadSeconds * 1_000 * place, signal)
    spread.add(order.manifest)
  }

  #repairLimit(): { signal: AbortSignal; end: () => void } {
    const { clock, repairSeconds } = this.#ground
    const limit = new AbortController()
    const done = new AbortController()
    clock.sleep(repairSeconds * 1_000, done.signal).then(
      () => limit.abort(new FleetError('STORE_STALLED', `no bytes for a repair within ${repairSeconds} s`)),
      () => undefined,
    )
    return { signal: AbortSignal.any([this.#job.signal, limit.signal]), end: () => done.abort() }
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
