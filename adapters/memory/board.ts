// Owns reading the statuses of a ring in memory.
import { isFleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { StatusBoard } from '#fleet/ports.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { readStatus } from '#fleet/wire.ts'
import { begin, type KeyRecord, type Records } from './records.ts'

/** The roster of an app's rings; statuses that cannot be read, or are of somebody else, are left out. */
export function memoryBoard(records: Records, options: { readonly app: string }): StatusBoard {
  const keys = keysOf(DEFAULT_PREFIX, options.app)

  function nodeOf(record: KeyRecord): readonly RosterNode[] {
    try {
      const status = readStatus(record.value)
      if (record.key !== keys.node(status.ring, status.node) || status.app !== options.app) return []
      return [{ status, silent: record.session === null }]
    } catch (error) {
      if (!isFleetError(error)) throw error
      return []
    }
  }

  return {
    async roster(ring, signal) {
      begin(signal)
      return records.list(keys.nodes(ring)).flatMap(nodeOf)
    },
    async *changes(ring, signal) {
      let last: string | null = null
      while (!signal.aborted) {
        const now = records.list(keys.nodes(ring))
        const mark = now.map((record) => `${record.key} ${record.modifyIndex}`).join('\n')
        if (mark !== last) {
          last = mark
          yield now.flatMap(nodeOf)
        } else {
          await records.change(signal)
        }
      }
    },
  }
}
