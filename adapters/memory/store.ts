// Owns the store in memory: the smallest one that keeps the port's promises.
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'

/** A store that lives as long as the process. `objects` may be looked at and changed by tests. */
export interface MemoryStore extends BuildStore {
  readonly objects: Map<string, { readonly bytes: Uint8Array; readonly version: string }>
}

const PIECE_BYTES = 256 * 1024

export function memoryStore(): MemoryStore {
  const objects: MemoryStore['objects'] = new Map()
  let versions = 0
  return {
    objects,
    async find(name, signal) {
      signal.throwIfAborted()
      const object = objects.get(name)
      return object === undefined ? null : { bytes: object.bytes.byteLength, version: object.version }
    },
    async *read(name, { range, version }, signal) {
      signal.throwIfAborted()
      const object = objects.get(name)
      if (object === undefined) throw new FleetError('STORE_MISSING', `${name} is not in the store`)
      if (version !== undefined && version !== object.version) {
        throw new FleetError('STORE_CHANGED', `${name} is no longer the object it was`)
      }
      const end = Math.min(range?.end ?? object.bytes.byteLength, object.bytes.byteLength)
      for (let at = range?.start ?? 0; at < end; at += PIECE_BYTES) {
        yield object.bytes.slice(at, Math.min(end, at + PIECE_BYTES))
        signal.throwIfAborted()
      }
    },
    async create(name, body, signal) {
      if (objects.has(name)) return 'exists'
      const parts: Uint8Array[] = []
      for await (const part of body) {
        signal.throwIfAborted()
        parts.push(part)
      }
      // Again, and nothing awaited after it: someone else may have been first meanwhile.
      if (objects.has(name)) return 'exists'
      versions += 1
      objects.set(name, { bytes: Buffer.concat(parts), version: `m${versions}` })
      return 'created'
    },
    async *list(prefix, signal) {
      signal.throwIfAborted()
      yield* [...objects.keys()].filter((name) => name.startsWith(prefix))
    },
    async remove(name, signal) {
      signal.throwIfAborted()
      objects.delete(name)
    },
  }
}
