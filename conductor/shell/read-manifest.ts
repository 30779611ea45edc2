// Owns reading the manifest of a published build out of the store.
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, MAX_MANIFEST_BYTES, type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'

/** A manifest and the digest of its bytes. */
export interface PublishedManifest {
  readonly manifest: Manifest
  readonly digest: Digest
}

const decompress = promisify(zstdDecompress)

/** All bytes of an object; for objects that are small by contract. @throws FleetError `LIMITS_EXCEEDED` */
async function readObject(store: BuildStore, name: string, mostBytes: number, signal: AbortSignal): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of store.read(name, {}, signal)) {
    bytes += part.byteLength
    if (bytes > mostBytes) throw new FleetError('LIMITS_EXCEEDED', `${name} has more than ${mostBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}

/**
 * The manifest of a build, or null when the store holds none.
 * @throws FleetError `MANIFEST_INVALID` · `DIGEST_MISMATCH` · `LIMITS_EXCEEDED`, and what the store throws
 */
export async function readManifest(
  store: BuildStore,
  wanted: { readonly app: Name; readonly build: BuildId; readonly digest?: Digest },
  signal: AbortSignal,
): Promise<PublishedManifest | null> {
  const name = objectsOf.manifest(wanted.build)
  if ((await store.find(name, signal)) === null) return null
  const packed = await readObject(store, name, MAX_MANIFEST_BYTES, signal)
  const bytes = await decompress(packed, { maxOutputLength: MAX_MANIFEST_BYTES }).catch((cause: unknown) => {
    throw new FleetError('MANIFEST_INVALID', `${name} cannot be decompressed`, { cause })
  })
  return { manifest: decodeManifest(bytes, wanted), digest: digestOf(bytes) }
}
