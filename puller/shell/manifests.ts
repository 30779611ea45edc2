// Owns the copies of manifests on this node: what a tree was sealed with can be verified and staged from without any store.
import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createZstdDecompress, zstdDecompress } from 'node:zlib'
import type { Digest } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, MAX_MANIFEST_BYTES, type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import { packColumns, unpackColumns } from '#fleet/packed-columns.ts'
import * as disk from './disk.ts'
import { diskFault, errnoOf } from './disk-faults.ts'
import { readIfPossible, replaceIfPossible, replaceSoftly } from './durable.ts'
import type { Downloads } from './fetch.ts'
import { hasRoom } from './preflight.ts'

const decompress = promisify(zstdDecompress)

/** A manifest up to this is taken into memory without a question; that of 60,000 files has 10 MiB. */
const EASY_BYTES = 32 * 1024 * 1024

/** Columns are kept where so many times their length is free. */
const ROOM_FACTOR = 8

/** The bytes of a manifest, its digest proven. They are read into rows or entries only by those who need these. */
export class LocalManifest {
  readonly digest: Digest
  /** On shared memory, for the threads that read it. */
  readonly bytes: Uint8Array<SharedArrayBuffer>
  readonly #read: () => Manifest
  #manifest: Manifest | null = null

  constructor(digest: Digest, bytes: Uint8Array<SharedArrayBuffer>, read: () => Manifest) {
    this.digest = digest
    this.bytes = bytes
    this.#read = read
  }

  /** Nothing that breaks a rule is kept. @throws FleetError `MANIFEST_INVALID` · `LIMITS_EXCEEDED` */
  check(): void {
    this.#manifest ??= this.#read()
  }

  /** @throws as `check` */
  get manifest(): Manifest {
    this.#manifest ??= this.#read()
    return this.#manifest
  }
}

export class Manifests {
  readonly #directory: string
  readonly #app: string

  constructor(directory: string, app: string) {
    this.#directory = directory
    this.#app = app
  }

