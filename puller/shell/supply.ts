// Owns where the ordered manifest and the missing bytes come from: this node, else a delta, else ranges of the artifact, else all of it.
import type { BuildId, Digest } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { ObjectFacts } from '#fleet/ports.ts'
import type { TreeDiff } from '#fleet/tree-diff.ts'
import { artifactFacts, type Bringing, fetchFiles } from './bring.ts'
import { type DeltaBase, DeltaSource } from './delta-source.ts'
import type { Downloads } from './fetch.ts'
import type { Ground } from './ground.ts'
import type { LocalManifest } from './manifests.ts'

export class Supply {
  readonly #ground: Ground
  readonly #downloads: Downloads
  readonly #wanted: { readonly build: BuildId; readonly digest: Digest }
  readonly #bases: readonly DeltaBase[]
  #delta: DeltaSource | null = null
  #deltaUsed = false
  #diff: TreeDiff | null = null

  /** @param bases sealed builds of this node, the likeliest base of a delta first; none when no delta is wanted */
  constructor(
    ground: Ground,
    downloads: Downloads,
    wanted: { readonly build: BuildId; readonly digest: Digest },
    bases: readonly DeltaBase[],
  ) {
    this.#ground = ground
    this.#downloads = downloads
    this.#wanted = wanted
    this.#bases = bases
  }

  /** The ordered manifest, its rules unchecked as yet: this node's, else spliced by a delta, else the store's. */
  async manifest(signal: AbortSignal): Promise<LocalManifest> {
    const { manifests } = this.#ground
    const local = manifests.load(this.#wanted.digest)
    if (local !== null) return local
    await this.#openDelta(signal)
    if (this.#delta === null) return await manifests.fetch(this.#wanted, this.#downloads, signal)
    this.#deltaUsed = true
    return manifests.hold(this.#delta.applied.manifest, this.#wanted)
  }

  /** What a delta that was opened says of its base and the ordered build. */
  get diff(): TreeDiff | null {
    return this.#diff
  }

  /** The delta that is open now: its base's tree, and the paths of which it brings content. */
  get delta(): { readonly base: DeltaBase; readonly brings: ReadonlySet<string> } | null {
    return this.#delta
  }

  /** Proves that there is something to fetch from, before the tree is touched. @throws FleetError `STORE_*` · `DIGEST_MISMATCH` */
  async prove(bringing: Bringing): Promise<void> {
    if (this.#delta === null) await this.#openDelta(bringing.signal)
    if (this.#delta === null) await artifactFacts(bringing)
  }

  /** Brings the entries in. @returns how; `delta` when nothing else was needed */
  async bring(bringing: Bringing, entries: readonly number[], place: boolean): Promise<'delta' | 'ranges' | 'whole'> {
    const left = await this.#bringByDelta(bringing, entries, place)
    const some = left.some((entry) => bringing.manifest.entries[entry]?.size !== 0)
    const how = await fetchFiles(bringing, left, place)
    return !some && this.#deltaUsed ? 'delta' : how
  }

  async close(): Promise<void> {
    await this.#delta?.close()
    this.#delta = null
  }

  async #bringByDelta(bringing: Bringing, entries: readonly number[], place: boolean): Promise<readonly number[]> {
    const delta = this.#delta
    // One that nothing is wanted of stays open for what may yet come out wrong; `close` ends it.
    if (delta === null || entries.length === 0) return entries
    this.#delta = null
    const { signal } = bringing
    let again: readonly number[] = []
    try {
      const left = await delta.bring(bringing, entries, place)
      this.#deltaUsed ||= left.length < entries.length
      return left
    } catch (error) {
      again = entries
      signal.throwIfAborted()
      if (!isUseless(error)) throw error
      this.#ground.log.warn('delta given up, ranges are fetched instead', { build: this.#wanted.build, error })
      // What it wrote is right, but which files those are is not known: all are fetched, and replaced by the same.
      return entries
    } finally {
      await delta.close()
      // What it left half-written lies in the way of whoever brings it next.
      if (!signal.aborted) await bringing.workers.all('giveUp', [again])
    }
  }

  /** A delta is a courtesy: whatever is wrong with one, there are other ways. The shortest is tried first. */
  async #openDelta(signal: AbortSignal): Promise<void> {
    const found = await Promise.all(this.#bases.map((base) => this.#findDelta(base, signal)))
    const deltas = found.flatMap((delta) => delta ?? []).sort((a, b) => a.facts.bytes - b.facts.bytes)
    for (const { base, facts } of deltas) {
      this.#delta = await this.#orNone(DeltaSource.open(this.#downloads, base, this.#wanted, facts, signal), signal)
      this.#diff = this.#delta?.applied.diff ?? null
      if (this.#delta !== null) return
    }
  }

  async #findDelta(base: DeltaBase, signal: AbortSignal): Promise<{ base: DeltaBase; facts: ObjectFacts } | null> {
    const name = objectsOf.delta(this.#wanted.build, base.build)
    const facts = await this.#orNone(this.#downloads.find(name, signal), signal)
    return facts && { base, facts }
  }

  async #orNone<value>(asked: Promise<value>, signal: AbortSignal): Promise<value | null> {
    try {
      return await asked
    } catch (error) {
      signal.throwIfAborted()
      if (!isUseless(error)) throw error
      this.#ground.log.warn('delta refused', { build: this.#wanted.build, error })
      return null
    }
  }
}

/** An error of the delta itself or of reading it; the disk's errors would be met again by any other way. */
function isUseless(error: unknown): boolean {
  return isFleetError(error) && (error.kind === 'corrupt' || error.code.startsWith('STORE_'))
}
