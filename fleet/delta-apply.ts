// Owns splicing a manifest: the older one's bytes and a delta's head give the newer one's bytes, without parsing what did not change.
import type { DeltaHead, EntrySplice, FrameSplice } from './delta.ts'
import { FleetError } from './errors.ts'
import { digestOf, ENTRIES_LINE, type Entry, entryLine, type Frame, frameLine, LAST_LINE } from './manifest.ts'
import { COMMA, keepRun, Lines, lineEnd, refuse } from './manifest-lines.ts'
import { checkEntry, MOST } from './manifest-rules.ts'
import type { Kept, Row, TreeDiff } from './tree-diff.ts'

/** What a head gives. */
export interface Applied {
  /** The bytes of the newer manifest; their digest is the ordered one. On shared memory, for the threads that read it next. */
  readonly manifest: Uint8Array<SharedArrayBuffer>
  /** Every path that it does not name is the same in both builds: type, mode, mtime and content. */
  readonly diff: TreeDiff
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
  const rows = spliceEntries(old, entriesAt + ENTRIES_LINE.length + 2, head.entrySplice, out)
  out.text(`\n${LAST_LINE}`)
  const manifest = out.finish()
  const digest = digestOf(manifest)
  if (digest !== head.manifest) {
    throw new FleetError(
      'DIGEST_MISMATCH',
      `the delta gave a manifest of digest ${digest}, ordered was ${head.manifest}`,
    )
  }
  return { manifest, diff: { from: head.fromManifest, to: head.manifest, ...rows } }
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

/** Writes the entries, and keeps account of which row went where. */
function spliceEntries(
  old: Buffer,
  start: number,
  splices: readonly EntrySplice[],
  out: Lines,
): Pick<TreeDiff, 'kept' | 'gone' | 'came'> {
  const kept: Kept[] = []
  const gone: Row[] = []
  const came: Row[] = []
  let at = start
  let oldRow = 0
  let newRow = 0
  for (const splice of splices) {
    if (splice[0] === '+') {
      for (const entry of splice.slice(1) as Entry[]) {
        out.line(entryLine(entry))
        came.push({ row: newRow, entry })
        newRow += 1
      }
    } else if (splice[0] === '=') {
      const [, count, frameShift, offsetShift] = splice
      if (count > 0) at = keepRun(old, at, count, frameShift, offsetShift, out)
      kept.push([oldRow, newRow, count])
      oldRow += count
      newRow += count
    } else {
      for (let left = splice[1]; left > 0; left -= 1) {
        const end = lineEnd(old, at)
        gone.push({ row: oldRow, entry: readLine(old, at, end) })
        oldRow += 1
        at = end + 1
      }
    }
  }
  if (old.length - at !== LAST_LINE.length) refuse('it has more entries')
  return { kept, gone, came }
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
