// Owns publishing a node's status in memory.
import { FleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { SessionShelf, StatusSink } from '#fleet/ports.ts'
import { writeStatus } from '#fleet/wire.ts'
import { begin, type Records } from './records.ts'

/** The status key of one node, held by a session of its own. */
export function memorySink(
  records: Records,
  options: { readonly app: string; readonly ring: string; readonly node: string; readonly shelf: SessionShelf },
): StatusSink {
  const { app, ring, node, shelf } = options
  const key = keysOf(DEFAULT_PREFIX, app).node(ring, node)
  let session: string | null = null
  let index: number | null = null
  let closed = false

  async function ourSession(): Promise<string> {
    session ??= await shelf.load()
    if (session !== null && records.isSessionAlive(session)) return session
    session = records.createSession()
    await shelf.save(session)
    return session
  }

  return {
    async publish(status, signal) {
      begin(signal)
      if (closed) return
      const id = await ourSession()
      const before = records.get(key)
      const written = before !== null && index !== null && before.modifyIndex !== index && before.session === id
      if (!written && records.transact([{ verb: 'lock', key, value: writeStatus(status), session: id }]).length === 0) {
        index = records.get(key)?.modifyIndex ?? null
        return
      }
      throw new FleetError(
        'DUPLICATE_NODE',
        `another puller reports as ${node} of ${app}/${ring}; this one stays unseen`,
      )
    },
    async close() {
      closed = true
      if (session !== null) records.endSession(session)
    },
  }
}
