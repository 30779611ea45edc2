// Owns what differs between two builds: the splices that turn one manifest into the other, and the content that must travel.
import { addedEntries, type EntrySplice, type FrameSplice, type Piece } from './delta.ts'
import { CHUNK_BYTES, type Entry, type Frame, type Manifest } from './manifest.ts'
import { comparePaths } from './paths.ts'

/** Everything that a delta's head says of two builds, and the pieces in the order in which their files stand in the newer manifest. */
export interface Difference {
  readonly frameSplice: readonly FrameSplice[]
  readonly entrySplice: readonly EntrySplice[]
  readonly pieces: readonly Piece[]
}

export function differenceOf(older: Manifest, newer: Manifest): Difference {
  const entrySplice = spliceEntries(older.entries, newer.entries)
  const old = new Map(older.entries.map((entry) => [entry.path, entry]))
  const pieces = addedEntries(entrySplice).flatMap((entry, index) =>
    rangesOf(older, newer, old.get(entry.path), entry).map((range) => ({ entry: index, ...range })),
  )
  return { frameSplice: spliceFrames(older, newer, old), entrySplice, pieces }
}

function spliceEntries(older: readonly Entry[], newer: readonly Entry[]): readonly EntrySplice[] {
  const splices: EntrySplice[] = []
  let dropped = 0
  let added: Entry[] = []
  let kept = { count: 0, frameShift: 0, offsetShift: 0, fixed: false }
  const endChange = () => {
    if (dropped > 0) splices.push(['-', dropped])
    if (added.length > 0) splices.push(['+', ...added])
    dropped = 0
    added = []
  }
  const endRun = () => {
    if (kept.count > 0) splices.push(['=', kept.count, kept.frameShift, kept.offsetShift])
    kept = { count: 0, frameShift: 0, offsetShift: 0, fixed: false }
  }
  for (let a = 0, b = 0; a < older.length || b < newer.length; ) {
    const old = older[a]
    const now = newer[b]
    const order = old === undefined ? 1 : now === undefined ? -1 : comparePaths(old.path, now.path)
    if (order === 0 && old !== undefined && now !== undefined && sameButPlace(old, now)) {
      endChange()
      const frameShift = now.frame - old.frame
      const offsetShift = now.offset - old.offset
      // Directories, links and empty files have no place: they fit into any run.
      const placed = now.size > 0
      if (placed && kept.fixed && (kept.frameShift !== frameShift || kept.offsetShift !== offsetShift)) endRun()
      kept = placed
        ? { count: kept.count + 1, frameShift, offsetShift, fixed: true }
        : { ...kept, count: kept.count + 1 }
    } else {
      endRun()
      if (order <= 0) dropped += 1
      if (order >= 0 && now !== undefined) added.push(now)
    }
    if (order <= 0) a += 1
    if (order >= 0) b += 1
  }
  endRun()
  endChange()
  return splices
}

function sameButPlace(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.mode === b.mode && a.size === b.size && a.mtime === b.mtime && a.content === b.content
}

/** Which parts of an added file must travel: none, the changed chunks of a large file, or all of it. */
function rangesOf(
  older: Manifest,
  newer: Manifest,
  old: Entry | undefined,
  now: Entry,
): readonly { start: number; bytes: number }[] {
  if (now.type !== 'f') return []
  const base = old?.type === 'f' ? old : undefined
  if (base?.content === now.content) return []
  const ranges: { start: number; bytes: number }[] = []
  for (let start = 0; start < now.size; start += CHUNK_BYTES) {
    const bytes = Math.min(CHUNK_BYTES, now.size - start)
    const digest = chunkDigest(newer.frames, now, start)
    const same = base !== undefined && digest !== undefined && digest === chunkDigest(older.frames, base, start)
    if (!same) ranges.push({ start, bytes })
  }
  // Cut off where a chunk ends: nothing travels, but something must, or it would look as if only its mode had changed.
  if (ranges.length === 0 && now.size > 0) ranges.push({ start: 0, bytes: Math.min(CHUNK_BYTES, now.size) })
  return ranges
}

function chunkDigest(frames: readonly Frame[], file: Entry, start: number): string | undefined {
  return start < file.size ? frames[file.frame + start / CHUNK_BYTES]?.digest : undefined
}

/**
 * Frames that are the same in both builds are found by way of the files that begin in them: both lists have the order of the paths, so
 * what the files say never runs backwards. A frame in which no file begins follows the one before it.
 */
function spliceFrames(older: Manifest, newer: Manifest, old: ReadonlyMap<string, Entry>): readonly FrameSplice[] {
  const twins = new Map<number, number>()
  for (const entry of newer.entries) {
    const base = old.get(entry.path)
    if (entry.size > 0 && base !== undefined && base.size > 0 && !twins.has(entry.frame))
      twins.set(entry.frame, base.frame)
  }
  const splices: FrameSplice[] = []
  let kept = 0
  let added: (readonly [number, number, string?])[] = []
  const endRun = () => {
    if (kept > 0) splices.push(['=', kept])
    kept = 0
  }
  const endAdded = () => {
    if (added.length > 0) splices.push(['+', ...added])
    added = []
  }
  let at = 0
  newer.frames.forEach((frame, index) => {
    const twin = Math.max(at, twins.get(index) ?? at)
    const base = older.frames[twin]
    if (
      base !== undefined &&
      base.bytes === frame.bytes &&
      base.rawBytes === frame.rawBytes &&
      base.digest === frame.digest
    ) {
      endAdded()
      if (twin > at) {
        endRun()
        splices.push(['-', twin - at])
      }
      kept += 1
      at = twin + 1
    } else {
      endRun()
      added.push(
        frame.digest === undefined ? [frame.bytes, frame.rawBytes] : [frame.bytes, frame.rawBytes, frame.digest],
      )
      // A changed frame takes the place of its twin, so that the next one may follow.
      if (base !== undefined && twins.get(index) !== undefined && twin >= at) {
        if (twin + 1 > at) splices.push(['-', twin + 1 - at])
        at = twin + 1
      }
    }
  })
  endRun()
  endAdded()
  if (older.frames.length > at) splices.push(['-', older.frames.length - at])
  return splices
}
