// Owns filling an empty tree: what hot has is copied, the rest is cut out of the artifact as it streams by, and nothing is held in memory but
// the columns of the manifest and a few frames.
import { join } from 'node:path'
import type { Entry } from '#fleet/manifest.ts'
import { objectsOf } from '#fleet/manifest.ts'
import { CHARS, type Columns, Rows } from '#fleet/manifest-columns.ts'
import type { TreeDiff } from '#fleet/tree-diff.ts'
import { allEnded } from './all-ended.ts'
import { artifactFacts, type Bringing, type Source } from './bring.ts'
import { ChunksKept } from './chunked.ts'
import { type HotBuild, type ReadBuild, readHot } from './columns-of.ts'
import * as disk from './disk.ts'
import { batches, cutFrames, type Downloads } from './fetch.ts'
import { frameRows, stretches } from './frame-rows.ts'
import type { Ground } from './ground.ts'
import { Lanes, sideBySide } from './lanes.ts'
import { collectLitter } from './litter.ts'
import type { LocalManifest } from './manifests.ts'
import { checkRoom, roomFor } from './preflight.ts'
import { recordAll } from './record.ts'
import type { SealRecord } from './seal.ts'
import type { StageJob } from './stage-job.ts'
import type { Supply } from './supply.ts'
import { syncTree } from './sync-volume.ts'
import type { Workers } from './workers.ts'

export interface InstallWorld {
  readonly job: StageJob
  readonly workers: Workers
  readonly downloads: Downloads
  readonly supply: Supply
  readonly hot: (HotBuild & { readonly tree: string }) | null
  readonly wanted: LocalManifest
  readonly columns: Columns
}

export interface Installed {
  readonly how: 'delta' | 'ranges' | 'whole'
  readonly copiedBytes: number
  readonly writtenFiles: number
  /** Of the tree, which is durable by now. */
  readonly record: SealRecord
}

const COPIED_AT_ONCE = 128
/** What is read by one request: enough that it costs nothing beside it, little enough that all threads end at the same time. */
const STRETCH_BYTES = 8 * 1024 * 1024
/** Frames are handed to a thread by so many bytes: each time costs both sides as much as a small frame takes to write. */
const BATCH_BYTES = 128 * 1024
/** Batches that may wait at a thread: enough that it never waits for the store's next bytes. */
const QUEUED = 4

export class Install {
  readonly #ground: Ground
  readonly #world: InstallWorld
  readonly #tree: string
  readonly #rows: Rows
  #chunks: ChunksKept | null = null

  constructor(ground: Ground, world: InstallWorld) {
    this.#ground = ground
    this.#world = world
    this.#tree = ground.layout.tree[world.job.cold]
    this.#rows = new Rows(world.columns)
  }

  /** @throws FleetError `STORE_*` · `DIGEST_MISMATCH` · `DISK_*` · `INODES_FULL` · `COLD_BUSY` */
  async run(): Promise<Installed> {
    const { workers, columns, job, wanted } = this.#world
    const { layout, owner, manifests, clock } = this.#ground
    checkRoom(layout.trees, roomFor(columns))
    manifests.keep(wanted)
    const tree = this.#tree
    await workers.all('openRows', [{ tree, columns, owner }])
    await workers.all('openWriter', [{ tree, attempt: disk.mkdtemp('stage.attempt', join(layout.tmp, 'at-')), owner }])
    const done = await this.#fill()
    job.signal.throwIfAborted()
    // What is looked at does not change by being written out.
    const world = { workers, tree, tmp: layout.tmp, clock }
    const [, record] = await allEnded([syncTree(layout, job.cold), recordAll(world, columns)])
    return { ...done, record }
  }

  async #fill(): Promise<Omit<Installed, 'record'>> {
    const { workers, columns, hot, job } = this.#world
    const { copy, fetch, empty } = await this.#shares()
    const shaped = workers.call(0, 'shapeRows', [])
    const unshaped = new AbortController()
    shaped.catch((error: unknown) => unshaped.abort(error))
    // With a build in hot it is for the delta and the ranges to say what must travel: parts of large files may lie here.
    const [, streamed] = await allEnded([
      shaped,
      hot === null ? this.#stream(fetch, shaped, AbortSignal.any([job.signal, unshaped.signal])) : null,
    ])
    const odd = await workers.call(0, 'writeEmpty', [empty])
    const [lost, { wrong, how }] = await Promise.all([this.#copy(copy), streamed ?? this.#bring(fetch)])
    const again = [...odd, ...lost, ...wrong]
    if (again.length > 0) await this.#bring(again)
    await workers.call(0, 'finishRows', [])
    const copiedBytes = copy.reduce((sum, row) => sum + (columns.size[row] ?? 0), 0)
    return { how, copiedBytes, writtenFiles: copy.length + fetch.length + empty.length }
  }

  /** Which files hot has, and which must come from the store. */
  async #shares(): Promise<{ copy: number[]; fetch: number[]; empty: number[] }> {
    const { columns } = this.#world
    const diff = await this.#diff()
    const isKept = new Uint8Array(columns.count)
    for (const [, to, count] of diff?.kept ?? []) isKept.fill(1, to, to + count)
    const shares = { copy: [] as number[], fetch: [] as number[], empty: [] as number[] }
    for (let row = 0; row < columns.count; row += 1) {
      if (columns.type[row] !== CHARS.f) continue
      const share = columns.size[row] === 0 ? 'empty' : isKept[row] === 1 ? 'copy' : 'fetch'
      shares[share].push(row)
    }
    return shares
  }

