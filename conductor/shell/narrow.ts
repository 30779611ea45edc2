// Owns finding what changed inside of changed files: what was added to the end of one, and the places inside of a large one.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { Piece } from '#fleet/delta.ts'
import { CHUNK_BYTES, type Entry, type Frame, type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'

/** Grain of the comparison: a change costs at least this much, and two changes closer than this are one. */
const BLOCK_BYTES = 4_096

/** Pieces of the older build that are read back at most: a publish must not cost a download of the build. */
const MOST_PIECES = 64

const decompress = promisify(zstdDecompress)

/**
 * Narrows pieces to the ranges that differ from the older build's file at the same place. Whatever cannot be compared stays whole: what
 * comes of it is proven by the file's digest on every node.
 * @param added the entries that `Piece.entry` counts
 */
export async function narrowPieces(
  store: BuildStore,
  dir: string,
  older: Manifest,
  added: readonly Entry[],
  pieces: readonly Piece[],
  signal: AbortSignal,
): Promise<readonly Piece[]> {
  const old = new Map(older.entries.map((entry) => [entry.path, entry]))
  const narrowed: Piece[] = []
  let compared = 0
  for (const piece of pieces) {
    const path = added[piece.entry]?.path ?? ''
    const before = old.get(path)
    if (before !== undefined && (await isAppended(join(dir, path), before, piece, signal))) {
      narrowed.push({ entry: piece.entry, start: before.size, bytes: piece.bytes - before.size })
      continue
    }
    const frame = compared < MOST_PIECES ? pieceFrame(older, before, piece.start) : undefined
    if (frame === undefined) {
      narrowed.push(piece)
      continue
    }
    compared += 1
    const ranges = await differing(store, join(dir, path), older, frame, piece, signal).catch((error: unknown) => {
      if (signal.aborted) throw error
      return [piece]
    })
    narrowed.push(...ranges.map(({ start, bytes }) => ({ entry: piece.entry, start, bytes })))
  }
  return narrowed
}

/** Whether a file of one piece is the older one and something behind it: the digest of the older one tells, without its bytes. */
async function isAppended(path: string, before: Entry, piece: Piece, signal: AbortSignal): Promise<boolean> {
  if (before.type !== 'f' || piece.start > 0 || before.size === 0 || before.size >= piece.bytes) return false
  const sum = createHash('sha256')
  try {
    for await (const part of createReadStream(path, { end: before.size - 1, signal })) sum.update(part as Buffer)
  } catch (error) {
    if (signal.aborted) throw error
    // Whoever reads it next says what is wrong with it.
    return false
  }
  return sum.digest('hex') === before.content
}

/** The frame that holds the piece of the older file which begins at `start`, where that is a plain piece of a large file. */
function pieceFrame(older: Manifest, file: Entry | undefined, start: number): Frame | undefined {
  if (file?.type !== 'f' || start >= file.size) return undefined
  const frame = older.frames[file.frame + start / CHUNK_BYTES]
  return frame?.digest === undefined ? undefined : frame
}

async function differing(
  store: BuildStore,
  path: string,
  older: Manifest,
  { offset, bytes, rawBytes }: Frame,
  piece: Piece,
  signal: AbortSignal,
): Promise<readonly { start: number; bytes: number }[]> {
  const range = { start: offset, end: offset + bytes }
  const packed = await Array.fromAsync(store.read(objectsOf.artifact(older.build), { range }, signal))
  const before = await decompress(Buffer.concat(packed), { maxOutputLength: rawBytes })
  const end = piece.start + piece.bytes - 1
  const now = Buffer.concat(await Array.fromAsync(createReadStream(path, { start: piece.start, end, signal })))
  const ranges = changedRanges(before, now)
  const changed = ranges.reduce((sum, range) => sum + range.bytes, 0)
  if (now.byteLength !== piece.bytes || ranges.length === 0 || changed > piece.bytes / 2) return [piece]
  return ranges.map((range) => ({ start: piece.start + range.start, bytes: range.bytes }))
}

/** The ranges of `now` that `before` does not have at the same place, in whole blocks. */
function changedRanges(before: Uint8Array, now: Uint8Array): readonly { start: number; bytes: number }[] {
  const ranges: { start: number; bytes: number }[] = []
  for (let start = 0; start < now.byteLength; start += BLOCK_BYTES) {
    const block = now.subarray(start, start + BLOCK_BYTES)
    if (Buffer.compare(block, before.subarray(start, start + block.byteLength)) === 0) continue
    const last = ranges.at(-1)
    if (last !== undefined && last.start + last.bytes === start) last.bytes += block.byteLength
    else ranges.push({ start, bytes: block.byteLength })
  }
  return ranges
}
