// Owns reading the statuses of a ring in memory.
import type { Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { StatusBoard } from '#fleet/ports.ts'
import { type RosterNode, rosterNode } from '#fleet/roster.ts'
import { begin, type KeyRecord, type Records } from './records.ts'

/** The roster of an app's rings; a status that cannot be read, or is of somebody else, makes its node a silent one. */
export function memoryBoard(records: Records, options: { readonly app: string }): StatusBoard {
  const keys = keysOf(DEFAULT_PREFIX, options.app)

  /** A record is another object whenever anything of it changes: what was read of this one stays true. */
  const known = new WeakMap<KeyRecord, RosterNode | null>()

  function nodeOf(record: KeyRecord, ring: Name, node: string): RosterNode | null {
    const found = known.get(record)
    if (found !== undefined) return found
    const read = rosterNode({ app: options.app as Name, ring, node }, record)
    known.set(record, read)
    return read
  }

  function rosterOf(ring: Name): readonly RosterNode[] {
    const prefix = keys.nodes(ring)
    return records.list(prefix).flatMap((record) => nodeOf(record, ring, record.key.slice(prefix.length)) ?? [])
  }

  return {
    async roster(ring, signal) {
      begin(signal)
      return rosterOf(ring)
    },
    async *changes(ring, signal) {
      let last: string | null = null
      while (!signal.aborted) {
        const now = records.list(keys.nodes(ring))
        const mark = now.map((record) => `${record.key} ${record.modifyIndex}`).join('\n')
        if (mark !== last) {
          last = mark
          yield rosterOf(ring)
        } else {
          await records.change(signal)
        }
      }
    },
  }
}
