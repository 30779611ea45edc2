// Owns the words for the two trees of a node: what a survey of them says, what staging is asked for and what it answers.
import type { BuildId, Digest } from '#fleet/build.ts'
import type { Trouble } from '#fleet/node-status.ts'

/** The two directories below `<root>/trees`. */
export type TreeName = 'a' | 'b'
export const TREE_NAMES = ['a', 'b'] as const satisfies readonly TreeName[]

export function otherTree(tree: TreeName): TreeName {
  return tree === 'a' ? 'b' : 'a'
}

/** A tree with a valid seal: complete and durable when it was sealed. */
export interface SealedTree {
  readonly tree: TreeName
  readonly build: BuildId
  readonly manifest: Digest
}

/** What the disk says now: the links, the seals and the marks, never the journal. */
export interface Survey {
  /** What `hot` resolves to, when that is sealed; null before the first swap and when `hotFault` says why. */
  readonly hot: SealedTree | null
  /** The link is there but leads nowhere, or to a tree without a valid seal. */
  readonly hotFault: Trouble | null
  /** The tree that `hot` leads to, sealed or not: it is never written. Null when there is no such link. */
  readonly hotTree: TreeName | null
  /** The spare tree, when it is sealed. */
  readonly cold: SealedTree | null
  readonly coldTree: TreeName
  /** A swap to `cold` needs no sweep first. */
  readonly armed: boolean
  /** The puller before this one did not stop by `close(true)` on this boot, and the bytes of the hot tree were not all read again since. */
  readonly unclean: boolean
  /** Both seals by tree, for a recovery that must choose when there is no hot link. */
  readonly sealed: Readonly<Record<TreeName, SealedTree | null>>
}

/**
 * `stage`: bring cold up to date with the build and seal it; when its seal names the build already there is nothing to do.
 * `sweep`: cold is sealed with it already (else this is `stage`): compare every file and directory with the seal, repair, and arm.
 */
export type StageMode = 'stage' | 'sweep'

export interface StageOrder {
  readonly build: BuildId
  readonly manifest: Digest
  readonly mode: StageMode
}

/** Bytes of the download in hand. */
export interface StageProgress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface StageResult {
  /** Bytes that came from the store, manifests included. */
  readonly fetchedBytes: number
  /** Bytes of files that were left as they lay. */
  readonly keptBytes: number
  /** Bytes of files that were copied from a tree of this node. */
  readonly copiedBytes: number
  readonly writtenFiles: number
  readonly how: 'nothing' | 'delta' | 'ranges' | 'whole' | 'sweep'
  readonly ms: number
  /** Paths (at most 20) that differ from the build and could not be repaired; only a sweep of a tree that was hot before may have any. */
  readonly drift: readonly string[]
  /** Cold is armed now. False after a sweep only when `drift` or `busy` says why: sweep again later. */
  readonly armed: boolean
  /** Why a sweep could not write or arm: `COLD_BUSY` naming the pid, `COLD_QUIET`, `COLD_UNPROVABLE`. A rollback need not wait for it. */
  readonly busy: Trouble | null
}

/** How a tree differs from its manifest, by path, sorted; all empty when it does not. Control characters in names are escaped. */
export interface TreeDifference {
  readonly missing: readonly string[]
  readonly extra: readonly string[]
  readonly changed: readonly string[]
}
