// Owns the quick way of staging: what differs between cold and the ordered build is known without a look at every path, and done; the record
// vouches for the rest, which is looked over while the disk is written.
import { lstatSync } from 'node:fs'
import { isFleetError } from '#fleet/errors.ts'
import type { Entry } from '#fleet/manifest.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import { CHARS, Rows } from '#fleet/manifest-columns.ts'
import { parentOf } from '#fleet/paths.ts'
import { type Present, type StagePlan, stagePlan, type TreeView } from '#fleet/stage-plan.ts'
import { composed, inverse, type TreeDiff } from '#fleet/tree-diff.ts'
import { apply } from './apply.ts'
import type { Bringing } from './bring.ts'
import { ChunksKept } from './chunked.ts'
import { keepDiff, keptDiff } from './diffs.ts'
import type { Downloads } from './fetch.ts'
import { inodesOfRecord, isRootUnchanged, lookOver } from './glance.ts'
import type { Ground } from './ground.ts'
import { needIdle } from './idle.ts'
import type { LocalManifest } from './manifests.ts'
import { recordTouched, rootRow, type Touched } from './record.ts'
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
}

/** The build in hot; its manifest is read when it is asked for, null when this node has no copy. */
export interface HotBuild {
  readonly seal: Seal
  readonly local: () => LocalManifest | null
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
    const { job, workers, wanted, supply } = this.#world
    const ordered = { app: this.#ground.app, build: job.order.build }
    const inodes = inodesOfRecord(this.#tree, this.#world.record)
    const [columns, idle] = await Promise.all([
      workers.call(0, 'readColumns', [wanted.bytes, ordered]),
      needIdle(this.#ground, workers, job.cold, inodes, 1).then(() => true, unlessBusy),
    ])
    if (!idle) return null
    const diff = columns && (await this.#diff(columns))
    if (columns === null || diff === null) return null
    if (diff.came.length + diff.gone.length > columns.count * MOST_CHANGED) return null
    const record = this.#splice(diff, columns.count)
    const touched = this.#touchedDirectories(columns, diff, record)
    if (touched === null) return null

    const view = viewOf(diff)
    const rows = new Rows(columns)
    // As they stand in the ordered manifest: a composed difference may have their places in another artifact.
    const entries = diff.came.map(({ row }) => rows.entry(row))
    const plan = stagePlan(entries, view, await this.#sources(diff))
    this.#ground.manifests.keep(wanted)
    const how = await apply(this.#ground, {
      plan,
      view,
      bringing: this.#bringing(diff, entries, view),
      supply,
      cold: job.cold,
      needIdle: async () => undefined,
      aside: false,
      spread: this.#world.spread,
      onUnseal: this.#world.onUnseal,
    })
    const skip = new Uint8Array(new SharedArrayBuffer(columns.count))
    for (const { row } of [...diff.came, ...touched]) skip[row] = 1
    const [drifted] = await Promise.all([
      lookOver(workers, this.#tree, columns, record, skip),
      syncTree(this.#ground.layout, job.cold),
    ])
    if (drifted.length > 0) return null
    await this.#seal(diff, record, [...diff.came, ...touched, rootRow(columns.count)])
    return {
      plan,
      how,
      keptBytes: columns.size.reduce((sum, size) => sum + size, 0) - plan.copiedBytes - plan.fetchedBytes,
    }
  }

  /** From cold to the ordered build: by way of hot and the delta that begins there, by a delta from cold itself, or by comparing manifests. */
  async #diff(columns: Columns): Promise<TreeDiff | null> {
    const { supply, seal, before, hot, wanted, workers } = this.#world
    const delta = supply.delta === null ? null : supply.diff
    if (delta?.from === seal.manifest) return delta
    this.#between = hot && keptDiff(this.#ground.layout, seal.manifest, hot.seal.manifest)
    if (delta !== null && this.#between?.to === delta.from) return composed(this.#between, delta)
    const local = before()
    if (local === null) return null
    const old = await workers.call(1, 'readColumns', [local.bytes, seal])
    if (old === null) return null
    return await workers.call(1, 'diffOfColumns', [
      { digest: seal.manifest, columns: old },
      { digest: wanted.digest, columns },
    ])
  }

  /** The record of cold, its rows moved to where they stand in the ordered manifest; zeros for what comes. */
  #splice(diff: TreeDiff, rows: number): SealRecord {
    const { record: old } = this.#world
    const record = emptyRecord(rows + 1)
    for (const [from, to, count] of diff.kept) {
      record.ino.set(old.ino.subarray(from, from + count), to)
      record.ctimeMs.set(old.ctimeMs.subarray(from, from + count), to)
    }
    return record
  }

  /**
   * The kept directories in which something will change, proven to be as they were sealed: once they change, nobody could tell what else
   * was put there. So are the files that keep their bytes, but not their mode or time. Null when one is not, or when a directory is closed to its owner: then modes must be lifted, which takes a look at all.
   */
  #touchedDirectories(columns: Columns, diff: TreeDiff, record: SealRecord): Touched[] | null {
    if (!isRootUnchanged(this.#tree, this.#world.record)) return null
    const parents = new Set([...diff.came, ...diff.gone].map(({ entry }) => parentOf(entry.path)))
    const after = new Map(diff.came.map(({ entry }) => [entry.path, entry]))
    for (const { row, entry } of diff.gone) {
      // A file of which only the mode or the time changes keeps its bytes, and nothing else looks at it.
      const stays = entry.type === 'f' && after.get(entry.path)?.content === entry.content
      if (stays && !this.#isFileAsSealed(entry, row)) return null
      if (entry.type !== 'd') continue
      if (isClosed(entry.mode) || !this.#isAsSealed(entry.path, this.#world.record, row)) return null
      // One that stays with another mode keeps its row, but not in `kept`.
      parents.delete(entry.path)
    }
    const rows = new Rows(columns)
    const came = new Set(diff.came.map(({ row }) => row))
    const touched: Touched[] = []
    for (let row = 0; row < columns.count; row += 1) {
      if (columns.type[row] !== CHARS.d) continue
      if (isClosed(columns.mode[row] ?? 0)) return null
      const path = came.has(row) ? '' : rows.path(row)
      if (!parents.has(path) || path === '') continue
      if (!this.#isAsSealed(path, record, row)) return null
      touched.push({ row, entry: rows.entry(row) })
    }
    return touched
  }

  #isAsSealed(path: string, record: SealRecord, row: number): boolean {
    const stat = lstatSync(`${this.#tree}/${path}`, { throwIfNoEntry: false })
    return stat?.isDirectory() === true && stat.ino === record.ino[row] && stat.ctimeMs === record.ctimeMs[row]
  }

  #isFileAsSealed({ path }: Entry, row: number): boolean {
    const { ino, ctimeMs } = this.#world.record
    const stat = lstatSync(`${this.#tree}/${path}`, { throwIfNoEntry: false })
    return stat?.isFile() === true && stat.ino === ino[row] && stat.ctimeMs === ctimeMs[row]
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
    const local = hot.local()
    const columns = local && (await workers.call(1, 'readColumns', [local.bytes, hot.seal]))
    if (columns === null) return new Map()
    return new Map(await workers.call(1, 'findContents', [columns, files.map(({ content }) => content)]))
  }

  #bringing(diff: TreeDiff, entries: readonly Entry[], view: TreeView): Bringing {
    const { job, workers, downloads, hot, before, wanted } = this.#world
    const { layout } = this.#ground
    const kept = new ChunksKept(diff.gone, { hot: () => hot?.local() ?? null, cold: before, wanted })
    return {
      manifest: kept.manifestOf(job.order.build, entries),
      workers,
      downloads,
      signal: job.signal,
      onProgress: job.onProgress,
      trees: { hot: job.hot === null ? '' : layout.tree[job.hot], cold: this.#tree },
      keptOf: (index) => kept.keptOf(entries[index]),
      replaces: (path) => view.get(path)?.type === 'f',
    }
  }

  async #seal(diff: TreeDiff, record: SealRecord, touched: readonly Touched[]): Promise<void> {
    const { job, workers, hot, wanted, supply } = this.#world
    const { layout, app, clock, manifests, cabinet } = this.#ground
    await recordTouched({ workers, tree: this.#tree, tmp: layout.tmp, clock }, record, touched)
    const between = betweenHotAnd(diff, hot?.seal ?? null, supply.diff, this.#between)
    if (between !== null) keepDiff(layout, between)
    const at = new Date(clock.now()).toISOString()
    writeSeal(layout, job.cold, { app, build: job.order.build, manifest: wanted.digest, at }, record)
    manifests.retain([wanted.digest, hot?.seal.manifest])
    cabinet.refill()
  }
}

/** An inode of the record may belong to another file by now, if somebody removed what had it: only a walk can tell whether cold is in use. */
function unlessBusy(error: unknown): false {
  if (isFleetError(error, 'COLD_BUSY')) return false
  throw error
}

/** What the two trees will differ in: as the delta from hot says, or by way of what they differed in before. */
function betweenHotAnd(
  diff: TreeDiff,
  hot: Seal | null,
  delta: TreeDiff | null,
  between: TreeDiff | null,
): TreeDiff | null {
  if (delta !== null && delta.from === hot?.manifest) return delta
  return between && composed(inverse(between), diff)
}

const OWNER_ALL = 0o700

function isClosed(mode: number): boolean {
  return (mode & OWNER_ALL) !== OWNER_ALL
}

/** What lies in cold at the paths that change. */
function viewOf(diff: TreeDiff): TreeView {
  return new Map(
    diff.gone.map(({ entry }): [string, Present] => [
      entry.path,
      {
        ...{ type: entry.type, mode: entry.mode, size: entry.size, mtimeMs: entry.mtime * 1_000 },
        ...{ nlink: 1, content: entry.type === 'd' ? null : entry.content, owned: true },
      },
    ]),
  )
}
