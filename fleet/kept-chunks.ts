// Owns which pieces of a changed large file need not be fetched: those that lie, by their digests, in files of this node.
import type { Entry, Frame } from './manifest.ts'
import type { CopySource } from './stage-plan.ts'

/** Bytes of a file that are taken from another file, believed only until the whole file is hashed. */
export interface KeptRange {
  readonly at: number
  readonly bytes: number
  readonly from: CopySource
  readonly fromAt: number
}

/** What is known of a tree's content. */
export interface ChunkedTree {
  readonly entries: readonly Entry[]
  readonly frames: readonly Frame[]
}

interface Place {
  readonly path: string
  readonly at: number
}

/** The pieces of a tree's large files, by digest. */
export class Chunks {
  readonly #hot: ReadonlyMap<string, Place>
  readonly #cold: ReadonlyMap<string, Place>

  /**
   * @param cold its files are replaced one after the other, so a piece is only taken from the file at the same path: that one is there until then
   * @param trusted whether cold's file at a path is what its manifest says
   */
  constructor(hot: ChunkedTree | null, cold: ChunkedTree | null, trusted: (entry: Entry) => boolean) {
    this.#hot = new Map(pieces(hot, () => true).map(({ digest, path, at }) => [digest, { path, at }]))
    const same = pieces(cold, trusted)
    this.#cold = new Map(same.map(({ digest, path, at }) => [`${digest} ${path}`, { path, at }]))
  }

  /** The ranges of a file that lie on this node, in order; all others must be fetched. */
  keptOf(file: Entry | undefined, frames: readonly Frame[]): readonly KeptRange[] {
    if (file === undefined) return []
    return chunksOf(file, frames).flatMap(({ digest, at, bytes }): readonly KeptRange[] => {
      const hot = this.#hot.get(digest)
      if (hot !== undefined) return [{ at, bytes, from: { tree: 'hot', path: hot.path }, fromAt: hot.at }]
      const cold = this.#cold.get(`${digest} ${file.path}`)
      return cold === undefined ? [] : [{ at, bytes, from: { tree: 'cold', path: cold.path }, fromAt: cold.at }]
    })
  }
}

function pieces(tree: ChunkedTree | null, trusted: (entry: Entry) => boolean) {
  if (tree === null) return []
  return tree.entries.flatMap((entry) => {
    const chunks = chunksOf(entry, tree.frames)
    return chunks.length > 0 && trusted(entry) ? chunks.map((chunk) => ({ ...chunk, path: entry.path })) : []
  })
}

/**
 * The pieces of a large file; nothing for a file that shares its frames. A manifest may place any file in frames that are pieces: one that
 * does not fill them from the first byte to the last has none, or what is kept would not be what is left out of the fetch.
 */
function chunksOf(file: Entry, frames: readonly Frame[]): { digest: string; at: number; bytes: number }[] {
  if (file.type !== 'f' || file.size === 0 || file.offset !== 0 || frames[file.frame]?.digest === undefined) return []
  const chunks: { digest: string; at: number; bytes: number }[] = []
  for (let at = 0, index = file.frame; at < file.size; index += 1) {
    const frame = frames[index]
    if (frame?.digest === undefined) return chunks
    if (at + frame.rawBytes > file.size) return []
    chunks.push({ digest: frame.digest, at, bytes: frame.rawBytes })
    at += frame.rawBytes
  }
  return chunks
}