  async #diff(): Promise<TreeDiff | null> {
    const { hot, supply, workers, wanted, columns } = this.#world
    if (hot === null) return null
    if (supply.diff?.from === hot.seal.manifest) return supply.diff
    const old = await this.#readHot()
    if (old === null) return null
    const from = { digest: hot.seal.manifest, columns: old.columns }
    return await workers.call(1, 'diffOfColumns', [from, { digest: wanted.digest, columns }])
  }

  async #copy(rows: readonly number[]): Promise<readonly number[]> {
    const { workers, hot, job } = this.#world
    if (hot === null) return []
    const lanes = new Lanes<number>(workers.count)
    for (let at = 0; at < rows.length; at += COPIED_AT_ONCE) {
      job.signal.throwIfAborted()
      const thread = lanes.shortest
      await lanes.add(thread, workers.call(thread, 'copyRows', [hot.tree, rows.slice(at, at + COPIED_AT_ONCE)]))
    }
    return await lanes.settled()
  }

  /**
   * Reads all of the artifact, on as many connections as there are threads. The frames of one file must reach one thread, in order: a stretch
   * that no file leaves goes to the thread whose connection is free, so that a large file keeps one of them busy and the others go on.
   * A store that would send the artifact from its beginning for each stretch is asked once, for all of it.
   * @param shaped directories are there: until then the first frames are on their way
   */
  async #stream(
    rows: readonly number[],
    shaped: Promise<void>,
    ended: AbortSignal,
  ): Promise<{ wrong: readonly number[]; how: 'whole' }> {
    const { workers, downloads, columns, job } = this.#world
    const { frames, artifact, build } = this.#sourceOf([])
    const wanted = new Uint8Array(columns.count)
    for (const row of rows) wanted[row] = 1
    const byFrame = frameRows(columns, frames, wanted)
    const { version, wholeOnly } = await artifactFacts(this.#bringingOf([]))
    // What the manifest left behind would lie there for as long as the artifact streams by.
    collectLitter()
    const lanes = new Lanes<number>(workers.count, QUEUED)
    const waiting = stretches(frames, byFrame, wholeOnly ? Number.POSITIVE_INFINITY : STRETCH_BYTES).values()
    const name = objectsOf.artifact(build)
    let doneBytes = 0
    await sideBySide(workers.count, ended, async (thread, signal) => {
      for (const { first, start, end } of waiting) {
        const stream = downloads.stream(name, { start, end }, version, signal)
        for await (const cut of batches(cutFrames(stream, frames, first), BATCH_BYTES)) {
          const together = cut.map(({ index, bytes }) => {
            return { index, packed: bytes, rawBytes: frames[index]?.rawBytes ?? 0, starting: byFrame.startingIn(index) }
          })
          await shaped
          doneBytes += cut.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
          job.onProgress({ doneBytes, totalBytes: artifact.bytes })
          const buffers = cut.map(({ bytes }) => bytes.buffer)
          await lanes.add(thread, workers.call(thread, 'writeRows', [together], buffers))
        }
      }
    })
    return { wrong: await lanes.settled(), how: 'whole' }
  }

  /** Brings single files in by the ways that a staging has. */
  async #bring(rows: readonly number[]): Promise<{ wrong: readonly number[]; how: 'delta' | 'ranges' | 'whole' }> {
    if (rows.length === 0) return { wrong: [], how: 'ranges' }
    const entries = rows.map((row) => this.#rows.entry(row))
    const how = await this.#world.supply.bring(
      this.#bringingOf(entries),
      entries.map((_, index) => index),
      true,
    )
    return { wrong: [], how }
  }

  #bringingOf(entries: readonly Entry[]): Bringing {
    const { workers, downloads, job, hot } = this.#world
    return {
      manifest: this.#sourceOf(entries),
      ...{ workers, downloads, signal: job.signal, onProgress: job.onProgress },
      trees: { hot: hot?.tree ?? '', cold: this.#tree },
      kept: () => this.#kept.kept(entries),
      replaces: () => false,
    }
  }

  #sourceOf(entries: readonly Entry[]): Source {
    return this.#kept.manifestOf(this.#world.job.order.build, entries)
  }

  #readHot(): Promise<ReadBuild | null> {
    const { workers, hot } = this.#world
    return readHot({ manifests: this.#ground.manifests, workers }, hot)
  }

  get #kept(): ChunksKept {
    const { wanted } = this.#world
    this.#chunks ??= new ChunksKept([], { hot: () => this.#readHot(), cold: null, wanted })
    return this.#chunks
  }
}
