// Owns the quick way of staging: what differs between cold and the ordered build is known from manifests, and done; the record vouches for the
// rest, which is looked over meanwhile.
import { isFleetError } from '#fleet/errors.ts'
import type { Entry } from '#fleet/manifest.ts'
import { type Columns, Rows } from '#fleet/manifest-columns.ts'
import { peakOf, type StagePlan, stagePlan, type TreeView } from '#fleet/stage-plan.ts'
import { composed, type TreeDiff } from '#fleet/tree-diff.ts'
import { betweenHotAnd, isLittle, isRootTouched, touchedDirectories, viewOf } from '../core/patch.ts'
import { allEnded } from './all-ended.ts'
import { apply } from './apply.ts'
import type { Bringing } from './bring.ts'
import { ChunksKept } from './chunked.ts'
import { type HotBuild, type ReadBuild, readHot } from './columns-of.ts'
import { keepDiff, keptDiff } from './diffs.ts'
import type { Downloads } from './fetch.ts'
import { inodesOfRecord, isRootUnchanged, type Lookout, lookOver } from './glance.ts'
import type { Ground } from './ground.ts'
import { needIdle } from './idle.ts'
import { emptyDirectory } from './layout.ts'
import type { LocalManifest } from './manifests.ts'
import { hasRoom } from './preflight.ts'
import { type RecordWorld, recordTouched, rootRow, type Touched } from './record.ts'
import { emptyRecord, type Seal, type SealRecord, writeSeal } from './seal.ts'
import type { StageJob } from './stage-job.ts'
import type { Supply } from './supply.ts'
import { syncTree } from './sync-volume.ts'
import type { Workers } from './workers.ts'

export interface PatchWorld {
  readonly job: StageJob
  readonly workers: Workers
  readonly downloads: Downloads
  readonly supply: Supply
  /** Cold as it was sealed, the record of that, and its manifest. */
  readonly seal: Seal
  readonly record: SealRecord
  readonly before: () => LocalManifest | null
  readonly hot: HotBuild | null
  readonly wanted: LocalManifest
  readonly spread: () => Promise<void>
  readonly onUnseal: () => void
  readonly lookout: Lookout
}

export interface Patched {
  readonly plan: StagePlan
  readonly how: 'delta' | 'ranges' | 'whole'
  readonly keptBytes: number
}

/** More than this part of a build changed: looking at everything costs no more, and finds more of it on this node. */
const MOST_CHANGED = 0.5

export class Patch {
  readonly #ground: Ground
  readonly #world: PatchWorld
  readonly #tree: string
  /** From cold to hot, where that was kept. */
  #between: TreeDiff | null = null
  #hotRead: Promise<ReadBuild | null> | null = null

  constructor(ground: Ground, world: PatchWorld) {
    this.#ground = ground
    this.#world = world
    this.#tree = ground.layout.tree[world.job.cold]
  }

