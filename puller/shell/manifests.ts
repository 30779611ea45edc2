// Owns the copies of manifests on this node: what a tree was sealed with can be verified and staged from without any store.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { Digest } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, MAX_MANIFEST_BYTES, type Manifest, objectsOf } from '#fleet/manifest.ts'
import * as disk from './disk.ts'
import { diskFault } from './disk-faults.ts'
import { readIfThere, writeDurably } from './durable.ts'
import type { Downloads } from './fetch.ts'

const decompress = promisify(zstdDecompress)

/** A manifest with the bytes that its digest is over. */
export interface LocalManifest {
  readonly manifest: Manifest
  readonly digest: Digest
  readonly bytes: Uint8Array
}

export class Manifests {
  readonly #directory: string
  readonly #app: string
  /** The last few that were read: parsing one of a large build costs more than a small change to the tree. */
  readonly #known = new Map<Digest, LocalManifest>()

  constructor(directory: string, app: string) {
    this.#directory = directory
    this.#app = app
  }

  /** The copy on this node, or null when there is none with this very digest. */
  load(digest: Digest): LocalManifest | null {
    const known = this.#known.get(digest)
    if (known !== undefined) return known
    const bytes = readIfThere(this.#path(digest))
    if (bytes === null || digestOf(bytes) !== digest) return null
    return this.#remember({ manifest: decodeManifest(bytes, { app: this.#app }), digest, bytes })
  }

  /** Keeps bytes that came from elsewhere. @throws FleetError `DIGEST_MISMATCH` · `MANIFEST_INVALID` · `LIMITS_EXCEEDED` · `DISK_*` */
  keep(bytes: Uint8Array, expected: { build: string; digest: Digest }): LocalManifest {
    const manifest = decodeManifest(bytes, { ...expected, app: this.#app })
    try {
      writeDurably('manifest', this.#path(expected.digest), bytes)
    } catch (error) {
      throw diskFault(error, 'keeping the manifest', this.#directory)
    }
    return this.#remember({ manifest, digest: expected.digest, bytes })
  }

  /** The copy on this node, else the store's. @throws as `keep`, and `STORE_*` */
  async get(
    wanted: { build: string; digest: Digest },
    downloads: Downloads,
    signal: AbortSignal,
  ): Promise<LocalManifest> {
    const local = this.load(wanted.digest)
    if (local !== null) return local
    const name = objectsOf.manifest(wanted.build)
    const packed = await downloads.whole(name, MAX_MANIFEST_BYTES, signal)
    if (packed === null) {
      throw new FleetError('STORE_MISSING', `the manifest of ${wanted.build} is not in the store; hot still runs`)
    }
    const bytes = await decompress(packed, { maxOutputLength: MAX_MANIFEST_BYTES }).catch((cause: unknown) => {
      throw new FleetError('DIGEST_MISMATCH', `${name} cannot be decompressed; hot still runs`, { cause })
    })
    return this.keep(bytes, wanted)
  }

  /** Removes copies that no tree needs any more. */
  retain(digests: readonly (Digest | undefined)[]): void {
    const names = new Set(digests.flatMap((digest) => (digest === undefined ? [] : [nameOf(digest)])))
    for (const digest of this.#known.keys()) if (!names.has(nameOf(digest))) this.#known.delete(digest)
    for (const name of readdirSync(this.#directory)) {
      if (!names.has(name)) disk.unlink('manifest.retire', join(this.#directory, name))
    }
  }

  #path(digest: Digest): string {
    return join(this.#directory, nameOf(digest))
  }

  #remember(local: LocalManifest): LocalManifest {
    this.#known.set(local.digest, local)
    return local
  }
}

function nameOf(digest: Digest): string {
  return `${digest.slice('sha256:'.length)}.json`
}
