// Owns what a patch needs to fetch by ranges: the places of the ordered build's frames, and the pieces of large files that this node has.
// All of it is worked out when it is first asked for: most patches come by a delta and never ask.
import type { BuildId } from '#fleet/build.ts'
import { type ChunkedTree, Chunks, type KeptRange } from '#fleet/kept-chunks.ts'
import type { Entry, Manifest } from '#fleet/manifest.ts'
import { CHARS, Rows } from '#fleet/manifest-columns.ts'
import { readManifest, readOutline } from '#fleet/manifest-table.ts'
import type { Row } from '#fleet/tree-diff.ts'
import type { LocalManifest } from './manifests.ts'

export interface ChunkSources {
  readonly hot: () => LocalManifest | null
  readonly cold: () => LocalManifest | null
  readonly wanted: LocalManifest
}

/** Smaller files share their frames with others and have no pieces of their own. */
const LEAST_BYTES = 128 * 1024

export class ChunksKept {
  readonly #gone: readonly Row[]
  readonly #sources: ChunkSources
  #outline: Pick<Manifest, 'frames' | 'artifact'> | null = null
  #chunks: Chunks | null = null

  /** @param gone what cold has at the paths that change */
  constructor(gone: readonly Row[], sources: ChunkSources) {
    this.#gone = gone
    this.#sources = sources
  }

  /** The ordered manifest, narrowed to the entries that come: indexes count these. */
  manifestOf(build: BuildId, entries: readonly Entry[]): Pick<Manifest, 'build' | 'frames' | 'artifact' | 'entries'> {
    const outline = () => this.#places
    return {
      build,
      entries,
      get frames() {
        return outline().frames
      },
      get artifact() {
        return outline().artifact
      },
    }
  }

  /** The parts of a file that lie on this node. */
  keptOf(entry: Entry | undefined): readonly KeptRange[] {
    if (entry === undefined || entry.size <= LEAST_BYTES) return []
    this.#chunks ??= this.#read()
    return this.#chunks.keptOf(entry, this.#places.frames)
  }

  get #places(): Pick<Manifest, 'frames' | 'artifact'> {
    if (this.#outline === null) {
      const { wanted } = this.#sources
      const outline = readOutline(wanted.bytes)
      this.#outline = outline === null ? wanted.manifest : { frames: outline.frames, artifact: outline.head.artifact }
    }
    return this.#outline
  }

  #read(): Chunks {
    const hot = this.#sources.hot()
    const cold = this.#gone.length === 0 ? null : this.#sources.cold()
    return new Chunks(hot && largeFilesOf(hot), cold && this.#replacedIn(cold), () => true)
  }

  /** The large files that change, as they stand in cold's manifest: a composed difference may have their places in another artifact. */
  #replacedIn(cold: LocalManifest): ChunkedTree | null {
    const large = this.#gone.filter(({ entry }) => entry.size > LEAST_BYTES)
    const read = large.length === 0 ? null : readManifest(cold.bytes)
    if (read === null) return null
    const rows = new Rows(read.columns)
    return { entries: large.map(({ row }) => rows.entry(row)), frames: read.frames }
  }
}

function largeFilesOf(local: LocalManifest): ChunkedTree {
  const read = readManifest(local.bytes)
  if (read === null) return local.manifest
  const { columns } = read
  const rows = new Rows(columns)
  const entries: Entry[] = []
  for (let row = 0; row < columns.count; row += 1) {
    if (columns.type[row] === CHARS.f && (columns.size[row] ?? 0) > LEAST_BYTES) entries.push(rows.entry(row))
  }
  return { entries, frames: read.frames }
}