  /**
   * Brings cold to the ordered build and seals it. Null when this way cannot be taken, or when the tree turns out to be other than its record
   * says, also when it has been worked on by then: every path must be looked at.
   * @throws as `apply`
   */
  async run(): Promise<Patched | null> {
    try {
      return await this.#run()
    } catch (error) {
      if (!(error instanceof NotAsSealed)) throw error
      // What was brought beside the tree would take the room of what is brought next.
      await this.#world.workers.all('closeWriter', [])
      emptyDirectory(this.#ground.layout.tmp)
      return null
    }
  }

  async #run(): Promise<Patched> {
    const { job, workers, wanted, supply, lookout, record: sealed } = this.#world
    const { layout, app, manifests } = this.#ground
    if (supply.delta === null) this.#readHot()
    const [columns, before] = await allEnded([
      workers.call(0, 'readColumns', [wanted.bytes, { app, build: job.order.build }]),
      lookout.columns,
      this.#needIdle(),
    ])
    if (columns === null || before === null || before.count + 1 !== sealed.ino.length) throw new NotAsSealed()
    const diff = await this.#diff(before, columns)
    if (diff.came.length + diff.gone.length > columns.count * MOST_CHANGED) throw new NotAsSealed()
    const record = this.#splice(diff, columns.count)
    const touched = touchedDirectories(columns, diff)
    if (touched === null) throw new NotAsSealed()

    const view = viewOf(diff)
    const rows = new Rows(columns)
    // As they stand in the ordered manifest: a composed difference may have their places in another artifact.
    const entries = diff.came.map(({ row }) => rows.entry(row))
    const plan = stagePlan(entries, view, await this.#sources(diff))
    manifests.keep(wanted)
    const how = await apply(this.#ground, {
      plan,
      view,
      bringing: this.#bringing(diff, entries, view, before),
      supply,
      cold: job.cold,
      needIdle: () => this.#needAsSealed(),
      // While bytes are on their way cold stays whole, for a rollback, and is looked at meanwhile.
      aside: isLittle(plan) && hasRoom(layout.trees, peakOf(plan, entries, view, true)),
      spread: this.#world.spread,
      onUnseal: this.#world.onUnseal,
    })
    // Where nothing of the tree's own directory changes, its row stays: what else is put there meanwhile must show.
    const root = isRootTouched(diff) ? [rootRow(columns.count)] : []
    await this.#settle(columns, record, [...diff.came, ...touched, ...root])
    this.#seal(diff, record, columns)
    return {
      plan,
      how,
      keptBytes: columns.size.reduce((sum, size) => sum + size, 0) - plan.copiedBytes - plan.fetchedBytes,
    }
  }

