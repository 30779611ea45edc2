// Owns publishing a build: artifact, deltas and manifest into the store, then the entry in the catalog, in an order that a crash cannot spoil.
import { type BuildId, buildIdFor, type Digest, isBuildId, type Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { digestOf, encodeManifest, type Limits, type Manifest, objectsOf, treeDigestOf } from '#fleet/manifest.ts'
import { MOST } from '#fleet/manifest-rules.ts'
import type { BuildStore, Catalog, CatalogEntry, Clock } from '#fleet/ports.ts'
import { restoreArtifact, uploadArtifact } from './artifact.ts'
import { type Hashed, hashTree } from './content.ts'
import { writeDeltas } from './delta.ts'
import { type PublishedManifest, readManifest } from './read-manifest.ts'
import { scanTree } from './scan.ts'
import { zstdFrame } from './zstd.ts'

/** What to publish, and as what. */
export interface PublishRequest {
  readonly app: Name
  readonly dir: string
  /** Default: the time and the commit's, or else the tree's, first seven characters. */
  readonly build?: BuildId
  readonly commit?: string | null
  readonly checks?: Readonly<Record<string, string>>
  /** Commits that it contains, beside its own. */
  readonly contains?: readonly string[]
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
  const tree = await readTree(request, ports.clock, observe, signal)
  const createdAt = new Date(ports.clock.now())
  const suffix = (request.commit ?? tree.digest.slice('sha256:'.length)).slice(0, 7)
  const build = request.build ?? (buildIdFor(createdAt, suffix) as BuildId)

  const there = await findPublished(ports, request.app, build, tree.digest, signal)
  const published = there ?? (await upload(ports, request, { build, createdAt }, tree, observe, signal))
  if (there !== null) {
    await restoreArtifact(ports.store, request.dir, there, tree, 'length', signal)
    await addDeltas(ports, request, there, tree, observe, signal)
  }
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
  clock: Clock,
  observe: (progress: PublishProgress) => void,
  signal: AbortSignal,
): Promise<Tree> {
  observe({ step: 'scanning', doneBytes: 0, totalBytes: 0 })
  const scanned = await scanTree(dir, limits, foldAllowed, clock, signal)
  const bytes = scanned.reduce((sum, { size }) => sum + size, 0)
  let doneBytes = 0
  const onBytes = (more: number) => {
    doneBytes += more
    observe({ step: 'hashing', doneBytes, totalBytes: bytes })
  }
  const entries = await hashTree(dir, scanned, onBytes, clock, signal)
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
  const timeOf = await predecessorTimes(ports, request.app, createdAt, signal)
  const timed = { entries: tree.entries, timeOf, createdAt }
  const onBytes = (doneBytes: number) => {
    observe({ step: 'uploading', doneBytes: Math.min(doneBytes, tree.bytes), totalBytes: tree.bytes })
  }
  const packed = await uploadArtifact(store, request.dir, build, timed, onBytes, signal)
  const manifest: Manifest = {
    app: request.app,
    build,
    commit: request.commit ?? null,
    createdAt: packed.createdAt.toISOString(),
    treeDigest: tree.digest,
    artifact: packed.artifact,
    limits: request.limits ?? MOST,
    ...(request.foldAllowed && { foldAllowed: true as const }),
    frames: packed.frames,
    entries: packed.entries,
  }
  const bytes = encodeManifest(manifest)
  const published = { manifest, digest: digestOf(bytes) }
  await addDeltas(ports, request, published, tree, observe, signal)
  const outcome = await store.create(objectsOf.manifest(build), one(zstdFrame(bytes)), signal)
  if (outcome === 'created') return published
  // Somebody published the same id at the same time and was first: theirs is the build, if it is the same.
  const theirs = await findPublished(ports, request.app, build, tree.digest, signal)
  if (theirs === null) throw differs(build)
  // Where the store cannot refuse a second upload in parts, ours may have replaced their artifact.
  if (theirs.digest !== published.digest) await restoreArtifact(store, request.dir, theirs, tree, 'bytes', signal)
  return theirs
}

async function addDeltas(
  { store }: PublishPorts,
  { dir, running = [] }: PublishRequest,
  published: PublishedManifest,
  tree: Tree,
  observe: (progress: PublishProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  observe({ step: 'deltas', doneBytes: 0, totalBytes: tree.bytes })
  await writeDeltas(store, dir, tree.entries, published, running, signal)
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/**
 * Content that the predecessor has too keeps the predecessor's time, all other is of now: web servers that build ETag or Last-Modified
 * from it stay right, and every node has the same one. The predecessor is the newest build of the catalog.
 */
async function predecessorTimes(
  { store, catalog }: PublishPorts,
  app: Name,
  createdAt: Date,
  signal: AbortSignal,
): Promise<(entry: Hashed) => number> {
  const now = Math.floor(createdAt.getTime() / 1_000)
  const newest = (await catalog.list(signal))[0]
  if (newest === undefined) return () => now
  const wanted = { app, build: newest.build, digest: newest.manifest }
  const predecessor = await readManifest(store, wanted, signal).catch((error: unknown) => {
    // Times are a courtesy: a predecessor that is damaged must not stop a new build.
    if (isFleetError(error) && error.kind === 'corrupt') return null
    throw error
  })
  const before = new Map((predecessor?.manifest.entries ?? []).map((entry) => [entry.path, entry]))
  return ({ path, type, content }) => {
    const old = before.get(path)
    return old !== undefined && old.type === type && old.content === content ? old.mtime : now
  }
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
    ...(request.contains !== undefined && request.contains.length > 0 && { contains: request.contains }),
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
