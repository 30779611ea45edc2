// Owns reading a delta: the ordered manifest out of its head, then the contents that changed, in one sequential read.
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { BuildId, Digest } from '#fleet/build.ts'
import {
  addedEntries,
  type DeltaHead,
  decodeHead,
  decodeMarker,
  MARKER_BYTES,
  type Piece,
  rawBytesOf,
} from '#fleet/delta.ts'
import { type Applied, applyHead } from '#fleet/delta-apply.ts'
import { FleetError } from '#fleet/errors.ts'
import type { KeptRange } from '#fleet/kept-chunks.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { ObjectFacts } from '#fleet/ports.ts'
import type { CopySource } from '#fleet/stage-plan.ts'
import { type Bringing, orderWithKept } from './bring.ts'
import type { Downloads } from './fetch.ts'
import type { WrongFile } from './file-order.ts'
import { Lanes } from './lanes.ts'

const decompress = promisify(zstdDecompress)

/** A sealed build of this node that a delta may begin from. */
export interface DeltaBase {
  readonly tree: CopySource['tree']
  readonly build: BuildId
  readonly manifest: Digest
  /** The manifest's bytes, or null when this node has none; what is wrong with them shows in the digest of what the delta makes of them. */
  readonly bytes: () => Uint8Array | null
}

/** Gives out exactly as many bytes of a stream as are asked for. */
class ByteReader {
  readonly #parts: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#parts = stream[Symbol.asyncIterator]()
  }

  /** The next bytes, in memory of their own; null at the end of the stream. @throws FleetError `DELTA_INVALID` when it ends inside them */
  async take(count: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const bytes = new Uint8Array(count)
    for (let filled = 0; filled < count; ) {
      if (this.#rest.byteLength === 0) {
        const next = await this.#parts.next()
        if (next.done && filled === 0) return null
        if (next.done) throw new FleetError('DELTA_INVALID', 'the delta ends too soon')
        this.#rest = next.value
      }
      const part = this.#rest.subarray(0, count - filled)
      bytes.set(part, filled)
      filled += part.byteLength
      this.#rest = this.#rest.subarray(part.byteLength)
    }
    return bytes
  }

  async close(): Promise<void> {
    await this.#parts.return?.()
  }
}

/** A delta whose head was read and fits; its contents are still on their way. */
export class DeltaSource {
  readonly #reader: ByteReader
  readonly #head: DeltaHead
  readonly #base: DeltaBase
  readonly #bytes: number
  /** The bytes of the ordered manifest, and what it has otherwise than the base's. */
  readonly applied: Applied

  private constructor(reader: ByteReader, head: DeltaHead, base: DeltaBase, bytes: number, applied: Applied) {
    this.#reader = reader
    this.#head = head
    this.#base = base
    this.#bytes = bytes
    this.applied = applied
  }

  get base(): DeltaBase {
    return this.#base
  }

