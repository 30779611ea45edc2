// Owns the trees of one root: surveying, staging, sweeping, swapping and verifying them, and the small durable files beside them.
import { join, resolve } from 'node:path'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Manifest } from '#fleet/manifest.ts'
import type { BuildStore, Clock, Logger, SessionShelf } from '#fleet/ports.ts'
import {
  type StageOrder,
  type StageProgress,
  type StageResult,
  type Survey,
  TREE_NAMES,
  type TreeDifference,
  type TreeName,
} from '../core/trees.ts'
import { Crew } from './crew.ts'
import { diskFault } from './disk-faults.ts'
import { Cabinet, type Shelf } from './durable.ts'
import { Downloads } from './fetch.ts'
import type { Ground } from './ground.ts'
import {
  emptyDirectory,
  layDirectories,
  layoutOf,
  pointLink,
  readLink,
  removeLeftovers,
  repairColdLink,
} from './layout.ts'
import { Manifests } from './manifests.ts'
import { leaveCleanMark, Marks, takeCleanMark } from './marks.ts'
import { type RootLock, takeRootLock } from './root-lock.ts'
import { Staging } from './stage.ts'
import type { StageJob } from './stage-job.ts'
import { sealedIn, surveyOf } from './survey.ts'
import { verifyTree } from './verify-tree.ts'
import type { Workers } from './workers.ts'

export interface TreesOptions {
  readonly root: string
  readonly app: Name
  /** Owner of every file and directory of a tree; needs root. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** What to do when processes of other users cannot be read: refuse for ever, or believe after so long since the swap that retired the tree. */
  readonly coldInUse: { readonly policy: 'refuse' | 'assumeAfterSeconds'; readonly seconds: number }
  /** No write into cold within so long of the swap that retired it. */
  readonly coldQuietSeconds: number
  /** How long a sweep tries to get the bytes of a repair. */
  readonly repairSeconds: number
  readonly fetch: {
    /** A download begins at a moment of this span that the node's name and the build choose. */
    readonly spreadSeconds: number
    readonly maxBytesPerSecond: number | null
    /** Slower than this over `stallSeconds` counts as stalled. */
    readonly minBytesPerSecond: number
    readonly stallSeconds: number
  }
}

export interface TreesWorld {
  readonly store: BuildStore
  readonly clock: Clock
  readonly log: Logger
  readonly node: string
}

export interface StageOptions extends Pick<StageJob, 'beforeArm'> {
  readonly signal: AbortSignal
  readonly onProgress: (progress: StageProgress) => void
}

/** Everything a puller does on its disk. One call of stage, swap or verify at a time. */
export interface Trees {
  survey(): Promise<Survey>
  /**
   * Brings cold up to date (see `StageMode`). Aborting leaves cold unsealed at worst; what was written is found again by the next call.
   * A sweep throws nothing of the COLD_ kind as long as the tree could be swapped in: `busy` says why it is not armed.
   * @throws FleetError `COLD_BUSY` · `COLD_QUIET` · `COLD_UNPROVABLE` · `DISK_*` · `INODES_FULL` · `STORE_*` · `DIGEST_MISMATCH` ·
   * `MANIFEST_INVALID` · `LIMITS_EXCEEDED`; hot is never touched. Rejects with the signal's reason when aborted.
   */
  stage(order: StageOrder, options: StageOptions): Promise<StageResult>
  /** The commit point. @throws FleetError `SWAP_FAILED`: survey again to learn where `hot` points */
  swap(to: TreeName): Promise<void>
  /**
   * Hashes every file again and compares with the manifest; writes nothing. When nothing is missing or changed, `unclean` ends for that tree.
   * @throws FleetError `DISK_ERROR` · `STORE_*` when the manifest is not on this node · `TREE_DIFFERS` when the tree has no seal
   */
  verify(tree: TreeName, signal: AbortSignal): Promise<TreeDifference>
  /** The manifest of a sealed tree, from this node alone; null when it has no seal or the copy is gone. */
  manifestOf(tree: TreeName): Promise<Manifest | null>
  /** The manifest digest of a build that lies sealed on this node, for orders that name no digest. */
  knows(build: BuildId): Promise<Digest | null>
  readonly journal: Shelf
  readonly ratchet: Shelf
  readonly shelf: SessionShelf
  /** Gives the root back. `clean` says that nothing was in flight: the next start trusts hot as it lies. */
  close(clean: boolean): Promise<void>
}

/**
 * Takes the root: lock, layout, leftovers removed, `cold` link repaired.
 * @throws FleetError `ROOT_TAKEN` (the caller exits 75) · `ROOT_UNFIT` · `DISK_*` · `SPAWN_FAILED`
 */
export async function openTrees(options: TreesOptions, world: TreesWorld): Promise<Trees> {
  if (options.owner !== undefined && process.getuid?.() !== 0) {
    throw new FleetError('ROOT_UNFIT', `owner needs a puller that runs as root, this one is uid ${process.getuid?.()}`)
  }
  const layout = layoutOf(resolve(options.root))
  layDirectories(layout)
  const lock = await takeRootLock(join(layout.state, 'lock'))
  try {
    removeLeftovers(layout)
    const cabinet = new Cabinet(layout.state)
    cabinet.refill()
    const ground: Ground = {
      ...world,
      layout,
      app: options.app,
      owner: options.owner ?? null,
      cold: { ...options.coldInUse, quietSeconds: options.coldQuietSeconds },
      repairSeconds: options.repairSeconds,
      fetch: options.fetch,
      cabinet,
      manifests: new Manifests(layout.manifests, options.app),
      marks: new Marks(cabinet, world.clock),
    }
    return new TreesOnDisk(ground, lock, !takeCleanMark(layout.state))
  } catch (error) {
    lock.release()
    throw diskFault(error, `opening ${layout.root}`, layout.trees)
  }
}

