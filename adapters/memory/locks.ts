// Owns the lease of an app in memory.
import { FleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Lease, LeaseNote, Locks } from '#fleet/ports.ts'
import { readLeaseNote, writeLeaseNote } from '#fleet/wire.ts'
import { begin, type Records } from './records.ts'

/** The lease of `app`, held until it is released or its session is ended. */
export function memoryLocks(records: Records, options: { readonly app: string }): Locks {
  const { app } = options
  const key = keysOf(DEFAULT_PREFIX, app).lease

  function current() {
    const record = records.get(key)
    if (record === null || record.session === null) return null
    return { ...readLeaseNote(record.value), session: record.session }
  }

  function take(note: LeaseNote): Lease {
    const session = records.createSession()
    if (records.transact([{ verb: 'lock', key, value: writeLeaseNote(note), session }]).length > 0) {
      records.endSession(session)
      throw new FleetError('LEASE_HELD', `the lease of ${app} is held by ${current()?.holder}; nothing was written`)
    }
    return leaseOf(records, session)
  }

  return {
    async acquire(note, signal) {
      begin(signal)
      return take(note)
    },
    async holder(signal) {
      begin(signal)
      return current()
    },
    async fence(session, note, signal) {
      begin(signal)
      const now = current()
      if (now !== null && now.session !== session) {
        throw new FleetError(
          'LEASE_HELD',
          `the lease of ${app} has passed to ${now.holder} meanwhile; nothing was written`,
        )
      }
      records.endSession(session)
      return take(note)
    },
  }
}

function leaseOf(records: Records, session: string): Lease {
  const lost = new AbortController()
  const ended = new AbortController()
  const watch = async () => {
    while (!ended.signal.aborted && records.isSessionAlive(session)) await records.change(ended.signal)
    lost.abort(new FleetError('LEASE_LOST', 'the lease was lost: its session is gone; nothing more is written'))
  }
  void watch()
  return {
    session,
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      records.endSession(session)
      ended.abort()
      lost.abort(new FleetError('LEASE_LOST', 'the lease was released'))
    },
  }
}
