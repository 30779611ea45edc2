// Owns the lease of an app: a key held by a session that renews itself, and that says in time when it cannot be counted on.
import { FleetError } from '#fleet/errors.ts'
import type { Lease, LeaseNote, Locks } from '#fleet/ports.ts'
import { readLeaseNote, writeLeaseNote } from '#fleet/wire.ts'
import type { ConsulClient } from './client.ts'
import { endSession, keepAlive } from './session.ts'

/** TTL below 10 s is refused by Consul. Ours counts as lost after 0.6 TTL without a good renewal, long before Consul would give it away. */
const UPKEEP = { ttlSeconds: 10, everyMs: 2_500, loseAfterMs: 6_000 } as const

const RELEASE_LIMIT_MS = 3_000

/** The lease of `app`. Releasing ends the session; the record of the last holder stays in the key for people. */
export function locks(client: ConsulClient, options: { readonly app: string }): Locks {
  const { app } = options
  const key = client.keys(app).lease

  async function holder(signal: AbortSignal) {
    const { value: entry } = await client.get(key, signal, { consistency: 'consistent' })
    if (entry === null || entry.session === null) return null
    try {
      return { ...readLeaseNote(entry.value), session: entry.session }
    } catch {
      // Held, by someone whose record we cannot read: held all the same.
      return { holder: 'unknown', since: '', rollout: null, reason: '', session: entry.session }
    }
  }

  async function acquire(note: LeaseNote, signal: AbortSignal): Promise<Lease> {
    const began = client.clock.monotonic()
    const session = await client.createSession(`hotcold lease ${app} ${note.holder}`, UPKEEP.ttlSeconds, signal)
    try {
      if (await client.acquire(key, writeLeaseNote(note), session, signal)) return hold(client, session, began)
      const other = await holder(signal)
      const who = other === null ? 'someone who let it go a moment ago' : `${other.holder} since ${other.since}`
      throw new FleetError('LEASE_HELD', `the lease of ${app} is held by ${who}; nothing was written`)
    } catch (error) {
      await endSession(client, session, RELEASE_LIMIT_MS)
      throw error
    }
  }

  return {
    acquire,
    holder,
    async fence(session, note, signal) {
      const current = await holder(signal)
      if (current !== null && current.session !== session) {
        throw new FleetError(
          'LEASE_HELD',
          `the lease of ${app} has passed to ${current.holder} meanwhile; nothing was written`,
        )
      }
      // From here on every transaction of the old holder fails its check-session.
      if (current !== null) await client.destroySession(session, signal)
      return acquire(note, signal)
    },
  }
}

/** A lease over a session that holds the key. @param began when the session was asked for, on our clock */
function hold(client: ConsulClient, session: string, began: number): Lease {
  const lost = new AbortController()
  const released = new AbortController()
  const tending = keepAlive(client, session, UPKEEP, released.signal, began).then((end) => {
    const why = end === 'gone' ? 'Consul says that its session is gone' : 'its session could not be renewed in time'
    if (end !== 'ended') lost.abort(new FleetError('LEASE_LOST', `the lease was lost: ${why}; nothing more is written`))
  })
  return {
    session,
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      if (released.signal.aborted) return
      released.abort()
      await tending.catch(() => undefined)
      lost.abort(new FleetError('LEASE_LOST', 'the lease was released'))
      await endSession(client, session, RELEASE_LIMIT_MS)
    },
  }
}
