// Owns the manifest of a build: what files it consists of and where in the artifact each one lies.
import type { BuildId, Digest, Name } from './build.ts'

/** `d` directory, `f` file, `l` symbolic link. Nothing else can be deployed. */
export type EntryType = 'd' | 'f' | 'l'

/** One path of a build. On the wire a tuple: `[type, mode, size, mtime, sha256 | link target, frame, offset, path]`. */
export interface Entry {
  readonly type: EntryType
  /** Permission bits, already masked with 0755; 0 for links. */
  readonly mode: number
  /** Bytes of a file's content; 0 for others. */
  readonly size: number
  /** Whole seconds since 1970. */
  readonly mtime: number
  /** A file's SHA-256 in hexadecimal, a link's target, "" for a directory. */
  readonly content: string
  /** Index of the frame in which a file's content begins; 0 for others and for empty files. */
  readonly frame: number
  /** Where the content begins inside the raw bytes of that frame; it continues into the following frames. */
  readonly offset: number
  /** Relative, `/`-separated, without a leading `./`. */
  readonly path: string
}

/** One zstd frame of the artifact. On the wire `[offset, bytes, rawBytes]`. */
export interface Frame {
  /** Where the frame begins in the artifact object. */
  readonly offset: number
  /** Compressed length. */
  readonly bytes: number
  /** Length once decompressed. */
  readonly rawBytes: number
}

/** What a build may at most be; checked before a byte is written. */
export interface Limits {
  readonly entries: number
  /** Sum of all files' sizes. */
  readonly bytes: number
  /** Components of the deepest path. */
  readonly depth: number
  /** Bytes of the longest path component. */
  readonly nameBytes: number
}

export interface Manifest {
  readonly app: Name
  readonly build: BuildId
  readonly commit: string | null
  readonly createdAt: string
  readonly treeDigest: Digest
  readonly artifact: { readonly digest: Digest; readonly bytes: number }
  readonly limits: Limits
  readonly frames: readonly Frame[]
  /** Sorted by the bytes of their paths; the root itself is not among them. */
  readonly entries: readonly Entry[]
}

/** Object names of a build below the store's prefix. */
export const objectsOf = {
  artifact: (build: string) => `${build}/artifact.tar.zst`,
  manifest: (build: string) => `${build}/manifest.json.zst`,
  delta: (build: string, older: string) => `${build}/from/${older}.delta.zst`,
} as const
