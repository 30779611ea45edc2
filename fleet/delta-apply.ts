// Owns splicing a manifest: the older one's bytes and a delta's head give the newer one's bytes, without parsing what did not change.
import { addedEntries, type DeltaHead, type EntrySplice, type FrameSplice, type Piece } from './delta.ts'
import { FleetError } from './errors.ts'
import { digestOf, ENTRIES_LINE, type Entry, entryLine, type Frame, frameLine, LAST_LINE } from './manifest.ts'
import { COMMA, keepRun, Lines, lineEnd, refuse } from './manifest-lines.ts'
import { checkEntry, MOST } from './manifest-rules.ts'

/** A path that the newer build has and the older one has not, or has otherwise. */
export interface Added {
  readonly entry: Entry
  /** What the older build has at this path, or null. */
  readonly was: Entry | null
  /** The content that the delta brings for it, by `start`; see `DeltaHead.frames` for what holds when it is not all. */
  readonly pieces: readonly Piece[]
}

/** What a delta changes. Every path that is in neither list is the same in both builds: type, mode, mtime and content. */
export interface Applied {
  /** The bytes of the newer manifest; their digest is the ordered one. */
  readonly manifest: Uint8Array
  /** Sorted by path. */
  readonly added: readonly Added[]
  /** Paths of the older build that the newer one has not, sorted. */
  readonly removed: readonly Entry[]
}

/**
 * Applies a head to the bytes of the older manifest (as `encodeManifest` laid them out; others are refused).
 * @throws FleetError `DELTA_INVALID` · `DIGEST_MISMATCH` when the result is not the manifest that the head names
 */
export function applyHead(head: DeltaHead, older: Uint8Array): Applied {
  const old = Buffer.from(older.buffer, older.byteOffset, older.byteLength)
  const framesAt = old.indexOf(0x0a) + 1
  const entriesAt = old.indexOf(`\n${ENTRIES_LINE}\n`, Math.max(0, framesAt - 1))
  if (framesAt === 0 || entriesAt < 0) refuse('its lines are laid out otherwise')
  const out = new Lines(head.manifestBytes)
  out.text(`${head.preamble}\n`)
  spliceFrames(old.subarray(framesAt, entriesAt), head.frameSplice, out)
  out.text(`\n${ENTRIES_LINE}\n`)
  out.restart()
  const dropped = spliceEntries(old, entriesAt + ENTRIES_LINE.length + 2, head.entrySplice, out)
  out.text(`\n${LAST_LINE}`)
  const manifest = out.finish()
  const digest = digestOf(manifest)
  if (digest !== head.manifest) {
    throw new FleetError(
      'DIGEST_MISMATCH',
      `the delta gave a manifest of digest ${digest}, ordered was ${head.manifest}`,
    )
  }
  return { manifest, ...changesOf(head, dropped) }
}

function changesOf(head: DeltaHead, dropped: readonly Entry[]): Pick<Applied, 'added' | 'removed'> {
  const pieces = new Map<number, Piece[]>()
  for (const piece of head.frames.flat()) {
    const list = pieces.get(piece.entry)
    if (list === undefined) pieces.set(piece.entry, [piece])
    else list.push(piece)
  }
  const old = new Map(dropped.map((entry) => [entry.path, entry]))
  const added = addedEntries(head.entrySplice).map((entry, index): Added => {
    const was = old.get(entry.path) ?? null
    old.delete(entry.path)
    return { entry, was, pieces: pieces.get(index) ?? [] }
  })
  return { added, removed: [...old.values()] }
}

function readFrames(section: Buffer): readonly (readonly [number, number, number, string?])[] {
  try {
    return JSON.parse(`[${section.toString('latin1')}]`) as (readonly [number, number, number, string?])[]
  } catch {
    return refuse('its frames are no frames')
  }
}

function spliceFrames(section: Buffer, splices: readonly FrameSplice[], out: Lines): void {
  const old = readFrames(section)
  let at = 0
  let offset = 0
  const put = (bytes: number, rawBytes: number, digest: string | undefined) => {
    const frame: Frame = digest === undefined ? { offset, bytes, rawBytes } : { offset, bytes, rawBytes, digest }
    out.line(frameLine(frame))
    offset += bytes
  }
  for (const splice of splices) {
    if (splice[0] === '+') {
      for (const [bytes, rawBytes, digest] of splice.slice(1) as (readonly [number, number, string?])[]) {
        put(bytes, rawBytes, digest)
      }
      continue
    }
    const end = at + splice[1]
    if (end > old.length) refuse('it has fewer frames')
    for (; at < end; at += 1) {
      const frame = old[at]
      if (splice[0] === '=' && frame !== undefined) put(frame[1], frame[2], frame[3])
    }
  }
  if (at !== old.length) refuse('it has more frames')
}

/** Writes the entries and returns those that were dropped. */
function spliceEntries(old: Buffer, start: number, splices: readonly EntrySplice[], out: Lines): readonly Entry[] {
  const dropped: Entry[] = []
  let at = start
  for (const splice of splices) {
    if (splice[0] === '+') {
      for (const entry of splice.slice(1) as Entry[]) out.line(entryLine(entry))
    } else if (splice[0] === '=') {
      const [, count, frameShift, offsetShift] = splice
      if (count > 0) at = keepRun(old, at, count, frameShift, offsetShift, out)
    } else {
      for (let left = splice[1]; left > 0; left -= 1) {
        const end = lineEnd(old, at)
        dropped.push(readLine(old, at, end))
        at = end + 1
      }
    }
  }
  if (old.length - at !== LAST_LINE.length) refuse('it has more entries')
  return dropped
}

function readLine(old: Buffer, at: number, end: number): Entry {
  const text = old.toString('utf8', at, old[end - 1] === COMMA ? end - 1 : end)
  let tuple: unknown
  try {
    tuple = JSON.parse(text)
  } catch {
    return refuse('a line is no entry')
  }
  return checkEntry(tuple, 0, MOST)
}
