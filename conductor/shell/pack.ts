// Owns the tar inside an artifact: its headers, its order, and where in which frame each file's content lies.
import { hash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { createZstdDecompress } from 'node:zlib'
import { Header, type HeaderData, Parser, Pax } from 'tar'
import { CHUNK_BYTES, type Entry } from '#fleet/manifest.ts'
import { type Hashed, provenPieces } from './content.ts'
import { cutsBefore, LARGE_BYTES, type RawFrame } from './frames.ts'

const BLOCK = 512

/** A hashed path with the time that its build gives it. */
export interface Packable extends Hashed {
  /** Whole seconds since 1970. */
  readonly mtime: number
}

const TYPES = { d: 'Directory', f: 'File', l: 'SymbolicLink' } as const

/** The header blocks of an entry: owner and group 0 without names, so that the same tree packs to the same bytes everywhere. */
function tarHeader(entry: Pick<Packable, 'path' | 'type' | 'mode' | 'size' | 'mtime' | 'target'>): Buffer {
  const data: HeaderData = {
    path: entry.type === 'd' ? `${entry.path}/` : entry.path,
    mode: entry.type === 'l' ? 0o777 : entry.mode,
    uid: 0,
    gid: 0,
    size: entry.size,
    mtime: new Date(entry.mtime * 1_000),
    type: TYPES[entry.type],
    ...(entry.type === 'l' && { linkpath: entry.target }),
    devmaj: 0,
    devmin: 0,
  }
  const header = new Header(data)
  const block = Buffer.alloc(BLOCK)
  if (!header.encode(block, 0)) return block
  const { path, linkpath, size } = data
  // Only what the plain header could not hold, so that the same tree has the same bytes.
  return Buffer.concat([
    new Pax({ path, size, ...(linkpath !== undefined && { linkpath }) } as HeaderData).encode(),
    block,
  ])
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK
}

/**
 * The tar of a tree as the raw bytes of frames. Small files share a frame; the content of a large one has frames of its own, its header
 * before them and its padding after them, so that each of those frames is a plain piece of the file.
 * Returns the manifest's entries.
 * @throws FleetError `ENTRY_REFUSED` when a file is no longer what it was when it was hashed
 */
export function* packTree(dir: string, tree: readonly Packable[]): Generator<RawFrame, readonly Entry[]> {
  const entries: Entry[] = []
  let frame = 0
  let parts: Uint8Array[] = []
  let held = 0
  const hold = (bytes: Uint8Array) => {
    parts.push(bytes)
    held += bytes.byteLength
  }
  const release = (): RawFrame => {
    const raw = Buffer.concat(parts, held)
    parts = []
    held = 0
    frame += 1
    return { raw }
  }
  for (const entry of tree) {
    const header = tarHeader(entry)
    if (cutsBefore(entry.path, header.byteLength + entry.size + padding(entry.size), held)) yield release()
    hold(header)
    if (entry.size > LARGE_BYTES) {
      yield release()
      entries.push(entryOf(entry, frame, 0))
      for (const raw of provenPieces(dir, entry)) {
        frame += 1
        yield entry.size > CHUNK_BYTES ? { raw, digest: hash('sha256', raw) } : { raw }
      }
    } else {
      entries.push(entry.size === 0 ? entryOf(entry, 0, 0) : entryOf(entry, frame, held))
      for (const piece of provenPieces(dir, entry)) hold(piece)
    }
    if (padding(entry.size) > 0) hold(Buffer.alloc(padding(entry.size)))
  }
  hold(Buffer.alloc(2 * BLOCK))
  yield release()
  return entries
}

function entryOf(entry: Packable, frame: number, offset: number): Entry {
  const { type, mode, size, mtime, content, path } = entry
  return { type, mode, size, mtime, content, frame, offset, path }
}

/**
 * The times of the paths in an artifact, in whole seconds. Only the publisher reads tars, and only its own: it needs the times of one
 * that was uploaded by a publish which ended before it wrote the manifest.
 */
export async function timesInArtifact(
  artifact: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>()
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      times.set(entry.path.replace(/\/$/, ''), Math.floor((entry.mtime?.getTime() ?? 0) / 1_000))
      entry.resume()
    },
  })
  const unpacked = createZstdDecompress()
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on('end', () => resolve())
    parser.on('error', reject)
  })
  // The parser is not a Node stream: it is fed by hand, and the decompressor is ended with it when it refuses.
  parsed.catch((error: unknown) => unpacked.destroy(error instanceof Error ? error : undefined))
  unpacked.on('data', (bytes: Buffer) => parser.write(bytes))
  unpacked.on('end', () => parser.end())
  await pipeline(artifact, unpacked, { signal })
  await parsed
  return times
}
