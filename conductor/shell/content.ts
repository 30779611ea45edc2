// Owns reading the content of scanned files: piece by piece, and refused by name when a file changes meanwhile.
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import { CHUNK_BYTES, type Entry } from '#fleet/manifest.ts'
import { shownPath } from '#fleet/manifest-rules.ts'
import type { Clock } from '#fleet/ports.ts'
import { Breather } from './breather.ts'
import { codeOf, type Scanned, stampOf } from './scan.ts'

/** A scanned path and what it holds: SHA-256 of a file, target of a link, "" for a directory. */
export interface Hashed extends Scanned {
  readonly content: Entry['content']
}

function changed(path: string, how: string, cause?: unknown): FleetError {
  return new FleetError(
    'ENTRY_REFUSED',
    `${shownPath(path)} ${how} while it was read: nothing was published; publish again when nobody writes there`,
    { cause },
  )
}

/**
 * The bytes of a file in pieces of `CHUNK_BYTES`, the last one shorter; an empty file gives none.
 * @throws FleetError `ENTRY_REFUSED` when it is not the file that was scanned, or changes while it is read
 */
function* piecesOfFile(dir: string, file: Scanned): Generator<Buffer> {
  const fd = open(dir, file)
  try {
    if (stampOf(fstatSync(fd)) !== file.stamp) throw changed(file.path, 'changed')
    for (let at = 0; at < file.size; at += CHUNK_BYTES) {
      const piece = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, file.size - at))
      readFully(fd, piece, file.path)
      yield piece
    }
    if (stampOf(fstatSync(fd)) !== file.stamp) throw changed(file.path, 'changed')
  } finally {
    closeSync(fd)
  }
}

function open(dir: string, { path }: Scanned): number {
  try {
    // Not followed, and not waited for: what was a file may have become a link or a pipe since.
    return openSync(join(dir, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOENT' || code === 'ELOOP') throw changed(path, 'went away', cause)
    throw new FleetError('ENTRY_REFUSED', `${shownPath(path)} cannot be read (${code}): nothing was published`, {
      cause,
    })
  }
}

function readFully(fd: number, piece: Buffer, path: string): void {
  for (let got = 0; got < piece.byteLength; ) {
    const bytes = readSync(fd, piece, got, piece.byteLength - got, null)
    if (bytes === 0) throw changed(path, 'became shorter')
    got += bytes
  }
}

/** Hashes every file. @param onBytes told how many bytes were read since the last call */
export async function hashTree(
  dir: string,
  scanned: readonly Scanned[],
  onBytes: (bytes: number) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Hashed[]> {
  const breather = new Breather(clock, signal)
  const hashed: Hashed[] = []
  for (const entry of scanned) {
    if (entry.type !== 'f') {
      hashed.push({ ...entry, content: entry.target })
      continue
    }
    const sum = createHash('sha256')
    for (const piece of piecesOfFile(dir, entry)) {
      sum.update(piece)
      onBytes(piece.byteLength)
      await breather.breathe()
    }
    await breather.breathe()
    hashed.push({ ...entry, content: sum.digest('hex') })
  }
  return hashed
}

/**
 * The pieces of a file, hashed once more: what is packed must be what the tree's digest was taken from. The digest is compared after the
 * last piece, so a reader must read to the end. Nothing for what is no file.
 * @throws FleetError `ENTRY_REFUSED`
 */
export function* provenPieces(dir: string, file: Hashed): Generator<Buffer> {
  if (file.type !== 'f' || file.size === 0) return
  const sum = createHash('sha256')
  for (const piece of piecesOfFile(dir, file)) {
    sum.update(piece)
    yield piece
  }
  if (sum.digest('hex') !== file.content) throw changed(file.path, 'changed')
}
