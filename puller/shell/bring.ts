// Owns bringing files into a tree: copies from this node first, then whatever is missing from the store, on several threads at once.
import { FleetError } from '#fleet/errors.ts'
import { type FetchPlan, fetchPlan, type Segment } from '#fleet/fetch-plan.ts'
import type { KeptRange } from '#fleet/kept-chunks.ts'
import { type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { ObjectFacts } from '#fleet/ports.ts'
import type { CopySource } from '#fleet/stage-plan.ts'
import type { StageProgress } from '../core/trees.ts'
import { printable } from './directories.ts'
import { cutFrames, type Downloads } from './fetch.ts'
import type { FileOrder, WrongFile } from './file-order.ts'
import { sideBySide } from './lanes.ts'
import type { Workers } from './workers.ts'

/** The parts of an entry's file that lie on this node, in order. */
export type KeptOf = (entry: number) => readonly KeptRange[]

/** A build's files and where they lie; may be narrowed to some of its entries. */
export type Source = Pick<Manifest, 'build' | 'artifact' | 'frames' | 'entries'>

export interface Bringing {
  readonly manifest: Source
  readonly workers: Workers
  readonly downloads: Downloads
  readonly signal: AbortSignal
  readonly onProgress: (progress: StageProgress) => void
  /** Directories of the trees that kept parts are read from. */
  readonly trees: Readonly<Record<CopySource['tree'], string>>
  /** Which parts of the entries' files lie on this node; worked out when it is first asked for. */
  readonly kept: () => Promise<KeptOf>
  /** Whether a file lies at a path of the tree already. */
  readonly replaces: (path: string) => boolean
}

/** Requests that are on their way at once. */
const LANES = 4
const COPY_BATCH = 64

export function fileOrder({ manifest, replaces }: Pick<Bringing, 'manifest' | 'replaces'>, index: number): FileOrder {
  const entry = manifest.entries[index]
  if (entry?.type !== 'f') throw new RangeError(`entry ${index} is no file`)
  const { path, size, mode, mtime, content } = entry
  return { entry: index, path, size, mode, mtime, content, replaces: replaces(path) }
}

/** Copies files from a tree. @returns entries whose source was not what it should be: they must be fetched */
export async function copyFiles(
  bringing: Bringing,
  tree: string,
  files: readonly { readonly entry: number; readonly from: CopySource }[],
  place: boolean,
): Promise<number[]> {
  const { workers, signal } = bringing
  const wrong: WrongFile[] = []
  let next = 0
  const drive = async (thread: number): Promise<void> => {
    for (let from = next; from < files.length; from = next) {
      signal.throwIfAborted()
      next = from + COPY_BATCH
      const batch = files
        .slice(from, next)
        .map(({ entry, from: { path } }) => ({ file: fileOrder(bringing, entry), source: path }))
      wrong.push(...(await workers.call(thread, 'copy', [tree, batch, place])))
    }
  }
  await Promise.all(Array.from({ length: workers.count }, (_, thread) => drive(thread)))
  return wrong.map((file) => file.entry)
}

/**
 * Fetches files out of the artifact. What arrives wrong is asked for once more: a second time it is the artifact that is wrong.
 * @returns how; @throws FleetError `DIGEST_MISMATCH` · `STORE_*` · `DISK_*`
 */
export async function fetchFiles(
  bringing: Bringing,
  entries: readonly number[],
  place: boolean,
): Promise<'ranges' | 'whole'> {
  const { manifest, workers } = bringing
  const empty = entries.filter((entry) => manifest.entries[entry]?.size === 0)
  const none = new Uint8Array(0)
  if (empty.length > 0) {
    const files = empty.map((entry) => ({ file: fileOrder(bringing, entry), content: none }))
    const odd = await workers.call(0, 'writeWhole', [files, place])
    if (odd.length > 0) throw mismatch(manifest, odd)
  }
  if (entries.length === empty.length) return 'ranges'
  const keptOf = await bringing.kept()
  const kept = new Map(entries.map((entry) => [entry, keptOf(entry)]))
  const plan = planFor(manifest, entries, kept)
  const wrong = await assembleFiles(bringing, kept, place)
  if (plan.chains.length === 0 && wrong.length === 0) return 'ranges'
  const { version } = await artifactFacts(bringing)
  wrong.push(...(await fetchChains(bringing, { plan, kept, version, place, doneBytes: 0 })))
  if (wrong.length > 0) {
    // Now without what was kept: that may be what was wrong.
    const again = planFor(manifest, [...new Set(wrong.map((file) => file.entry))], NOTHING_KEPT)
    const rest = { plan: again, kept: NOTHING_KEPT, version, place, doneBytes: plan.bytes }
    const still = await fetchChains(bringing, rest)
    if (still.length > 0) throw mismatch(manifest, still)
  }
  return plan.whole ? 'whole' : 'ranges'
}

type KeptByEntry = ReadonlyMap<number, readonly KeptRange[]>
const NOTHING_KEPT: KeptByEntry = new Map()

function planFor(manifest: Source, entries: readonly number[], kept: KeptByEntry): FetchPlan {
  const starts = new Set([...kept].flatMap(([entry, ranges]) => ranges.map(({ at }) => `${entry} ${at}`)))
  const isKept = (entry: number, at: number) => starts.has(`${entry} ${at}`)
  return fetchPlan(manifest.entries, manifest.frames, manifest.artifact.bytes, entries, isKept)
}

/** Makes the files of which all that differs is the order of their parts. */
async function assembleFiles(bringing: Bringing, kept: KeptByEntry, place: boolean): Promise<WrongFile[]> {
  const files = [...kept].flatMap(([entry, ranges]) => {
    const had = ranges.reduce((sum, range) => sum + range.bytes, 0)
    return had > 0 && had === bringing.manifest.entries[entry]?.size ? [orderWithKept(bringing, entry, ranges)] : []
  })
  return files.length === 0 ? [] : await bringing.workers.call(0, 'assemble', [files, place])
}

export function orderWithKept(bringing: Bringing, entry: number, ranges: readonly KeptRange[]): FileOrder {
  const kept = ranges.map(({ at, bytes, from, fromAt }) => {
    return { at, bytes, tree: bringing.trees[from.tree], path: from.path, fromAt }
  })
  return { ...fileOrder(bringing, entry), kept }
}

/** @throws FleetError `STORE_MISSING` · `DIGEST_MISMATCH` when the object has another length than the manifest says */
export async function artifactFacts({ manifest, downloads, signal }: Bringing): Promise<ObjectFacts> {
  const name = objectsOf.artifact(manifest.build)
  const facts = await downloads.find(name, signal)
  if (facts === null) {
    throw new FleetError('STORE_MISSING', `the artifact of ${manifest.build} is not in the store; hot still runs`)
  }
  if (facts.bytes !== manifest.artifact.bytes) {
    throw new FleetError(
      'DIGEST_MISMATCH',
      `the artifact of ${manifest.build} has ${facts.bytes} bytes, the manifest says ${manifest.artifact.bytes}; hot still runs`,
    )
  }
  return facts
}

function mismatch(manifest: Source, wrong: readonly WrongFile[]): FleetError {
  const [first] = wrong
  const entry = manifest.entries[first?.entry ?? -1]
  const others = wrong.length > 1 ? ` and ${wrong.length - 1} more files` : ''
  return new FleetError(
    'DIGEST_MISMATCH',
    `artifact of ${manifest.build}: ${printable(entry?.path ?? '')}: want ${entry?.content}, got ${first?.got}${others}; hot still runs`,
  )
}

interface Round {
  readonly plan: FetchPlan
  readonly kept: KeptByEntry
  readonly version: string
  readonly place: boolean
  /** Bytes of earlier rounds, for the progress. */
  readonly doneBytes: number
}

async function fetchChains(bringing: Bringing, round: Round): Promise<WrongFile[]> {
  const wrong: WrongFile[] = []
  const totalBytes = round.doneBytes + round.plan.bytes
  let doneBytes = round.doneBytes
  const onBytes = (bytes: number) => {
    doneBytes += bytes
    bringing.onProgress({ doneBytes, totalBytes })
  }
  const waiting = round.plan.chains.values()
  await sideBySide(LANES, bringing.signal, async (thread, signal) => {
    for (const chain of waiting) {
      const begun = new Set<number>()
      for (const segment of chain) {
        wrong.push(...(await fetchSegment({ ...bringing, signal }, round, segment, begun, thread, onBytes)))
      }
    }
  })
  return wrong
}

/**
 * One request, its frames handed to one thread in their order; a frame is fetched while the one before is written, no more.
 * @param begun files of which a part was handed over already
 */
async function fetchSegment(
  bringing: Bringing,
  { plan, kept, version, place }: Round,
  segment: Segment,
  begun: Set<number>,
  thread: number,
  onBytes: (bytes: number) => void,
): Promise<WrongFile[]> {
  const { manifest, workers, downloads, signal } = bringing
  const range = { start: segment.start, end: segment.start + segment.bytes }
  const stream = downloads.stream(objectsOf.artifact(manifest.build), range, version, signal)
  const wrong: WrongFile[] = []
  let before: Promise<WrongFile[]> = Promise.resolve([])
  for await (const { index, bytes } of cutFrames(stream, manifest.frames, segment.first)) {
    onBytes(bytes.byteLength)
    const pieces = plan.pieces.get(index)
    wrong.push(...(await before))
    if (pieces === undefined) continue
    const orders = pieces.map(({ entry, ...part }) => {
      const ranges = begun.has(entry) ? [] : (kept.get(entry) ?? [])
      begun.add(entry)
      return { ...part, file: orderWithKept(bringing, entry, ranges) }
    })
    const rawBytes = manifest.frames[index]?.rawBytes ?? 0
    before = workers.call(thread, 'writeFrame', [bytes, rawBytes, orders, place], [bytes.buffer])
    before.catch(() => undefined)
  }
  wrong.push(...(await before))
  return wrong
}