  /** Paths of which it brings content. */
  get brings(): ReadonlySet<string> {
    const added = addedEntries(this.#head.entrySplice)
    return new Set([...this.#pieces.keys()].map((entry) => added[entry]?.path ?? ''))
  }

  /**
   * Opens the delta from one build to another; null when this node has no manifest of the older one.
   * @param facts of the object, as the store gave them
   * @throws FleetError `DELTA_INVALID` · `DIGEST_MISMATCH` · `MANIFEST_INVALID` · `STORE_*`
   */
  static async open(
    downloads: Downloads,
    base: DeltaBase,
    wanted: { readonly build: BuildId; readonly digest: Digest },
    facts: ObjectFacts,
    signal: AbortSignal,
  ): Promise<DeltaSource | null> {
    const name = objectsOf.delta(wanted.build, base.build)
    const bytes = base.bytes()
    if (bytes === null) return null
    const reader = new ByteReader(downloads.stream(name, { start: 0, end: facts.bytes }, facts.version, signal))
    try {
      const raw = await readHead(reader)
      const head = decodeHead(raw, { fromManifest: base.manifest, manifest: wanted.digest })
      return new DeltaSource(reader, head, base, facts.bytes, applyHead(head, bytes))
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  /**
   * Writes those of the wanted files that the delta has. Parts that it leaves out are read from the base's file at the same path.
   * @returns the wanted entries that it does not have, or that came out wrong
   */
  async bring(bringing: Bringing, wanted: readonly number[], place: boolean): Promise<number[]> {
    const left = new Set(wanted)
    const rows = this.#rowsOf(bringing, left)
    const begun = new Set<number>()
    const { workers } = bringing
    const lanes = new Lanes<WrongFile>(workers.count)
    let last: number | undefined
    let thread = 0
    let doneBytes = 0
    for (const pieces of this.#head.frames) {
      const frame = await this.#frame(pieces)
      doneBytes += frame.byteLength + MARKER_BYTES
      bringing.onProgress({ doneBytes: Math.min(doneBytes, this.#bytes), totalBytes: this.#bytes })
      // The parts of one file must reach one thread; between files the work goes to whoever has least.
      if (pieces[0]?.entry !== last) thread = lanes.shortest
      last = pieces.at(-1)?.entry
      const orders = this.#ordersOf(bringing, pieces, rows, begun)
      if (orders.length === 0) continue
      const rawBytes = rawBytesOf(pieces)
      await lanes.add(thread, workers.call(thread, 'writeFrame', [frame, rawBytes, orders, place], [frame.buffer]))
    }
    const wrong = await lanes.settled()
    for (const row of begun) left.delete(row)
    for (const { entry } of wrong) left.add(entry)
    return [...left]
  }

  /** Added entry → its index in the manifest, for those that are wanted and of which the delta has any content. */
  #rowsOf({ manifest }: Bringing, wanted: ReadonlySet<number>): ReadonlyMap<number, number> {
    const byPath = new Map([...wanted].map((row) => [manifest.entries[row]?.path ?? '', row]))
    return new Map(
      addedEntries(this.#head.entrySplice).flatMap(({ path }, index) => {
        const row = byPath.get(path)
        return row === undefined ? [] : [[index, row] as const]
      }),
    )
  }

  #ordersOf(bringing: Bringing, pieces: readonly Piece[], rows: ReadonlyMap<number, number>, begun: Set<number>) {
    let offset = 0
    return pieces.flatMap(({ entry, start, bytes }) => {
      const at = offset
      offset += bytes
      const row = rows.get(entry)
      if (row === undefined) return []
      const kept = begun.has(row) ? [] : this.#keptOf(entry, bringing.manifest.entries[row]?.size ?? 0, bringing, row)
      begun.add(row)
      return [{ file: orderWithKept(bringing, row, kept), offset: at, bytes, at: start }]
    })
  }

  /** What the delta leaves out of a file. */
  #keptOf(added: number, size: number, { manifest }: Bringing, row: number): KeptRange[] {
    const path = manifest.entries[row]?.path ?? ''
    const kept: KeptRange[] = []
    let at = 0
    const until = (end: number) => {
      if (end > at) kept.push({ at, bytes: end - at, from: { tree: this.#base.tree, path }, fromAt: at })
    }
    for (const { start, bytes } of this.#pieces.get(added) ?? []) {
      until(start)
      at = start + bytes
    }
    until(size)
    return kept
  }

  get #pieces(): ReadonlyMap<number, readonly Piece[]> {
    this.#byEntry ??= Map.groupBy(this.#head.frames.flat(), (piece) => piece.entry)
    return this.#byEntry
  }

  #byEntry: ReadonlyMap<number, readonly Piece[]> | null = null

  async #frame(pieces: readonly Piece[]): Promise<Uint8Array<ArrayBuffer>> {
    const { bytes, rawBytes } = decodeMarker(await this.#need(MARKER_BYTES), 'content')
    if (rawBytes !== rawBytesOf(pieces)) throw new FleetError('DELTA_INVALID', 'a frame is not as long as its pieces')
    return await this.#need(bytes)
  }

  async #need(count: number): Promise<Uint8Array<ArrayBuffer>> {
    return await need(this.#reader, count)
  }
}

async function need(reader: ByteReader, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await reader.take(count)
  if (bytes === null) throw new FleetError('DELTA_INVALID', 'the delta ends too soon')
  return bytes
}

async function readHead(reader: ByteReader): Promise<Uint8Array> {
  const { bytes, rawBytes } = decodeMarker(await need(reader, MARKER_BYTES), 'head')
  const packed = await need(reader, bytes)
  try {
    return await decompress(packed, { maxOutputLength: Math.max(1, rawBytes) })
  } catch (cause) {
    throw new FleetError('DELTA_INVALID', 'the head of the delta cannot be decompressed', { cause })
  }
}
