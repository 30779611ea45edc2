// Owns what a patch needs to fetch by ranges: the places of the ordered build's frames, and the pieces of large files that this node has.
// All of it is worked out when it is first asked for: most patches come by a delta and never ask.
import type { BuildId } from '#fleet/build.ts'
import { type ChunkedTree, Chunks } from '#fleet/kept-chunks.ts'
import type { Entry, Manifest } from '#fleet/manifest.ts'
import { CHARS, Rows } from '#fleet/manifest-columns.ts'
import { readOutline } from '#fleet/manifest-table.ts'
import type { Row } from '#fleet/tree-diff.ts'
import type { KeptOf } from './bring.ts'
import type { ReadBuild } from './columns-of.ts'
import type { LocalManifest } from './manifests.ts'

export interface ChunkSources {
  readonly hot: () => Promise<ReadBuild | null>
  /** Null when nothing that changes can have pieces. */
  readonly cold: ReadBuild | null
  readonly wanted: LocalManifest
}

/** Smaller files share their frames with others and have no pieces of their own. */
const LEAST_BYTES = 128 * 1024

export class ChunksKept {
  readonly #gone: readonly Row[]
  readonly #sources: ChunkSources
  #outline: Pick<Manifest, 'frames' | 'artifact'> | null = null
  #chunks: Promise<Chunks> | null = null

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

  /** The parts of the entries' files that lie on this node. */
  async kept(entries: readonly Entry[]): Promise<KeptOf> {
    if (entries.every(({ size }) => size <= LEAST_BYTES)) return () => []
    this.#chunks ??= this.#read()
    const chunks = await this.#chunks
    const { frames } = this.#places
    return (index) => {
      const entry = entries[index]
      return entry === undefined || entry.size <= LEAST_BYTES ? [] : chunks.keptOf(entry, frames)
    }
  }

  get #places(): Pick<Manifest, 'frames' | 'artifact'> {
    if (this.#outline === null) {
      const { wanted } = this.#sources
      const outline = readOutline(wanted.bytes)
      this.#outline = outline === null ? wanted.manifest : { frames: outline.frames, artifact: outline.head.artifact }
    }
    return this.#outline
  }

  async #read(): Promise<Chunks> {
    const { hot, cold } = this.#sources
    // As they stand in cold's manifest: a composed difference may have their places in another artifact.
    const replaced = this.#gone.flatMap(({ row, entry }) => (entry.size > LEAST_BYTES ? [row] : []))
    const lies = await hot()
    return new Chunks(lies && chunkedTree(lies, largeIn(lies)), cold && chunkedTree(cold, replaced), () => true)
  }
}

function chunkedTree({ manifest, columns }: ReadBuild, files: readonly number[]): ChunkedTree | null {
  const outline = files.length === 0 ? null : readOutline(manifest.bytes)
  if (outline === null) return null
  const rows = new Rows(columns)
  return { entries: files.map((row) => rows.entry(row)), frames: outline.frames }
}

/** Rows of the large files. */
function largeIn({ columns: { count, type, size } }: ReadBuild): number[] {
  const large: number[] = []
  for (let row = 0; row < count; row += 1) if (type[row] === CHARS.f && (size[row] ?? 0) > LEAST_BYTES) large.push(row)
  return large
}
