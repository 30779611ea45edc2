// Owns which parts of an artifact are fetched for a set of files: frames coalesced into segments that are had by one request each.
import type { Entry, Frame } from './manifest.ts'

/** A part of a file's content inside one frame's raw bytes. */
export interface Piece {
  /** Index of the file in the manifest's entries. */
  readonly entry: number
  /** Where the part begins in the raw bytes of the frame. */
  readonly offset: number
  readonly bytes: number
  /** Where it goes in the file. */
  readonly at: number
}

/** Consecutive frames, had by one request. No wanted file reaches over the end of its segment. */
export interface Segment {
  readonly first: number
  /** Not included. */
  readonly end: number
  /** Place in the artifact object. */
  readonly start: number
  readonly bytes: number
}

export interface FetchPlan {
  readonly segments: readonly Segment[]
  /** Frame → the parts of wanted files in it; frames without any are only bridged. */
  readonly pieces: ReadonlyMap<number, readonly Piece[]>
  /** Bytes of all segments. */
  readonly bytes: number
  readonly whole: boolean
}

/** Frames not wanted are fetched along when they are no longer than this: a further request costs more. */
const BRIDGE_BYTES = 64 * 1024
/** A segment is closed once it holds so much, so that several can be on their way and little is lost when one breaks. */
const SEGMENT_BYTES = 8 * 1024 * 1024
/** From this share of the artifact on, all of it is read in order. */
const WHOLE_SHARE = 0.7

/**
 * Plans the segments for the wanted files. Files of no bytes need none.
 * @param wanted indexes of entries
 * @throws RangeError when a file reaches over the last frame: the manifest was not checked
 */
export function fetchPlan(
  entries: readonly Entry[],
  frames: readonly Frame[],
  artifactBytes: number,
  wanted: readonly number[],
): FetchPlan {
  const pieces = new Map<number, Piece[]>()
  /** Frames after which a segment may not end, since a wanted file goes on in the next. */
  const joined = new Set<number>()
  for (const index of wanted) {
    const entry = entries[index]
    if (entry === undefined) continue
    let frame = entry.frame
    let offset = entry.offset
    for (let at = 0; at < entry.size; frame += 1, offset = 0) {
      const rawBytes = frames[frame]?.rawBytes
      if (rawBytes === undefined) throw new RangeError(`${entry.path} reaches over the last frame`)
      const bytes = Math.min(rawBytes - offset, entry.size - at)
      if (bytes > 0) {
        const list = pieces.get(frame) ?? []
        list.push({ entry: index, offset, bytes, at })
        pieces.set(frame, list)
      }
      at += bytes
      if (at < entry.size) joined.add(frame)
    }
  }
  const needed = [...pieces.keys()].reduce((sum, frame) => sum + (frames[frame]?.bytes ?? 0), 0)
  const whole = needed >= artifactBytes * WHOLE_SHARE
  const segments = cutSegments(
    frames,
    [...pieces.keys()].sort((a, b) => a - b),
    joined,
    whole ? Number.POSITIVE_INFINITY : BRIDGE_BYTES,
  )
  return { segments, pieces, bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0), whole }
}

function cutSegments(
  frames: readonly Frame[],
  wanted: readonly number[],
  joined: ReadonlySet<number>,
  bridgeBytes: number,
): Segment[] {
  const segments: Segment[] = []
  let first: number | null = null
  let last = 0
  const close = () => {
    const from = first === null ? undefined : frames[first]
    const to = frames[last]
    if (first !== null && from !== undefined && to !== undefined) {
      segments.push({ first, end: last + 1, start: from.offset, bytes: to.offset + to.bytes - from.offset })
    }
    first = null
  }
  for (const frame of wanted) {
    const here = frames[frame]
    const before = frames[last]
    const start = first === null ? undefined : frames[first]
    if (here === undefined) continue
    if (before !== undefined && start !== undefined) {
      const gap = here.offset - (before.offset + before.bytes)
      const full = before.offset + before.bytes - start.offset >= SEGMENT_BYTES
      if (!joined.has(last) && (gap > bridgeBytes || full)) close()
    }
    first ??= frame
    last = frame
  }
  close()
  return segments
}
