// Owns the columns of builds that lie on this node: as they were kept, else read from the manifest by a thread and kept.
import type { Columns } from '#fleet/manifest-columns.ts'
import type { LocalManifest, Manifests } from './manifests.ts'
import type { Seal } from './seal.ts'
import type { Workers } from './workers.ts'

/** The build in hot; its manifest is read when it is asked for, null when this node has no copy. */
export interface HotBuild {
  readonly seal: Seal
  readonly local: () => LocalManifest | null
}

/** A build that lies on this node, its manifest read into columns. */
export interface ReadBuild {
  readonly manifest: LocalManifest
  readonly columns: Columns
}

export interface ColumnsWorld {
  readonly manifests: Manifests
  readonly workers: Workers
}

/** What a tree was sealed with; null when there is no copy of that manifest, or one that must be parsed as JSON. */
export async function columnsOf(
  { manifests, workers }: ColumnsWorld,
  seal: Seal | null,
  manifest: LocalManifest | null,
  thread: number,
): Promise<Columns | null> {
  if (seal === null || manifest === null) return null
  const kept = manifests.columns(manifest)
  if (kept !== null) return kept
  const read = await workers.call(thread, 'readColumns', [manifest.bytes, seal])
  if (read !== null) manifests.keepColumns(manifest.digest, read)
  return read
}

/** Null when there is no build in hot, or nothing to read it from. */
export async function readHot(world: ColumnsWorld, hot: HotBuild | null): Promise<ReadBuild | null> {
  const manifest = hot?.local() ?? null
  const columns = hot && (await columnsOf(world, hot.seal, manifest, 1))
  return manifest && columns && { manifest, columns }
}
