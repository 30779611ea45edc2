// Owns publishing a build: artifact, deltas and manifest into the store, then the entry in the catalog, in an order that a crash cannot spoil.
import { createHash } from 'node:crypto'
import { type BuildId, buildIdFor, type Digest, isBuildId, type Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import {
  digestOf,
  type Entry,
  encodeManifest,
  type Frame,
  type Limits,
  type Manifest,
  objectsOf,
  treeDigestOf,
} from '#fleet/manifest.ts'
import { MOST } from '#fleet/manifest-rules.ts'
import type { BuildStore, Catalog, CatalogEntry, Clock } from '#fleet/ports.ts'
import { type Hashed, hashTree } from './content.ts'
import { compressFrames, zstdFrame } from './frames.ts'
import { type Packable, packTree } from './pack.ts'
import { type PublishedManifest, readManifest } from './read-manifest.ts'
import { scanTree } from './scan.ts'

/** What to publish, and as what. */
export interface PublishRequest {
  readonly app: Name
  readonly dir: string
  /** Default: the time and the commit's, or else the tree's, first seven characters. */
  readonly build?: BuildId
  readonly commit?: string | null
  readonly checks?: Readonly<Record<string, string>>
  readonly by: string
  /** What rings run now: nodes that have one of these get a delta. */
  readonly running?: readonly { readonly build: BuildId; readonly manifest: Digest }[]
  /** Default: the most that any build may be. */
  readonly limits?: Limits
  /** Allow names that differ only in case or composition. Default: they are refused. */
  readonly foldAllowed?: boolean
}

/** Where a publish stands. Steps come in this order; bytes are of the directory, not of the store. */
export interface PublishProgress {
  readonly step: 'scanning' | 'hashing' | 'uploading' | 'deltas' | 'cataloguing'
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface PublishResult {
  readonly build: BuildId
  readonly manifest: Digest
  readonly treeDigest: Digest
  /** `already-there`: the same content was published under this id before; only what was missing was added. */
  readonly outcome: 'published' | 'already-there'
  /** Length of the artifact. */
  readonly bytes: number
  /** Sum of the files' lengths. */
  readonly rawBytes: number
  readonly entries: number
  readonly ms: number
}

/** What publishing needs of the world. */
export interface PublishPorts {
  readonly store: BuildStore
  readonly catalog: Catalog
  readonly clock: Clock
}

/**
 * Publishes a directory as an immutable build. Safe to repeat: after a crash half-way the same call finishes it.
 * @throws FleetError `ENTRY_REFUSED` · `BUILD_EMPTY` · `BUILD_DIFFERS` · `LIMITS_EXCEEDED` · `NAME_INVALID` · what store and catalog throw
 */
export async function publishBuild(
  ports: PublishPorts,
  request: PublishRequest,
  observe: (progress: PublishProgress) => void,
  signal: AbortSignal,
): Promise<PublishResult> {
  const began = ports.clock.monotonic()
  if (request.build !== undefined && !isBuildId(request.build)) {
    throw new FleetError('NAME_INVALID', `${JSON.stringify(request.build)} cannot be a build id`)
  }
  const tree = await readTree(request, observe, signal)
  const createdAt = new Date(ports.clock.now())
  const suffix = (request.commit ?? tree.digest.slice('sha256:'.length)).slice(0, 7)
  const build = request.build ?? (buildIdFor(createdAt, suffix) as BuildId)

  const there = await findPublished(ports, request.app, build, tree.digest, signal)
  const published = there ?? (await upload(ports, request, { build, createdAt }, tree, observe, signal))
  observe({ step: 'cataloguing', doneBytes: tree.bytes, totalBytes: tree.bytes })
  await enterCatalog(ports.catalog, request, published, signal)
  return {
    build,
    manifest: published.digest,
    treeDigest: tree.digest,
    outcome: there === null ? 'published' : 'already-there',
    bytes: published.manifest.artifact.bytes,
    rawBytes: tree.bytes,
    entries: tree.entries.length,
    ms: ports.clock.monotonic() - began,
  }
}

interface Tree {
  readonly entries: readonly Hashed[]
  readonly digest: Digest
  readonly bytes: number
}

async function readTree(
  { dir, limits = MOST, foldAllowed = false }: PublishRequest,
  observe: (progress: PublishProgress) => void,
  signal: AbortSignal,
): Promise<Tree> {
  observe({ step: 'scanning', doneBytes: 0, totalBytes: 0 })
  const scanned = await scanTree(dir, limits, foldAllowed, signal)
  const bytes = scanned.reduce((sum, { size }) => sum + size, 0)
  let doneBytes = 0
  const onBytes = (more: number) => {
    doneBytes += more
    observe({ step: 'hashing', doneBytes, totalBytes: bytes })
  }
  const entries = await hashTree(dir, scanned, onBytes, signal)
  return { entries, digest: treeDigestOf(entries), bytes }
}

/** What is published under this id already: the same content, or nothing. @throws FleetError `BUILD_DIFFERS` */
async function findPublished(
  { store, catalog }: PublishPorts,
  app: Name,
  build: BuildId,
  treeDigest: Digest,
  signal: AbortSignal,
): Promise<PublishedManifest | null> {
  const entered = await catalog.find(build, signal)
  if (entered !== null && entered.entry.treeDigest !== treeDigest) throw differs(build)
  const digest = entered === null ? {} : { digest: entered.entry.manifest }
  const published = await readManifest(store, { app, build, ...digest }, signal)
  if (published === null) {
    if (entered === null) return null
    throw new FleetError('BUILD_DIFFERS', `the catalog names build ${build}, but its manifest is gone from the store`)
  }
  // Taken from the entries, not from the field: this decides whether other content may hide behind the id.
  if (treeDigestOf(published.manifest.entries) !== treeDigest) throw differs(build)
  return published
}

function differs(build: BuildId): FleetError {
  return new FleetError('BUILD_DIFFERS', `build ${build} is published already with other content: nothing was changed`)
}

async function upload(
  ports: PublishPorts,
  request: PublishRequest,
  identity: { readonly build: BuildId; readonly createdAt: Date },
  tree: Tree,
  observe: (progress: PublishProgress) => void,
  signal: AbortSignal,
): Promise<PublishedManifest> {
  const { store } = ports
  const { build, createdAt } = identity
  const packable = await giveTimes(ports, request.app, tree.entries, createdAt, signal)
  const packed = packArtifact(request.dir, packable, (doneBytes) => {
    observe({ step: 'uploading', doneBytes, totalBytes: tree.bytes })
  })
  const outcome = await store.create(objectsOf.artifact(build), packed.body(signal), signal)
  if (outcome === 'exists') throw differs(build)
  const manifest: Manifest = {
    app: request.app,
    build,
    commit: request.commit ?? null,
    createdAt: createdAt.toISOString(),
    treeDigest: tree.digest,
    artifact: packed.artifact(),
    limits: request.limits ?? MOST,
    ...(request.foldAllowed && { foldAllowed: true as const }),
    frames: packed.frames,
    entries: packed.entries(),
  }
  const bytes = encodeManifest(manifest)
  await store.create(objectsOf.manifest(build), one(await zstdFrame(bytes)), signal)
  return { manifest, digest: digestOf(bytes) }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** The artifact's bytes, and what is known of it once they were all taken. */
function packArtifact(dir: string, tree: readonly Packable[], onBytes: (done: number) => void) {
  const frames: Frame[] = []
  const sum = createHash('sha256')
  let artifactBytes = 0
  let rawBytes = 0
  let entries: readonly Entry[] = []
  return {
    frames,
    entries: () => entries,
    artifact: () => ({ digest: `sha256:${sum.digest('hex')}` as Digest, bytes: artifactBytes }),
    async *body(signal: AbortSignal): AsyncGenerator<Uint8Array> {
      const onFrame = (frame: Frame) => {
        frames.push(frame)
        rawBytes += frame.rawBytes
        onBytes(rawBytes)
      }
      const source = compressFrames(packTree(dir, tree), onFrame, signal)
      for (let next = await source.next(); ; next = await source.next()) {
        if (next.done) {
          entries = next.value
          return
        }
        sum.update(next.value)
        artifactBytes += next.value.byteLength
        yield next.value
      }
    },
  }
}

/**
 * Content that the predecessor has too keeps the predecessor's time, all other is of now: web servers that build ETag or Last-Modified
 * from it stay right, and every node has the same one. The predecessor is the newest build of the catalog whose manifest can be had.
 */
async function giveTimes(
  { store, catalog }: PublishPorts,
  app: Name,
  entries: readonly Hashed[],
  createdAt: Date,
  signal: AbortSignal,
): Promise<readonly Packable[]> {
  const now = Math.floor(createdAt.getTime() / 1_000)
  const before = new Map<string, Entry>()
  const newest = (await catalog.list(signal))[0]
  const predecessor =
    newest === undefined
      ? null
      : await readManifest(store, { app, build: newest.build, digest: newest.manifest }, signal).catch(
          (error: unknown) => {
            // Times are a courtesy: a predecessor that is pruned or damaged must not stop a new build.
            if (isFleetError(error) && (error.kind === 'corrupt' || error.code === 'STORE_MISSING')) return null
            throw error
          },
        )
  for (const entry of predecessor?.manifest.entries ?? []) before.set(entry.path, entry)
  return entries.map((entry) => {
    const old = before.get(entry.path)
    const same = old !== undefined && old.type === entry.type && old.content === entry.content
    return { ...entry, mtime: same ? old.mtime : now }
  })
}

async function enterCatalog(
  catalog: Catalog,
  request: PublishRequest,
  { manifest, digest }: PublishedManifest,
  signal: AbortSignal,
): Promise<void> {
  if ((await catalog.find(manifest.build, signal)) !== null) return
  const entry: CatalogEntry = {
    app: manifest.app,
    build: manifest.build,
    commit: manifest.commit,
    createdAt: manifest.createdAt,
    by: request.by,
    manifest: digest,
    treeDigest: manifest.treeDigest,
    artifact: manifest.artifact,
    checks: request.checks ?? {},
    good: {},
    quarantine: null,
  }
  try {
    await catalog.put(entry, 0, signal)
  } catch (error) {
    if (!isFleetError(error, 'WRITE_CONFLICT')) throw error
    const other = await catalog.find(manifest.build, signal)
    if (other?.entry.manifest !== digest) throw differs(manifest.build)
  }
}