class TreesOnDisk implements Trees {
  readonly journal: Shelf
  readonly ratchet: Shelf
  readonly shelf: SessionShelf
  readonly #ground: Ground
  readonly #lock: RootLock
  readonly #spread = new Set<string>()
  /** Trees that an unclean stop left in doubt: their seals are believed, not the records in them, until every byte was read again. */
  readonly #doubted: Set<TreeName>
  readonly #crew: Crew
  #closed = false
  /** The last staging found its tree in use. */
  #busy = false

  constructor(ground: Ground, lock: RootLock, unclean: boolean) {
    this.#ground = ground
    this.#lock = lock
    this.#crew = new Crew(ground.clock)
    this.journal = ground.cabinet.jsonShelf('journal.json')
    this.ratchet = ground.cabinet.jsonShelf('ratchet.json')
    this.shelf = ground.cabinet.sessionShelf('session')
    const hot = readLink(ground.layout, ground.layout.hot)
    // A first start has nothing to distrust.
    this.#doubted = new Set(unclean ? TREE_NAMES : [])
    this.#repairCold(hot === 'elsewhere' ? null : hot)
  }

  async survey(): Promise<Survey> {
    return surveyOf(this.#ground, this.#doubted)
  }

  async stage(order: StageOrder, options: StageOptions): Promise<StageResult> {
    options.signal.throwIfAborted()
    const { cold, coldTree, hotTree, armed } = await this.survey()
    const doubted = this.#doubted.has(coldTree)
    // A seal that is in doubt is swept, whatever the mode: it may not be swapped in on its word alone.
    if (order.mode === 'stage' && cold?.manifest === order.manifest && !doubted) return nothingToDo(armed)
    return await this.#lend(async (workers) => {
      const busy = this.#busy
      const job = { order, cold: coldTree, hot: hotTree, doubted, busy, spread: this.#spread, ...options }
      const result = await new Staging(this.#ground, job, workers).run().catch((error: unknown) => {
        this.#busy = isFleetError(error, 'COLD_BUSY', 'COLD_QUIET', 'COLD_UNPROVABLE')
        throw error
      })
      this.#busy = result.busy !== null
      if (result.armed) this.#doubted.delete(coldTree)
      return result
    })
  }

  async swap(to: TreeName): Promise<void> {
    const { layout, marks, log } = this.#ground
    try {
      if (sealedIn(this.#ground, to) === null) throw new FleetError('HOT_BROKEN', `trees/${to} has no seal`)
      const from = (await this.survey()).hot
      // Before the link moves: whatever happens in between, an unarmed tree only costs a sweep.
      if (from?.tree !== to) marks.retire(from)
      pointLink(layout, 'swap', layout.hot, to)
    } catch (error) {
      const cause = diskFault(error, 'moving the hot link', layout.root)
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new FleetError('SWAP_FAILED', why, { cause })
    }
    this.#repairCold(to)
    log.debug('hot link moved', { tree: to })
  }

  async verify(tree: TreeName, signal: AbortSignal): Promise<TreeDifference> {
    const sealed = sealedIn(this.#ground, tree)
    if (sealed === null) throw new FleetError('TREE_DIFFERS', `trees/${tree} has no seal to verify against`)
    const downloads = new Downloads(this.#ground, this.#ground.fetch)
    const wanted = { build: sealed.build, digest: sealed.manifest }
    const { manifest } = await this.#ground.manifests.get(wanted, downloads, signal)
    const { layout, owner } = this.#ground
    const difference = await this.#lend((workers) =>
      verifyTree(workers, layout.tree[tree], manifest.entries, owner, signal),
    )
    // Files that an app added are its own affair: what is doubted is whether the build's reached the disk.
    if (difference.missing.length + difference.changed.length === 0) this.#doubted.delete(tree)
    return difference
  }

  async manifestOf(tree: TreeName): Promise<Manifest | null> {
    const sealed = sealedIn(this.#ground, tree)
    return sealed && (this.#ground.manifests.load(sealed.manifest)?.manifest ?? null)
  }

  async knows(build: BuildId): Promise<Digest | null> {
    return (
      [sealedIn(this.#ground, 'a'), sealedIn(this.#ground, 'b')].find((sealed) => sealed?.build === build)?.manifest ??
      null
    )
  }

  async close(clean: boolean): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#crew.close()
    try {
      if (clean && !(await this.survey()).unclean) leaveCleanMark(this.#ground.layout.state)
    } catch (error) {
      this.#ground.log.warn('no clean mark could be left', { error })
    } finally {
      this.#lock.release()
    }
  }

  async #lend<result>(work: (workers: Workers) => Promise<result>): Promise<result> {
    try {
      return await this.#crew.lend(work)
    } finally {
      try {
        emptyDirectory(this.#ground.layout.tmp)
      } catch (error) {
        this.#ground.log.warn('leftovers not removed', { error })
      }
    }
  }

  #repairCold(hot: TreeName | null): void {
    const error = repairColdLink(this.#ground.layout, hot)
    if (error !== null) this.#ground.log.warn('cold link not repaired', { error })
  }
}

function nothingToDo(armed: boolean): StageResult {
  const none = { fetchedBytes: 0, keptBytes: 0, copiedBytes: 0, writtenFiles: 0, ms: 0 }
  return { ...none, how: 'nothing', drift: [], armed, busy: null }
}
