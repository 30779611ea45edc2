// Owns what is known of the build in hot: its seal, and its manifest when somebody asks for it.
import type { Columns } from '#fleet/manifest-columns.ts'
import type { LocalManifest } from './manifests.ts'
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

/** Null when there is no build, no copy of its manifest, or one that must be parsed as JSON. */
export async function readHot(workers: Workers, hot: HotBuild | null): Promise<ReadBuild | null> {
  const manifest = hot?.local() ?? null
  const columns = manifest && hot && (await workers.call(1, 'readColumns', [manifest.bytes, hot.seal]))
  return manifest && columns && { manifest, columns }
}