  /** @throws NotAsSealed also when it is in use: an inode of the record may belong to another file by now, only a walk can tell */
  async #needIdle(): Promise<void> {
    const { workers, job, record } = this.#world
    const inodes = inodesOfRecord(this.#tree, record)
    await needIdle(this.#ground, workers, job.cold, inodes).catch((error: unknown) => {
      throw isFleetError(error, 'COLD_BUSY') ? new NotAsSealed() : error
    })
  }

  /**
   * Just before the tree is changed: once a directory changes, nobody could tell what else was put there. Bringing the bytes, or waiting for
   * this node's moment, can have taken minutes.
   */
  async #needAsSealed(): Promise<void> {
    const { lookout } = this.#world
    const { looks } = lookout
    if ((await lookout.seen()) === null) throw new NotAsSealed()
    const again = lookout.looks > looks
    if (again) await this.#needIdle()
  }

  /** Aborts once cold turns out to be other than its record says: what is on its way by then is of no use. */
  #asSealed(): AbortSignal {
    const { job, lookout } = this.#world
    const drifted = new AbortController()
    const judge = (seen: unknown) => void (seen === null && drifted.abort(new NotAsSealed()))
    lookout.first.then(judge, () => undefined)
    return AbortSignal.any([job.signal, drifted.signal])
  }

  /** What was changed is durable and in the record. If that took long, what was not is looked over once more. */
  async #settle(columns: Columns, record: SealRecord, changed: readonly Touched[]): Promise<void> {
    const { workers, job, lookout } = this.#world
    const { layout, clock } = this.#ground
    const skip = new Uint8Array(new SharedArrayBuffer(columns.count))
    for (const { row } of changed) skip[row] = 1
    const keepsRoot = changed.every(({ row }) => row < columns.count)
    const world = { workers, tree: this.#tree, tmp: layout.tmp, clock }
    const again = !lookout.isFresh
    const [drifted] = await allEnded([
      again ? lookOver(workers, this.#tree, columns, record, skip) : [],
      syncTree(layout, job.cold),
      this.#record(world, record, columns, changed),
    ])
    if (drifted.length > 0) throw new NotAsSealed()
    if (keepsRoot && !isRootUnchanged(this.#tree, record)) throw new NotAsSealed()
  }

  /** What somebody put into a directory that changed as well would be in its new row: only a list of it can tell, made after the row. */
  async #record(world: RecordWorld, record: SealRecord, columns: Columns, changed: readonly Touched[]): Promise<void> {
    const { workers, tree } = world
    const directories = changed.flatMap(({ entry }) => (entry.type === 'd' ? [entry.path] : []))
    const [names] = await allEnded([
      workers.call(1, 'namesOf', [columns, directories]),
      recordTouched(world, record, changed),
    ])
    const stranger = await workers.call(1, 'strangerIn', [tree, names])
    if (stranger !== null) throw new NotAsSealed()
  }

  /** From cold to the ordered build: by way of hot and the delta that begins there, by a delta from cold itself, or by comparing manifests. */
  async #diff(before: Columns, columns: Columns): Promise<TreeDiff> {
    const { supply, seal, hot, wanted, workers } = this.#world
    const delta = supply.delta === null ? null : supply.diff
    if (delta?.from === seal.manifest) return delta
    this.#between = hot && keptDiff(this.#ground.layout, seal.manifest, hot.seal.manifest)
    if (delta !== null && this.#between?.to === delta.from) return composed(this.#between, delta)
    const from = { digest: seal.manifest, columns: before }
    return await workers.call(1, 'diffOfColumns', [from, { digest: wanted.digest, columns }])
  }

  /** The record of cold, its rows moved to where they stand in the ordered manifest; zeros for what comes. */
  #splice(diff: TreeDiff, rows: number): SealRecord {
    const { record: old } = this.#world
    const record = emptyRecord(rows + 1)
    record.ino[rows] = old.ino.at(-1) ?? 0
    record.ctimeMs[rows] = old.ctimeMs.at(-1) ?? 0
    for (const [from, to, count] of diff.kept) {
      record.ino.set(old.ino.subarray(from, from + count), to)
      record.ctimeMs.set(old.ctimeMs.subarray(from, from + count), to)
    }
    return record
  }

  /** Contents that hot has, with their paths there. What the delta brings is not copied. */
  async #sources(diff: TreeDiff): Promise<ReadonlyMap<string, string>> {
    const { supply, hot, workers } = this.#world
    if (hot === null) return new Map()
    const { delta } = supply
    const brings = delta?.brings ?? new Set()
    const files = diff.came.flatMap(({ entry }) => (entry.type === 'f' && entry.size > 0 ? [entry] : []))
    if (delta !== null && delta.base.tree === 'hot') {
      // What it does not bring hot has at the same path.
      return new Map(files.flatMap(({ path, content }) => (brings.has(path) ? [] : [[content, path] as const])))
    }
    const read = await this.#readHot()
    if (read === null) return new Map()
    return new Map(await workers.call(1, 'findContents', [read.columns, files.map(({ content }) => content)]))
  }

  /** Asked for early where it will be wanted: then it is read while other things go on. */
  #readHot(): Promise<ReadBuild | null> {
    const { workers, hot } = this.#world
    this.#hotRead ??= readHot({ manifests: this.#ground.manifests, workers }, hot)
    this.#hotRead.catch(() => undefined)
    return this.#hotRead
  }

  #bringing(diff: TreeDiff, entries: readonly Entry[], view: TreeView, ofCold: Columns): Bringing {
    const { job, workers, downloads, before, wanted } = this.#world
    const { layout } = this.#ground
    const cold = before()
    const kept = new ChunksKept(diff.gone, {
      hot: () => this.#readHot(),
      cold: cold && { manifest: cold, columns: ofCold },
      wanted,
    })
    return {
      manifest: kept.manifestOf(job.order.build, entries),
      workers,
      downloads,
      signal: this.#asSealed(),
      onProgress: job.onProgress,
      trees: { hot: job.hot === null ? '' : layout.tree[job.hot], cold: this.#tree },
      kept: () => kept.kept(entries),
      replaces: (path) => view.get(path)?.type === 'f',
    }
  }

  #seal(diff: TreeDiff, record: SealRecord, columns: Columns): void {
    const { job, hot, wanted, supply } = this.#world
    const { layout, app, clock, manifests, cabinet } = this.#ground
    const at = new Date(clock.now()).toISOString()
    writeSeal(layout, job.cold, { app, build: job.order.build, manifest: wanted.digest, at }, record)
    manifests.retain([wanted.digest, hot?.seal.manifest])
    cabinet.refill()
    // What only saves work comes last: it may not take the room of what must be written.
    const between = betweenHotAnd(diff, hot?.seal.manifest ?? null, supply.diff, this.#between)
    if (between !== null) keepDiff(layout, between)
    manifests.keepColumns(wanted.digest, columns)
  }
}

/** The quick way cannot be taken: every path must be looked at. */
class NotAsSealed extends Error {}
