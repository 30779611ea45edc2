// Owns publishing in tests: a store, a catalog and a clock that stands still, and what a publish gave read back out of the store.
import type { TestContext } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { fileStore } from '#adapters/file/store.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import {
  type PublishProgress,
  type PublishRequest,
  type PublishResult,
  publishBuild,
} from '#conductor/shell/publish.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { type ErrorCode, isFleetError } from '#fleet/errors.ts'
import { decodeManifest, type Entry, type Manifest, objectsOf } from '#fleet/manifest.ts'
import type { BuildStore, Catalog, Clock } from '#fleet/ports.ts'
import { makeSourceTree } from './source-tree.ts'
import { tmp } from './tmp.ts'

export interface Publishing {
  readonly store: BuildStore
  readonly catalog: Catalog
  /** Wall time of the next publish, in milliseconds; moves only when a test moves it. */
  nowMs: number
  publish(
    dir: string,
    build: string,
    more?: Partial<PublishRequest>,
    observe?: (progress: PublishProgress) => void,
    signal?: AbortSignal,
  ): Promise<PublishResult>
  manifest(build: string): Promise<Manifest>
  object(name: string): Promise<Buffer>
}

export const FOREVER = new AbortController().signal

/** A directory with a small tree to publish. */
export async function source(t: TestContext, seed = 1): Promise<string> {
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 40, seed)
  return dir
}

/** For assert.rejects: an error of ours with this code, and with these words. */
export const refusedAs =
  (code: ErrorCode, words = /./) =>
  (error: unknown) =>
    isFleetError(error, code) && words.test(error.message)

/** @param store a store, or the directory for one */
export function publishing(store: BuildStore | string): Publishing {
  const into = typeof store === 'string' ? fileStore(store) : store
  const catalog = memoryCatalog(memoryRecords(), { app: 'web' })
  const object = async (name: string) => Buffer.concat(await Array.fromAsync(into.read(name, {}, FOREVER)))
  const self: Publishing = {
    store: into,
    catalog,
    nowMs: Date.UTC(2026, 10, 22, 16, 4, 12, 345),
    publish(dir, build, more = {}, observe = () => undefined, signal = FOREVER) {
      const clock: Clock = { ...systemClock, now: () => self.nowMs }
      const request = { app: 'web' as Name, dir, build: build as BuildId, by: 'ana', ...more }
      return publishBuild({ store: into, catalog, clock }, request, observe, signal)
    },
    manifest: async (build) =>
      decodeManifest(zstdDecompressSync(await object(objectsOf.manifest(build))), { app: 'web', build }),
    object,
  }
  return self
}

/** The content of a file as a node would have it: the frames it lies in, each decompressed on its own. */
export function contentOf(artifact: Buffer, manifest: Manifest, entry: Entry): Buffer {
  const parts: Buffer[] = []
  let bytes = 0
  for (let frame = entry.frame; bytes < entry.size; frame += 1) {
    const place = manifest.frames[frame]
    if (place === undefined) throw new Error(`${entry.path} runs out of frames`)
    const raw = zstdDecompressSync(artifact.subarray(place.offset, place.offset + place.bytes))
    if (raw.byteLength !== place.rawBytes) throw new Error(`frame ${frame} has ${raw.byteLength} raw bytes`)
    const part = raw.subarray(frame === entry.frame ? entry.offset : 0).subarray(0, entry.size - bytes)
    parts.push(part)
    bytes += part.byteLength
  }
  return Buffer.concat(parts)
}
