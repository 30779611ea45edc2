// Owns the published builds of an app in Consul.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Catalog, CatalogEntry } from '#fleet/ports.ts'
import { readCatalogEntry, writeCatalogEntry } from '#fleet/wire.ts'
import type { ConsulClient, Entry } from './client.ts'

/** The catalog of `app`. @param options.onRejected told of each entry that `list` left out; default: a warning in the log */
export function catalog(
  client: ConsulClient,
  options: { readonly app: string; readonly onRejected?: (key: string, error: FleetError) => void },
): Catalog {
  const { app } = options
  const keys = client.keys(app)
  const onRejected =
    options.onRejected ??
    ((key: string, error: FleetError) =>
      client.log.warn('catalog entry was rejected', { key, code: error.code, error: error.message }))

  function read(entry: Entry): CatalogEntry {
    const read = readCatalogEntry(entry.value)
    if (read.app === app && entry.key === keys.build(read.build)) return read
    throw new FleetError('RECORD_INVALID', `the catalog entry at ${entry.key} is of build ${read.build} of ${read.app}`)
  }

  return {
    async find(build, signal) {
      const { value: entry } = await client.get(keys.build(build), signal)
      return entry === null ? null : { entry: read(entry), index: entry.modifyIndex }
    },

    async list(signal) {
      const { value: entries } = await client.list(keys.builds, signal)
      const found = entries.flatMap((entry) => {
        try {
          return [read(entry)]
        } catch (error) {
          if (!isFleetError(error)) throw error
          onRejected(entry.key, error)
          return []
        }
      })
      return found.sort((a, b) => compare(b.createdAt, a.createdAt) || compare(b.build, a.build))
    },

    async put(entry, index, signal) {
      const key = keys.build(entry.build)
      const bytes = writeCatalogEntry(entry)
      try {
        if (await client.cas(key, bytes, index, signal)) return
      } catch (error) {
        // The reply may have been lost after the write.
        if (!isFleetError(error) || error.kind !== 'transient' || signal.aborted) throw error
        const now = await client.get(key, signal).catch(() => null)
        if (now?.value && now.value.modifyIndex > index && Buffer.from(now.value.value).equals(bytes)) return
        throw error
      }
      throw new FleetError(
        'WRITE_CONFLICT',
        `the catalog entry of ${entry.build} changed meanwhile; nothing was written`,
      )
    },

    async remove(build, index, signal) {
      const key = keys.build(build)
      if (await client.delete(key, signal, index)) return
      if ((await client.get(key, signal)).value === null) return
      throw new FleetError('WRITE_CONFLICT', `the catalog entry of ${build} changed meanwhile; nothing was removed`)
    },
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