  /** The copy on this node, or null when there is none with this very digest. */
  load(digest: Digest): LocalManifest | null {
    const bytes = readShared(this.#path(digest))
    return bytes === null || digestOf(bytes) !== digest ? null : this.#local(digest, bytes, {})
  }

  /**
   * The copy under that name, its digest not proven: for a delta, which is proven by the digest of what comes of it. Null when there is none.
   */
  glimpse(digest: Digest): Uint8Array<SharedArrayBuffer> | null {
    return readShared(this.#path(digest))
  }

  has(digest: Digest): boolean {
    return existsSync(this.#path(digest))
  }

  /** Bytes whose digest was proven where they were made. */
  hold(bytes: Uint8Array<SharedArrayBuffer>, { build, digest }: { build: string; digest: Digest }): LocalManifest {
    return this.#local(digest, bytes, { build })
  }

  /** Bytes that came from elsewhere. @throws FleetError `DIGEST_MISMATCH` */
  take(bytes: Uint8Array<SharedArrayBuffer>, expected: { build: string; digest: Digest }): LocalManifest {
    const digest = digestOf(bytes)
    if (digest !== expected.digest) {
      throw new FleetError('DIGEST_MISMATCH', `the manifest has digest ${digest}, ordered was ${expected.digest}`)
    }
    return this.hold(bytes, expected)
  }

  /** Keeps a copy. Not durable by itself: it is found by its digest, and asked for again when it is lost. @throws FleetError `DISK_*` */
  keep({ digest, bytes }: LocalManifest): void {
    try {
      replaceSoftly('manifest', this.#path(digest), bytes)
    } catch (error) {
      throw diskFault(error, 'keeping the manifest', this.#directory)
    }
  }

  /** The columns of a manifest as they were kept; null when they were not, or not as they are now. */
  columns({ digest, bytes }: LocalManifest): Columns | null {
    const packed = readIfPossible(this.#columnsPath(digest))
    return packed && unpackColumns(packed, { digest, bytes })
  }

  /** Keeps what was read from a manifest, so that it need not be read line by line the next time. */
  keepColumns(digest: Digest, columns: Columns): void {
    const packed = packColumns(columns, digest)
    // A manifest and a record take four times as much: the next ones must find room.
    const bytes = packed.byteLength * ROOM_FACTOR
    if (hasRoom(this.#directory, { bytes, inodes: 1 })) replaceIfPossible('columns', this.#columnsPath(digest), packed)
  }

  /** The copy on this node, else the store's. @throws FleetError `DIGEST_MISMATCH` · `MANIFEST_INVALID` · `LIMITS_EXCEEDED` · `STORE_*` · `DISK_*` */
  async get(
    wanted: { build: string; digest: Digest },
    downloads: Downloads,
    signal: AbortSignal,
  ): Promise<LocalManifest> {
    const local = this.load(wanted.digest)
    if (local !== null) return local
    const fetched = await this.fetch(wanted, downloads, signal)
    fetched.check()
    this.keep(fetched)
    return fetched
  }

  /** The store's. @throws as `get` */
  async fetch(
    wanted: { build: string; digest: Digest },
    downloads: Downloads,
    signal: AbortSignal,
  ): Promise<LocalManifest> {
    const name = objectsOf.manifest(wanted.build)
    const packed = await downloads.whole(name, MAX_MANIFEST_BYTES, signal)
    if (packed === null) {
      throw new FleetError('STORE_MISSING', `the manifest of ${wanted.build} is not in the store; hot still runs`)
    }
    return this.take(shared(await unpack(packed, name, wanted.digest)), wanted)
  }

  /** Removes copies that no tree needs any more. */
  retain(digests: readonly (Digest | undefined)[]): void {
    const names = new Set(
      digests.flatMap((digest) => (digest === undefined ? [] : [nameOf(digest), columnsNameOf(digest)])),
    )
    for (const name of readdirSync(this.#directory)) {
      if (!names.has(name)) disk.unlink('manifest.retire', join(this.#directory, name))
    }
  }

  #path(digest: Digest): string {
    return join(this.#directory, nameOf(digest))
  }

  #columnsPath(digest: Digest): string {
    return join(this.#directory, columnsNameOf(digest))
  }

  #local(digest: Digest, bytes: Uint8Array<SharedArrayBuffer>, expected: { build?: string }): LocalManifest {
    return new LocalManifest(digest, bytes, () => decodeManifest(bytes, { ...expected, app: this.#app }))
  }
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength))
  copy.set(bytes)
  return copy
}

function readShared(path: string): Uint8Array<SharedArrayBuffer> | null {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw diskFault(error, `reading ${path}`)
  }
  try {
    const bytes = new Uint8Array(new SharedArrayBuffer(Math.min(fstatSync(fd).size, MAX_MANIFEST_BYTES)))
    for (let at = 0; at < bytes.byteLength; ) {
      const count = readSync(fd, bytes, at, bytes.byteLength - at, at)
      if (count === 0) return null
      at += count
    }
    return bytes
  } catch (error) {
    throw diskFault(error, `reading ${path}`)
  } finally {
    closeSync(fd)
  }
}

/** Decompresses what is ordered. Anything large is first read through for its digest alone: a bomb that nobody ordered takes no memory. */
async function unpack(packed: Uint8Array, name: string, digest: Digest): Promise<Uint8Array> {
  const broken = (cause: unknown) =>
    new FleetError('DIGEST_MISMATCH', `${name} cannot be decompressed; hot still runs`, { cause })
  try {
    return await decompress(packed, { maxOutputLength: EASY_BYTES })
  } catch (cause) {
    if (errorCodeOf(cause) !== 'ERR_BUFFER_TOO_LARGE') throw broken(cause)
  }
  const sum = createHash('sha256')
  let bytes = 0
  try {
    for await (const part of Readable.from([packed]).pipe(createZstdDecompress())) {
      bytes += (part as Buffer).byteLength
      if (bytes > MAX_MANIFEST_BYTES) break
      sum.update(part as Buffer)
    }
  } catch (cause) {
    throw broken(cause)
  }
  if (bytes > MAX_MANIFEST_BYTES) {
    throw new FleetError('LIMITS_EXCEEDED', `${name} has more than ${MAX_MANIFEST_BYTES} bytes; hot still runs`)
  }
  const got = `sha256:${sum.digest('hex')}`
  if (got !== digest) {
    throw new FleetError('DIGEST_MISMATCH', `${name} has digest ${got}, ordered was ${digest}; hot still runs`)
  }
  return await decompress(packed, { maxOutputLength: MAX_MANIFEST_BYTES })
}

function errorCodeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null
}

function columnsNameOf(digest: Digest): string {
  return `${digest.slice('sha256:'.length)}.columns`
}

function nameOf(digest: Digest): string {
  return `${digest.slice('sha256:'.length)}.json`
}
