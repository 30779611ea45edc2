// Owns the format of a delta: how a node that has one build's tree and manifest gets to another's with one sequential read.
//
// A delta object is a sequence of zstd frames; before each stands a marker, a zstd skippable frame of 20 bytes, so that `zstd -d` reads
// the file all the same and a reader always knows how much comes next:
//
//   50 2a 4d 18 | 0c 00 00 00 | "HCD1" | bytes of the next frame, u32 LE | its raw bytes, u32 LE
//
// The first frame is the head, JSON (`DeltaHead`). Each further frame holds content, in the order of `DeltaHead.frames`: its raw bytes are
// its pieces one after the other and nothing else. A piece is at most `CHUNK_BYTES`, lies inside one chunk of its file, and never crosses frames, so a reader needs the memory
// of one frame. Content is that of added entries alone, packed anew: a changed file costs itself, not the frame it shares in the artifact.
//
// The manifest is not sent but spliced (`fleet/delta-apply.ts`): runs of its lines are kept, dropped and added. Kept entries may move, so a
// run carries what to add to their `frame` and `offset`. The digest of the result proves all of it; if it is another, the delta is useless.
import { type BuildId, type Digest, isBuildId, isDigest } from './build.ts'
import { FleetError } from './errors.ts'
import { exceedsRoom } from './json-room.ts'
import { CHUNK_BYTES, type Entry, MAX_MANIFEST_BYTES } from './manifest.ts'
import { checkEntry, MAX_FRAME_BYTES, MOST } from './manifest-rules.ts'

/** Length of a marker. */
export const MARKER_BYTES = 20

/**
 * Raw bytes of the largest head that is decompressed, and what it may hold. No digest protects a head: whoever can write to the store could
 * fill the memory of every node with it. A difference that needs more is fetched by ranges.
 */
const MAX_HEAD_BYTES = 32 * 1024 * 1024
const HEAD_ROOM = { lists: 400_000, texts: 800_000, values: 3_000_000 }
const EASY_HEAD_BYTES = 1024 * 1024

/** `["=", n]` keep n frames · `["-", n]` drop n · `["+", [bytes, rawBytes, digest?]…]` add; offsets follow from the lengths. */
export type FrameSplice =
  | readonly ['=', number]
  | readonly ['-', number]
  | readonly ['+', ...(readonly [number, number, string?])[]]

/**
 * `["=", n, frameShift, offsetShift]` keep n entries, with the shifts added where a file has bytes · `["-", n]` drop n ·
 * `["+", tuple…]` add entries, as tuples of the manifest. A changed entry is dropped and added.
 */
export type EntrySplice =
  | readonly ['=', number, number, number]
  | readonly ['-', number]
  | readonly ['+', ...(readonly Entry[])]

/** A part of an added file's content. */
export interface Piece {
  /** Which of the added entries, counted from 0 over all of `entrySplice`. */
  readonly entry: number
  /** Where the piece begins in the file. */
  readonly start: number
  readonly bytes: number
}

/** What a delta says before its content. On the wire splices are as their types say, and a frame is a list of `[entry, start, bytes]`. */
export interface DeltaHead {
  readonly from: BuildId
  readonly fromManifest: Digest
  readonly build: BuildId
  readonly manifest: Digest
  /** Length of the new manifest, decompressed. */
  readonly manifestBytes: number
  /** First line of the new manifest. */
  readonly preamble: string
  readonly frameSplice: readonly FrameSplice[]
  readonly entrySplice: readonly EntrySplice[]
  /**
   * The content frames. An added file has either all of its content here; or some ranges of it, and the rest is in the older build's file
   * of the same path at the same place; or nothing, and its content is all the older build's at that path (mode or mtime changed), or it is empty.
   */
  readonly frames: readonly (readonly Piece[])[]
}

function refuse(detail: string, cause?: unknown): never {
  throw new FleetError('DELTA_INVALID', `the delta was refused: ${detail}`, { cause })
}

/** The marker before a frame. */
export function encodeMarker(bytes: number, rawBytes: number): Uint8Array {
  const marker = Buffer.alloc(MARKER_BYTES)
  marker.writeUInt32LE(0x184d2a50, 0)
  marker.writeUInt32LE(12, 4)
  marker.write('HCD1', 8, 'latin1')
  marker.writeUInt32LE(bytes, 12)
  marker.writeUInt32LE(rawBytes, 16)
  return marker
}

/**
 * Reads a marker: how many bytes to read next, and the most that they may decompress to.
 * @throws FleetError `DELTA_INVALID`
 */
export function decodeMarker(raw: Uint8Array, which: 'head' | 'content'): { bytes: number; rawBytes: number } {
  const marker = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  if (marker.byteLength !== MARKER_BYTES || marker.readUInt32LE(0) !== 0x184d2a50 || marker.readUInt32LE(4) !== 12) {
    return refuse('a marker is not where it must be')
  }
  if (marker.toString('latin1', 8, 12) !== 'HCD1') return refuse('it is of another version')
  const bytes = marker.readUInt32LE(12)
  const rawBytes = marker.readUInt32LE(16)
  const most = which === 'head' ? MAX_HEAD_BYTES : MAX_FRAME_BYTES
  if (rawBytes > most || bytes > most + 65_536) return refuse(`a frame has ${rawBytes} raw bytes, at most ${most}`)
  return { bytes, rawBytes }
}

/** Raw bytes of a content frame. */
export function rawBytesOf(frame: readonly Piece[]): number {
  return frame.reduce((sum, piece) => sum + piece.bytes, 0)
}

