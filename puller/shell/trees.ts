// Owns the trees of one root: surveying, staging, sweeping, swapping and verifying them, and the small durable files beside them.
import { InvariantError } from '#fleet/assert.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { Manifest } from '#fleet/manifest.ts'
import type { BuildStore, Clock, Logger, SessionShelf } from '#fleet/ports.ts'
import type { StageOrder, StageProgress, StageResult, Survey, TreeDifference, TreeName } from '../core/trees.ts'

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

/** A small durable file. `load` gives null when there is none. @throws FleetError `JOURNAL_INVALID` when it is not JSON; disk errors on saving */
export interface Shelf {
  load(): Promise<unknown>
  save(value: unknown): Promise<void>
}

/** Everything a puller does on its disk. One call of stage, swap or verify at a time. */
export interface Trees {
  survey(): Promise<Survey>
  /**
   * Brings cold up to date (see `StageMode`). Aborting leaves cold unsealed at worst; what was written is found again by the next call.
   * @throws FleetError `COLD_BUSY` · `COLD_QUIET` · `COLD_UNPROVABLE` (mode stage only) · `DISK_*` · `INODES_FULL` · `STORE_*` · `DIGEST_MISMATCH` ·
   * `MANIFEST_INVALID` · `LIMITS_EXCEEDED`; hot is never touched. Rejects with the signal's reason when aborted.
   */
  stage(
    order: StageOrder,
    options: { signal: AbortSignal; onProgress: (progress: StageProgress) => void },
  ): Promise<StageResult>
  /** The commit point. @throws FleetError `SWAP_FAILED`: survey again to learn where `hot` points */
  swap(to: TreeName): Promise<void>
  /** Hashes every file again and compares with the manifest; writes nothing. A clean hot tree ends `unclean`. @throws FleetError `DISK_ERROR` · `STORE_*` when the manifest is not on this node */
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
 * @throws FleetError `ROOT_TAKEN` (the caller exits 75) · `ROOT_UNFIT` · `DISK_*`
 */
export function openTrees(_options: TreesOptions, _world: TreesWorld): Promise<Trees> {
  return Promise.reject(new InvariantError('the trees engine is not built yet'))
}
