// Owns which wanted files begin in which frame, and where an artifact can be cut so that no file crosses the cut. Pure.
import type { Frame } from '#fleet/manifest.ts'
import { CHARS, type Columns } from '#fleet/manifest-columns.ts'

export interface FrameRows {
  /** Rows of the wanted files that begin in a frame, in the manifest's order. */
  startingIn(frame: number): readonly number[]
  /** Last frame of all files that begin in a frame; less than it when none does. */
  reachOf(frame: number): number
}

/** @param wanted a 1 for each row that is; files of no bytes lie in no frame */
export function frameRows(columns: Columns, frames: readonly Frame[], wanted: Uint8Array): FrameRows {
  const { count, type, size, frame } = columns
  const isThere = (row: number) => wanted[row] === 1 && type[row] === CHARS.f && (size[row] ?? 0) > 0
  const first = new Int32Array(frames.length + 2)
  for (let row = 0; row < count; row += 1) if (isThere(row)) bump(first, (frame[row] ?? 0) + 1)
  for (let index = 1; index < first.length; index += 1) first[index] = (first[index] ?? 0) + (first[index - 1] ?? 0)
  const next = first.slice()
  const rows = new Int32Array(first.at(-1) ?? 0)
  const reach = new Int32Array(frames.length).fill(-1)
  for (let row = 0; row < count; row += 1) {
    if (!isThere(row)) continue
    const index = frame[row] ?? 0
    rows[next[index] ?? 0] = row
    bump(next, index)
    reach[index] = Math.max(reach[index] ?? -1, lastFrame(columns, frames, row))
  }
  return {
    startingIn: (index) => Array.from(rows.subarray(first[index] ?? 0, first[index + 1] ?? 0)),
    reachOf: (index) => reach[index] ?? -1,
  }
}

/** Frames that are read by one request and written by one thread. */
export interface Stretch {
  readonly first: number
  /** Bytes of the artifact; the end is not included. */
  readonly start: number
  readonly end: number
}

/** Cuts the artifact where no wanted file crosses. Stretches without any wanted file are left out. @param leastBytes of a stretch, but for the last */
export function stretches(frames: readonly Frame[], byFrame: FrameRows, leastBytes: number): Stretch[] {
  const cut: Stretch[] = []
  let first = 0
  let reach = -1
  for (const [index, { offset, bytes }] of frames.entries()) {
    reach = Math.max(reach, byFrame.reachOf(index))
    const start = frames[first]?.offset ?? 0
    const end = offset + bytes
    const isLast = index === frames.length - 1
    if (reach > index || (end - start < leastBytes && !isLast)) continue
    if (reach >= first) cut.push({ first, start, end })
    first = index + 1
  }
  return cut
}

function bump(counts: Int32Array, at: number): void {
  counts[at] = (counts[at] ?? 0) + 1
}

function lastFrame({ frame, offset, size }: Columns, frames: readonly Frame[], row: number): number {
  let last = frame[row] ?? 0
  let held = (frames[last]?.rawBytes ?? 0) - (offset[row] ?? 0)
  while (held < (size[row] ?? 0) && last + 1 < frames.length) {
    last += 1
    held += frames[last]?.rawBytes ?? 0
  }
  return last
}
