// Owns writing deltas: for each build that nodes run now, the difference and the content that changed, in one object.
import { assert } from '#fleet/assert.ts'
import type { BuildId, Digest } from '#fleet/build.ts'
import { addedEntries, type DeltaHead, encodeHead, encodeMarker, type Piece } from '#fleet/delta.ts'
import { differenceOf } from '#fleet/delta-diff.ts'
import { isFleetError } from '#fleet/errors.ts'
import { encodeManifest, objectsOf, preambleOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { type Hashed, provenPieces } from './content.ts'
import { compressFrames, type RawFrame } from './frames.ts'
import { narrowPieces } from './narrow.ts'
import { type PublishedManifest, readManifest } from './read-manifest.ts'
import { zstdFrame } from './zstd.ts'

/** A delta that carried more than this part of the build's bytes would save nothing over ranges or the whole object. */
const MOST_WORTH = 0.5

/**
 * Raw bytes that small pieces are gathered into one frame for. Larger frames are smaller on the way, since files of one build resemble each other;
 * but a node decompresses several at once, and holds each whole.
 */
const GATHERED_BYTES = 2 * 1024 * 1024

/** A build that a ring runs, and that the store may hold. */
export interface Older {
  readonly build: BuildId
  readonly manifest: Digest
}

/**
 * Writes the deltas that are worth it and not there yet. A delta is a courtesy: one whose older manifest cannot be had is left out.
 * @param files the directory's content, in the order of the manifest's entries
 * @throws what the store throws, and `ENTRY_REFUSED` when a file changed meanwhile
 */
export async function writeDeltas(
  store: BuildStore,
  dir: string,
  files: readonly Hashed[],
  newer: PublishedManifest,
  running: readonly Older[],
  signal: AbortSignal,
): Promise<void> {
  const { app, build } = newer.manifest
  const done = new Set<string>([build])
  for (const { build: from, manifest } of running) {
    if (done.has(from)) continue
    done.add(from)
    const name = objectsOf.delta(build, from)
    if ((await store.find(name, signal)) !== null) continue
    const older = await readManifest(store, { app, build: from, digest: manifest }, signal).catch((error: unknown) => {
      if (isFleetError(error) && error.kind === 'corrupt') return null
      throw error
    })
    const body = older === null ? null : await deltaOf(store, dir, files, older, newer, signal)
    if (body !== null) await store.create(name, body, signal)
  }
}

/** The bytes of a delta, or null when it is not worth writing. */
async function deltaOf(
  store: BuildStore,
  dir: string,
  files: readonly Hashed[],
  older: PublishedManifest,
  newer: PublishedManifest,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array> | null> {
  const difference = differenceOf(older.manifest, newer.manifest)
  const added = addedEntries(difference.entrySplice)
  const pieces = await narrowPieces(store, dir, older.manifest, added, difference.pieces, signal)
  const content = pieces.reduce((sum, piece) => sum + piece.bytes, 0)
  const all = newer.manifest.entries.reduce((sum, entry) => sum + entry.size, 0)
  if (content > all * MOST_WORTH) return null
  const head: DeltaHead = {
    from: older.manifest.build,
    fromManifest: older.digest,
    build: newer.manifest.build,
    manifest: newer.digest,
    manifestBytes: encodeManifest(newer.manifest).byteLength,
    preamble: preambleOf(newer.manifest),
    frameSplice: difference.frameSplice,
    entrySplice: difference.entrySplice,
    frames: gather(pieces),
  }
  return encode(dir, files, head, signal)
}

/** Pieces of about `GATHERED_BYTES` together; none is split. */
function gather(pieces: readonly Piece[]): readonly (readonly Piece[])[] {
  const frames: Piece[][] = []
  let held = Number.POSITIVE_INFINITY
  for (const piece of pieces) {
    if (held + piece.bytes > GATHERED_BYTES) {
      frames.push([])
      held = 0
    }
    frames.at(-1)?.push(piece)
    held += piece.bytes
  }
  return frames
}

async function* encode(
  dir: string,
  files: readonly Hashed[],
  head: DeltaHead,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const rawHead = encodeHead(head)
  const packedHead = zstdFrame(rawHead)
  yield encodeMarker(packedHead.byteLength, rawHead.byteLength)
  yield packedHead
  let place = { bytes: 0, rawBytes: 0 }
  const places: (typeof place)[] = []
  const frames = compressFrames(contentOf(dir, files, head), (frame) => places.push(frame), signal)
  for await (const packed of frames) {
    place = places.shift() ?? place
    yield encodeMarker(place.bytes, place.rawBytes)
    yield packed
  }
}

/** The raw bytes of the content frames. Files are read through once, in order, and proven by their digests while they are. */
function* contentOf(dir: string, files: readonly Hashed[], head: DeltaHead): Generator<RawFrame, void> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const added = addedEntries(head.entrySplice).map(({ path }) => byPath.get(path))
  let at = -1
  let reader = pieceReader([][Symbol.iterator]())
  for (const pieces of head.frames) {
    const parts: Uint8Array[] = []
    for (const piece of pieces) {
      const { entry } = piece
      if (entry !== at) {
        reader.readToEnd()
        const file = added[entry]
        assert(file !== undefined, 'an added entry of the manifest is in the directory')
        reader = pieceReader(provenPieces(dir, file))
        at = entry
      }
      parts.push(reader.take(piece))
    }
    yield { raw: Buffer.concat(parts) }
  }
  reader.readToEnd()
}

function pieceReader(chunks: Iterator<Uint8Array>) {
  let chunk: Uint8Array = new Uint8Array(0)
  let chunkAt = 0
  const next = () => {
    const step = chunks.next()
    chunkAt += chunk.byteLength
    chunk = step.done ? new Uint8Array(0) : step.value
    return !step.done
  }
  return {
    /** Pieces are asked for in order; none crosses a chunk. */
    take({ start, bytes }: Piece): Uint8Array {
      while (start >= chunkAt + chunk.byteLength) assert(next(), 'a piece lies inside its file')
      const piece = chunk.subarray(start - chunkAt, start - chunkAt + bytes)
      assert(start >= chunkAt && piece.byteLength === bytes, 'a piece lies inside one chunk')
      return piece
    },
    /** The digest is compared at the end. */
    readToEnd(): void {
      while (next());
    },
  }
}
