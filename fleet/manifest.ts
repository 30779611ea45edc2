// Owns the manifest of a build: what files it consists of, where in the artifact each one lies, and its bytes.
import { createHash, hash } from 'node:crypto'
import type { BuildId, Digest, Name } from './build.ts'
import { FleetError } from './errors.ts'
import { exceedsRoom } from './json-room.ts'
import { Rows } from './manifest-columns.ts'
import { checkManifest, MOST } from './manifest-rules.ts'
import { readManifest } from './manifest-table.ts'

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

/** One zstd frame of the artifact. On the wire `[offset, bytes, rawBytes]` or `[offset, bytes, rawBytes, digest]`. */
export interface Frame {
  /** Where the frame begins in the artifact object: where the frame before it ends. */
  readonly offset: number
  /** Compressed length. */
  readonly bytes: number
  /** Length once decompressed. */
  readonly rawBytes: number
  /**
   * SHA-256 of the raw bytes in hexadecimal, where the frame is exactly one of the pieces (`CHUNK_BYTES` each but for the last) that a
   * large file is cut into: lets a node keep the unchanged pieces of a changed file. Absent for all other frames.
   */
  readonly digest?: string
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

/** Raw length of the pieces that a large file is cut into, each of them a frame of its own. */
export const CHUNK_BYTES = 1024 * 1024

/** Bytes of the largest manifest that is decompressed: a bomb stops here. */
export const MAX_MANIFEST_BYTES = 512 * 1024 * 1024

export interface Manifest {
  readonly app: Name
  readonly build: BuildId
  readonly commit: string | null
  readonly createdAt: string
  readonly treeDigest: Digest
  readonly artifact: { readonly digest: Digest; readonly bytes: number }
  readonly limits: Limits
  /** Present when the publisher allowed names that differ only in case or composition; without it such a build is refused. */
  readonly foldAllowed?: true
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

/** `sha256:` digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${hash('sha256', bytes)}` as Digest
}

/** Digest of a tree: paths, types, modes and contents alone, so that the same tree has the same one whoever publishes it and when. */
export function treeDigestOf(entries: readonly Pick<Entry, 'type' | 'mode' | 'content' | 'path'>[]): Digest {
  const sum = createHash('sha256')
  for (const { type, mode, content, path } of entries) sum.update(`${JSON.stringify([type, mode, content, path])}\n`)
  return `sha256:${sum.digest('hex')}` as Digest
}

/** The line of an entry, without the comma. Its place in the text is part of the format: `fleet/delta.ts` splices lines. */
export function entryLine(entry: Entry): string {
  const { type, mode, size, mtime, content, frame, offset, path } = entry
  return JSON.stringify([type, mode, size, mtime, content, frame, offset, path])
}

/** The line of a frame, without the comma. */
export function frameLine({ offset, bytes, rawBytes, digest }: Frame): string {
  return digest === undefined ? `[${offset},${bytes},${rawBytes}]` : `[${offset},${bytes},${rawBytes},"${digest}"]`
}

/** The first line: all that is neither frames nor entries. */
export function preambleOf(manifest: Omit<Manifest, 'frames' | 'entries'>): string {
  const { app, build, commit, createdAt, treeDigest, artifact, limits, foldAllowed } = manifest
  const fields = JSON.stringify({
    v: 1,
    app,
    build,
    commit,
    createdAt,
    treeDigest,
    artifact: { digest: artifact.digest, bytes: artifact.bytes },
    limits: { entries: limits.entries, bytes: limits.bytes, depth: limits.depth, nameBytes: limits.nameBytes },
    ...(foldAllowed && { foldAllowed }),
  })
  return `${fields.slice(0, -1)},"frames":[`
}

/** Stands between frames and entries, and after the entries. */
export const ENTRIES_LINE = '],"entries":['
export const LAST_LINE = ']}\n'

/**
 * The bytes of a manifest: JSON with the preamble, each frame and each entry on a line of its own. The digest that targets and the
 * catalog name is over exactly these bytes.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const frames = manifest.frames.map(frameLine).join(',\n')
  const entries = manifest.entries.map(entryLine).join(',\n')
  return Buffer.from(`${preambleOf(manifest)}\n${frames}\n${ENTRIES_LINE}\n${entries}\n${LAST_LINE}`)
}

// Fatal: bytes that are no UTF-8 must not become paths by way of replacement characters.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a manifest and checks every rule before anything is done with it; any JSON layout is read.
 * @param expected what the reader was told: the digest of these bytes, the app and the build
 * @throws FleetError `DIGEST_MISMATCH` · `MANIFEST_INVALID` · `LIMITS_EXCEEDED`
 */
export function decodeManifest(
  bytes: Uint8Array,
  expected: { readonly digest?: Digest; readonly app?: string; readonly build?: string } = {},
): Manifest {
  if (bytes.byteLength > MAX_MANIFEST_BYTES) {
    throw new FleetError('LIMITS_EXCEEDED', `the manifest has ${bytes.byteLength} bytes, at most ${MAX_MANIFEST_BYTES}`)
  }
  const digest = expected.digest === undefined ? undefined : digestOf(bytes)
  if (digest !== expected.digest) {
    throw new FleetError('DIGEST_MISMATCH', `the manifest has digest ${digest}, ordered was ${expected.digest}`)
  }
  const manifest = readQuickly(bytes) ?? readAsJson(bytes)
  for (const key of ['app', 'build'] as const) {
    if (expected[key] !== undefined && expected[key] !== manifest[key]) {
      throw new FleetError(
        'MANIFEST_INVALID',
        `the manifest is of ${key} ${manifest[key]}, expected was ${expected[key]}`,
      )
    }
  }
  return manifest
}

function readQuickly(bytes: Uint8Array): Manifest | null {
  const read = readManifest(bytes)
  if (read === null) return null
  const rows = new Rows(read.columns)
  const entries = Array.from({ length: read.columns.count }, (_, row) => rows.entry(row))
  return { ...read.head, frames: read.frames, entries }
}

function readAsJson(bytes: Uint8Array): Manifest {
  // As many frames as entries at the most: each entry has three texts and eight values, its comma included.
  if (exceedsRoom(bytes, { lists: 2 * MOST.entries, texts: 4 * MOST.entries, values: 12 * MOST.entries })) {
    throw new FleetError('LIMITS_EXCEEDED', 'the manifest holds more values than any build has')
  }
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    throw new FleetError('MANIFEST_INVALID', 'the manifest is not JSON', { cause })
  }
  return checkManifest(value)
}
