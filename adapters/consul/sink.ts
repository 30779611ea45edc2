// Owns publishing a node's status under its session, so that a dead puller is seen as silent and two of one name are found out.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { SessionShelf, StatusSink } from '#fleet/ports.ts'
import { writeStatus } from '#fleet/wire.ts'
import type { ConsulClient, Operation } from './client.ts'
import { endSession, keepAlive } from './session.ts'

/** Consul lets a TTL session live up to twice its TTL: a node is silent within a minute. */
const UPKEEP = { ttlSeconds: 30, everyMs: 10_000, loseAfterMs: null } as const

/** Consul answers anything else by an error of its own, for ever: a shelf that was damaged holds no session. */
const SESSION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A graceful stop must not wait for a Consul that is away. */
const CLOSE_LIMIT_MS = 3_000

/**
 * The status key of one node. Each write is a transaction that locks the key for our session and, from the second write on, checks that
 * nobody wrote it since ours: a clone of this machine brings the same session id along, and only the index tells the two apart.
 */
export function statusSink(
  client: ConsulClient,
  options: { readonly app: string; readonly ring: string; readonly node: string; readonly shelf: SessionShelf },
): StatusSink {
  const { app, ring, node, shelf } = options
  const key = client.keys(app).node(ring, node)
  // In the key's flags: tells this process from any other that writes under the same session.
  const mark = Math.floor(client.clock.random() * 0x7fff_fffe) + 1
  const closed = new AbortController()
  let session: string | null = null
  let lastIndex: number | null = null
  let last: NodeStatus | null = null
  let queue: Promise<unknown> = Promise.resolve()
  let tending: Promise<void> | null = null

  async function ourSession(signal: AbortSignal): Promise<string> {
    if (session !== null) return session
    const shelved = await shelf.load()
    if (shelved !== null && SESSION_ID.test(shelved) && (await client.renewSession(shelved, signal)))
      return tend(shelved)
    const made = await client.createSession(`hotcold ${app}/${ring}/${node}`, UPKEEP.ttlSeconds, signal)
    // On the shelf before it is used: a crash in between must leave a session that the next start knows.
    try {
      await shelf.save(made)
    } catch (error) {
      await endSession(client, made, CLOSE_LIMIT_MS)
      throw error
    }
    return tend(made)
  }

  function tend(id: string): string {
    session = id
    tending = keepAlive(client, id, UPKEEP, closed.signal).then(async (end) => {
      if (end === 'ended' || session !== id) return
      session = null
      client.log.warn('session is gone', { session: id, key })
      if (last !== null) await reassert(last)
    })
    return id
  }

  /** The session died while nothing was to be said: the status is put back under a new one, or the node would look silent. */
  async function reassert(status: NodeStatus): Promise<void> {
    for (let pauseMs = 500; !closed.signal.aborted; pauseMs = Math.min(15_000, pauseMs * 2)) {
      try {
        await inTurn(() => (session === null && last === status ? write(status, closed.signal) : Promise.resolve()))
        return
      } catch (error) {
        if (closed.signal.aborted || isFleetError(error, 'DUPLICATE_NODE')) return
        await client.clock.sleep(pauseMs * (0.5 + client.clock.random()), closed.signal).catch(() => undefined)
      }
    }
  }

  async function write(status: NodeStatus, signal: AbortSignal): Promise<void> {
    const value = writeStatus(status)
    for (let attempt = 0; ; attempt += 1) {
      const id = await ourSession(signal)
      const lock: Operation = { verb: 'lock', key, value, session: id, flags: mark }
      const check: Operation[] = lastIndex === null ? [] : [{ verb: 'check-index', key, index: lastIndex }]
      let result: Awaited<ReturnType<ConsulClient['transact']>>
      try {
        result = await client.transact([...check, lock], signal)
      } catch (error) {
        // It is not known whether it was written: the next write must not take its own index for somebody else's.
        lastIndex = null
        throw error
      }
      if (result.committed) {
        lastIndex = result.entries.at(-1)?.modifyIndex ?? null
        return
      }
      await explain(id, signal)
      if (attempt === 2) {
        const why = result.refused.map((refused) => refused.what).join('; ')
        throw new FleetError('CONSUL_UNREACHABLE', `the status of ${node} was not taken: ${why}; trying again`)
      }
    }
  }

  /** Why a write was refused: throws when another puller is behind it, else clears what was out of date for the next attempt. */
  async function explain(id: string, signal: AbortSignal): Promise<void> {
    const { value: entry } = await client.get(key, signal)
    const stranger = entry !== null && entry.session !== null && entry.session !== id
    // Above our own last write: below it, Consul was restored from a snapshot and shows what a former process of ours wrote.
    const double = entry?.session === id && entry.flags !== mark && lastIndex !== null && entry.modifyIndex > lastIndex
    if (stranger || double) {
      const how = double ? 'with the same session, as a copied machine does' : `with session ${entry.session}`
      const detail = `another puller reports as ${node} of ${app}/${ring}, ${how}; this one keeps what it runs and stays unseen`
      throw new FleetError('DUPLICATE_NODE', detail)
    }
    lastIndex = null
    if (session === id && !(await client.isSessionAlive(id, signal))) session = null
  }

  function inTurn<value>(work: () => Promise<value>): Promise<value> {
    const turn = queue.then(work, work)
    queue = turn.catch(() => undefined)
    return turn
  }

  return {
    publish(status, signal) {
      return inTurn(async () => {
        if (closed.signal.aborted) return
        last = status
        await write(status, signal)
      })
    },
    async close() {
      if (closed.signal.aborted) return
      closed.abort()
      await tending?.catch(() => undefined)
      if (session !== null) await endSession(client, session, CLOSE_LIMIT_MS)
      session = null
    },
  }
}