export function encodeHead(head: DeltaHead): Uint8Array {
  const { from, fromManifest, build, manifest, manifestBytes, preamble, frameSplice } = head
  const entrySplice = head.entrySplice.map((splice) =>
    splice[0] === '+' ? ['+', ...splice.slice(1).map((entry) => tupleOf(entry as Entry))] : splice,
  )
  const frames = head.frames.map((pieces) => pieces.map(({ entry, start, bytes }) => [entry, start, bytes]))
  return Buffer.from(
    JSON.stringify({
      v: 1,
      from,
      fromManifest,
      build,
      manifest,
      manifestBytes,
      preamble,
      frameSplice,
      entrySplice,
      frames,
    }),
  )
}

function tupleOf(entry: Entry): readonly unknown[] {
  const { type, mode, size, mtime, content, frame, offset, path } = entry
  return [type, mode, size, mtime, content, frame, offset, path]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a head and checks its shape and every added entry.
 * @param expected from which sealed build to which ordered one; a delta between others is refused
 * @throws FleetError `DELTA_INVALID` · `MANIFEST_INVALID` for an added entry that breaks the rules
 */
export function decodeHead(
  raw: Uint8Array,
  expected: { readonly fromManifest: Digest; readonly manifest: Digest },
): DeltaHead {
  if (exceedsRoom(raw, HEAD_ROOM, EASY_HEAD_BYTES)) return refuse('its head holds more than a node makes room for')
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(raw))
  } catch (cause) {
    return refuse('its head is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null) return refuse('its head is not an object')
  const { v, from, fromManifest, build, manifest, manifestBytes, preamble, frameSplice, entrySplice, frames } =
    value as Record<string, unknown>
  if (v !== 1) return refuse('its head is of another version')
  if (typeof from !== 'string' || !isBuildId(from) || typeof build !== 'string' || !isBuildId(build)) {
    return refuse('it names no builds')
  }
  if (typeof fromManifest !== 'string' || !isDigest(fromManifest) || fromManifest !== expected.fromManifest) {
    return refuse(`it is from manifest ${fromManifest}, here is ${expected.fromManifest}`)
  }
  if (typeof manifest !== 'string' || !isDigest(manifest) || manifest !== expected.manifest) {
    return refuse(`it is to manifest ${manifest}, ordered is ${expected.manifest}`)
  }
  // The result is made room for before it is spliced.
  if (isCount(manifestBytes) && manifestBytes > MAX_MANIFEST_BYTES) {
    return refuse(`it is to a manifest of ${manifestBytes} bytes, at most ${MAX_MANIFEST_BYTES}`)
  }
  if (!isCount(manifestBytes) || typeof preamble !== 'string' || preamble.includes('\n')) {
    return refuse('it does not say what the manifest is')
  }
  const splices = readEntrySplice(entrySplice)
  return {
    from,
    fromManifest,
    build,
    manifest,
    manifestBytes,
    preamble,
    frameSplice: readFrameSplice(frameSplice),
    entrySplice: splices,
    frames: readFrames(frames, addedEntries(splices)),
  }
}

/** All added entries, in order: what `Piece.entry` counts. */
export function addedEntries(splices: readonly EntrySplice[]): readonly Entry[] {
  return splices.flatMap((splice) => (splice[0] === '+' ? (splice.slice(1) as Entry[]) : []))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function lists(value: unknown, what: string): readonly (readonly unknown[])[] {
  if (!Array.isArray(value) || !value.every((item) => Array.isArray(item)))
    return refuse(`${what} is not a list of lists`)
  return value as readonly (readonly unknown[])[]
}

function readFrameSplice(value: unknown): readonly FrameSplice[] {
  return lists(value, 'frameSplice').map((splice): FrameSplice => {
    const [verb, ...rest] = splice
    if (verb === '+') {
      const added = lists(rest, 'an added frame').map(
        ([bytes, rawBytes, digest]): readonly [number, number, string?] => {
          if (!isCount(bytes) || !isCount(rawBytes)) return refuse('an added frame is not two numbers')
          if (digest === undefined) return [bytes, rawBytes]
          return typeof digest === 'string' ? [bytes, rawBytes, digest] : refuse('an added frame has no digest')
        },
      )
      return ['+', ...added]
    }
    const count = rest[0]
    if ((verb !== '=' && verb !== '-') || !isCount(count)) return refuse('frameSplice has an unknown verb')
    return [verb, count]
  })
}

function readEntrySplice(value: unknown): readonly EntrySplice[] {
  let added = 0
  return lists(value, 'entrySplice').map((splice): EntrySplice => {
    const [verb, ...rest] = splice
    if (verb === '+') {
      const entries = rest.map((tuple) => {
        added += 1
        return checkEntry(tuple, added - 1, MOST)
      })
      return ['+', ...entries]
    }
    const [count, frameShift, offsetShift] = rest
    if (verb === '-' && isCount(count)) return ['-', count]
    if (verb === '=' && isCount(count) && Number.isSafeInteger(frameShift) && Number.isSafeInteger(offsetShift)) {
      return ['=', count, frameShift as number, offsetShift as number]
    }
    return refuse('entrySplice has an unknown verb')
  })
}

function readFrames(value: unknown, added: readonly Entry[]): readonly (readonly Piece[])[] {
  return lists(value, 'frames').map((frame) =>
    lists(frame, 'a frame').map(([entry, start, bytes]): Piece => {
      const file = isCount(entry) ? added[entry] : undefined
      if (!isCount(entry) || file?.type !== 'f' || !isCount(start) || !isCount(bytes))
        return refuse('a piece is of no file')
      if (bytes === 0 || bytes > CHUNK_BYTES || start + bytes > file.size)
        return refuse('a piece lies outside its file')
      return { entry, start, bytes }
    }),
  )
}
