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

/** Consecutive frames, had by one request. */
export interface Segment {
  readonly first: number
  /** Not included. */
  readonly end: number
  /** Place in the artifact object. */
  readonly start: number
  readonly bytes: number
}

export interface FetchPlan {
  /** Segments that must be read one after the other since a wanted file goes on from one into the next; chains are independent of each other. */
  readonly chains: readonly (readonly Segment[])[]
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
 * @param isKept whether the part of an entry's file that begins at a byte is had from elsewhere; such a part is a frame of its own
 * @throws RangeError when a file reaches over the last frame: the manifest was not checked
 */
export function fetchPlan(
  entries: readonly Entry[],
  frames: readonly Frame[],
  artifactBytes: number,
  wanted: readonly number[],
  isKept: (entry: number, at: number) => boolean = () => false,
): FetchPlan {
  const pieces = new Map<number, Piece[]>()
  /** First wanted frame of a file → its last: in between, the order of frames matters. */
  const reach = new Map<number, number>()
  for (const index of wanted) {
    let first: number | null = null
    for (const { frame, ...piece } of partsOf(entries[index], index, frames)) {
      if (isKept(index, piece.at)) continue
      const list = pieces.get(frame) ?? []
      list.push(piece)
      pieces.set(frame, list)
      first ??= frame
      reach.set(first, Math.max(frame, reach.get(first) ?? frame))
    }
  }
  const needed = [...pieces.keys()].sort((a, b) => a - b)
  const neededBytes = needed.reduce((sum, frame) => sum + (frames[frame]?.bytes ?? 0), 0)
  const whole = neededBytes >= artifactBytes * WHOLE_SHARE
  const chains = cutChains(frames, needed, reach, whole ? Number.POSITIVE_INFINITY : BRIDGE_BYTES)
  return { chains, pieces, bytes: chains.flat().reduce((sum, segment) => sum + segment.bytes, 0), whole }
}

function* partsOf(
  entry: Entry | undefined,
  index: number,
  frames: readonly Frame[],
): Generator<Piece & { readonly frame: number }> {
  if (entry === undefined) return
  let offset = entry.offset
  for (let frame = entry.frame, at = 0; at < entry.size; frame += 1, offset = 0) {
    const rawBytes = frames[frame]?.rawBytes
    if (rawBytes === undefined) throw new RangeError(`${entry.path} reaches over the last frame`)
    const bytes = Math.min(rawBytes - offset, entry.size - at)
    if (bytes > 0) yield { frame, entry: index, offset, bytes, at }
    at += bytes
  }
}

function cutChains(
  frames: readonly Frame[],
  needed: readonly number[],
  reach: ReadonlyMap<number, number>,
  bridgeBytes: number,
): Segment[][] {
  const chains: Segment[][] = []
  let reached = -1
  for (const index of needed) {
    const frame = frames[index]
    if (frame === undefined) continue
    const inFile = index <= reached
    reached = Math.max(reached, reach.get(index) ?? index)
    const chain = chains.at(-1)
    const before = chain?.at(-1)
    const alone: Segment = { first: index, end: index + 1, start: frame.offset, bytes: frame.bytes }
    if (chain === undefined || before === undefined) {
      chains.push([alone])
      continue
    }
    const gap = frame.offset - (before.start + before.bytes)
    const full = !inFile && before.bytes >= SEGMENT_BYTES
    if (gap <= bridgeBytes && !full) chain[chain.length - 1] = grown(before, index, frame)
    else if (inFile) chain.push(alone)
    else chains.push([alone])
  }
  return chains
}

function grown(segment: Segment, index: number, frame: Frame): Segment {
  return { ...segment, end: index + 1, bytes: frame.offset + frame.bytes - segment.start }
}
