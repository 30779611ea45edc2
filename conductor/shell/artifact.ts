// Owns the artifact of a build in the store: uploaded once, never overwritten, taken over when an earlier publish ended before its manifest.
import { createHash } from 'node:crypto'
import type { BuildId, Digest } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { type Entry, type Frame, type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'
import type { Hashed } from './content.ts'
import { compressFrames } from './frames.ts'
import { type Packable, packTree, timesInArtifact } from './pack.ts'
import type { PublishedManifest } from './read-manifest.ts'

/** What is known of an artifact once all of its bytes were taken. */
interface Packed {
  readonly frames: readonly Frame[]
  readonly entries: readonly Entry[]
  readonly artifact: Manifest['artifact']
}

/** An artifact in the store, and the time of what is new in it. */
export interface Artifact extends Packed {
  readonly createdAt: Date
}

/** A tree with the times its build gives it. */
export interface Timed {
  readonly entries: readonly Hashed[]
  readonly createdAt: Date
  /** Whole seconds since 1970. */
  readonly timeOf: (entry: Hashed) => number
}

/**
 * Packs, compresses and uploads a tree in one pass.
 * @param onBytes told how many bytes of the tar are done
 * @throws FleetError `BUILD_DIFFERS` when an artifact of other content is there · `ENTRY_REFUSED` · what the store throws
 */
export async function uploadArtifact(
  store: BuildStore,
  dir: string,
  build: BuildId,
  { entries, timeOf, createdAt }: Timed,
  onBytes: (done: number) => void,
  signal: AbortSignal,
): Promise<Artifact> {
  const name = objectsOf.artifact(build)
  const packing = packArtifact(
    dir,
    entries.map((entry) => ({ ...entry, mtime: timeOf(entry) })),
    onBytes,
  )
  const outcome = await store.create(name, packing.body(signal), signal)
  if (outcome === 'created') return { ...packing.packed(), createdAt }
  return adoptArtifact(store, name, dir, entries, onBytes, signal)
}

/**
 * Puts the artifact of a published build back when the store has lost it or holds other bytes: packed with the manifest's times the tree
 * gives the very bytes that the manifest names, or nothing is touched.
 * @param proof `bytes`: the stored one is read through; `length`: its length is enough
 * @throws FleetError `DIGEST_MISMATCH` when it is wrong and cannot be made again
 */
export async function restoreArtifact(
  store: BuildStore,
  dir: string,
  { manifest }: PublishedManifest,
  { entries }: Pick<Timed, 'entries'>,
  proof: 'length' | 'bytes',
  signal: AbortSignal,
): Promise<void> {
  const name = objectsOf.artifact(manifest.build)
  const facts = await store.find(name, signal)
  const sound = facts?.bytes === manifest.artifact.bytes
  if (sound && (proof === 'length' || (await digestInStore(store, name, signal)) === manifest.artifact.digest)) return
  const times = new Map(manifest.entries.map(({ path, mtime }) => [path, mtime]))
  const tree = entries.map((entry) => ({ ...entry, mtime: times.get(entry.path) ?? 0 }))
  const rehearsal = packArtifact(dir, tree, () => undefined)
  for await (const _ of rehearsal.body(signal));
  if (rehearsal.packed().artifact.digest !== manifest.artifact.digest) {
    throw new FleetError(
      'DIGEST_MISMATCH',
      `${name} is not what its manifest says, and this program packs the tree otherwise: publish under another id`,
    )
  }
  // Nodes never take the wrong one: they read by version and check every frame and file.
  await store.remove(name, signal)
  await store.create(name, packArtifact(dir, tree, () => undefined).body(signal), signal)
}

async function digestInStore(store: BuildStore, name: string, signal: AbortSignal): Promise<string> {
  const sum = createHash('sha256')
  for await (const bytes of store.read(name, {}, signal)) sum.update(bytes)
  return `sha256:${sum.digest('hex')}`
}

/**
 * An artifact without a manifest is what a publish left that ended half-way, or is still at work elsewhere: it is never overwritten. When
 * the same tree, packed with the times that are in it, gives its very bytes, it is as good as ours.
 */
async function adoptArtifact(
  store: BuildStore,
  name: string,
  dir: string,
  entries: readonly Hashed[],
  onBytes: (done: number) => void,
  signal: AbortSignal,
): Promise<Artifact> {
  const theirs = createHash('sha256')
  const stored = async function* () {
    for await (const bytes of store.read(name, {}, signal)) {
      theirs.update(bytes)
      yield bytes
    }
  }
  const leftover = (cause?: unknown) =>
    new FleetError(
      'BUILD_DIFFERS',
      `${name} was left by a publish of other content that did not finish: nothing was changed`,
      { cause },
    )
  const times = await timesInArtifact(stored(), signal).catch((error: unknown) => {
    throw isFleetError(error) || signal.aborted ? error : leftover(error)
  })
  const tree = entries.map((entry) => ({ ...entry, mtime: times.get(entry.path) ?? 0 }))
  const packing = packArtifact(dir, tree, onBytes)
  for await (const _ of packing.body(signal));
  const packed = packing.packed()
  if (packed.artifact.digest !== `sha256:${theirs.digest('hex')}`) throw leftover()
  const newest = tree.reduce((latest, { mtime }) => Math.max(latest, mtime), 0)
  return { ...packed, createdAt: new Date(newest * 1_000) }
}

function packArtifact(dir: string, tree: readonly Packable[], onBytes: (done: number) => void) {
  const frames: Frame[] = []
  const sum = createHash('sha256')
  let bytes = 0
  let rawBytes = 0
  let entries: readonly Entry[] = []
  const onFrame = (frame: Frame) => {
    frames.push(frame)
    rawBytes += frame.rawBytes
    onBytes(rawBytes)
  }
  return {
    packed: (): Packed => ({
      frames,
      entries,
      artifact: { digest: `sha256:${sum.digest('hex')}` as Digest, bytes },
    }),
    async *body(signal: AbortSignal): AsyncGenerator<Uint8Array> {
      const source = compressFrames(packTree(dir, tree), onFrame, signal)
      for (let next = await source.next(); ; next = await source.next()) {
        if (next.done) {
          entries = next.value
          return
        }
        sum.update(next.value)
        bytes += next.value.byteLength
        yield next.value
      }
    },
  }
}
