// Owns the published builds of an app in memory.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Catalog, CatalogEntry } from '#fleet/ports.ts'
import { readCatalogEntry, writeCatalogEntry } from '#fleet/wire.ts'
import { begin, type Records } from './records.ts'

/** The catalog of `app`. @param options.onRejected told of each entry that `list` left out */
export function memoryCatalog(
  records: Records,
  options: { readonly app: string; readonly onRejected?: (key: string, error: FleetError) => void },
): Catalog {
  const keys = keysOf(DEFAULT_PREFIX, options.app)
  return {
    async find(build, signal) {
      begin(signal)
      const record = records.get(keys.build(build))
      return record && { entry: readCatalogEntry(record.value), index: record.modifyIndex }
    },
    async list(signal) {
      begin(signal)
      const entries = records.list(keys.builds).flatMap((record): readonly CatalogEntry[] => {
        try {
          return [readCatalogEntry(record.value)]
        } catch (error) {
          if (!isFleetError(error)) throw error
          options.onRejected?.(record.key, error)
          return []
        }
      })
      return entries.toSorted((a, b) => (a.createdAt === b.createdAt ? 0 : a.createdAt < b.createdAt ? 1 : -1))
    },
    async put(entry, index, signal) {
      begin(signal)
      const key = keys.build(entry.build)
      if (records.transact([{ verb: 'cas', key, value: writeCatalogEntry(entry), index }]).length === 0) return
      throw new FleetError(
        'WRITE_CONFLICT',
        `the catalog entry of ${entry.build} changed meanwhile; nothing was written`,
      )
    },
    async remove(build, index, signal) {
      begin(signal)
      if (records.transact([{ verb: 'delete-cas', key: keys.build(build), index }]).length === 0) return
      throw new FleetError('WRITE_CONFLICT', `the catalog entry of ${build} changed meanwhile; nothing was removed`)
    },
  }
}
