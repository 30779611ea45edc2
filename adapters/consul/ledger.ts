// Owns the fenced write of an app's records: what was read is checked, the lease is checked, and all of it happens or none.
import type { Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Ledger, LedgerView, Request } from '#fleet/ports.ts'
import { readRequest, readRollout, writeRequest } from '#fleet/wire.ts'
import { asideKey, changeOf, emptyTarget } from './change.ts'
import type { ConsulClient, Entry } from './client.ts'
import { commitFenced } from './fenced.ts'
import { historyOf } from './history.ts'
import { slotsOf } from './slots.ts'

/** The ledger of `app`. */
export function ledger(client: ConsulClient, options: { readonly app: string }): Ledger {
  const { app } = options
  const keys = client.keys(app)
  const history = historyOf(client, app)

  async function view(rings: readonly Name[], signal: AbortSignal): Promise<LedgerView> {
    const get = async (key: string) => (await client.get(key, signal, { consistency: 'consistent' })).value
    const [entries, rollout, hold, tail, requests] = await Promise.all([
      Promise.all(rings.map(async (ring) => [ring, await get(keys.target(ring))] as const)),
      get(keys.rollout),
      get(keys.hold),
      history.tail(signal),
      client.list(keys.requests, signal),
    ])
    const targets = entries.map(([ring, entry]) => [
      ring,
      { raw: entry?.value ?? null, index: entry?.modifyIndex ?? 0 },
    ])
    return {
      targets: Object.fromEntries(targets),
      rollout: rollout === null ? null : rolloutOf(rollout),
      rolloutIndex: rollout?.modifyIndex ?? 0,
      tail,
      requests: requests.value.flatMap(requestOf),
      hold: { raw: hold?.value ?? null, index: hold?.modifyIndex ?? 0 },
    }
  }

  /** A broken record must not stand in the way of a rollback: it reads as none, and can be written over at its index. */
  function rolloutOf(entry: Entry): LedgerView['rollout'] {
    try {
      return { record: readRollout(entry.value), index: entry.modifyIndex }
    } catch (error) {
      if (!isFleetError(error, 'RECORD_INVALID')) throw error
      client.log.warn('rollout record was rejected', { key: entry.key, code: error.code, error: error.message })
      return null
    }
  }

  /** One that is not called as its key could never be answered away: every turn of a driver would answer it again. */
  function requestOf(entry: Entry): readonly Request[] {
    try {
      const request = readRequest(entry.value)
      if (keys.request(request.id) === entry.key) return [request]
      throw new FleetError('RECORD_INVALID', `it calls itself ${JSON.stringify(request.id.slice(0, 100))}`)
    } catch (error) {
      if (!isFleetError(error)) throw error
      client.log.warn('request was rejected', { key: entry.key, code: error.code, error: error.message })
      return []
    }
  }

  return {
    view,

    async commit(lease, seen, change, signal) {
      lease.lost.throwIfAborted()
      const operations = changeOf(keys, lease.session, seen, change)
      await commitFenced(client, { app, operations }, signal)
    },

    async init(rings, signal) {
      const created: Name[] = []
      for (const ring of rings) {
        const value = emptyTarget(app, ring, client.clock.now())
        if (await client.cas(keys.target(ring), value, 0, signal)) created.push(ring)
      }
      return created
    },

    async stop({ raw, index }, signal) {
      if (await client.cas(keys.hold, raw ?? new Uint8Array(), index, signal)) return
      throw new FleetError('WRITE_CONFLICT', `${keys.hold} changed meanwhile; nothing was written`)
    },

    async peek(key, signal) {
      const { value } = await client.get(asideKey(keys, key), signal, { consistency: 'consistent' })
      return {
        raw: value?.value ?? null,
        index: value?.modifyIndex ?? 0,
        held: value !== null && value.session !== null,
      }
    },

    history: (limit, signal) => history.list(limit, signal),
    chain: (signal) => history.chain(signal),

    async finished(id, signal) {
      const { value: entry } = await client.get(keys.finishedRollout(id), signal, { consistency: 'consistent' })
      return entry === null ? null : readRollout(entry.value)
    },

    async rings(signal) {
      const names = await client.names(keys.app, signal, '/')
      return names.flatMap((name) => keys.ringOf(name) ?? [])
    },

    slots: (day, signal) => slotsOf(client, app, day, signal),

    async ask(request, signal) {
      const key = keys.request(request.id)
      const value = writeRequest(request)
      if (await client.cas(key, value, 0, signal)) return
      const { value: entry } = await client.get(key, signal)
      if (entry !== null && Buffer.from(entry.value).equals(value)) return
      throw new FleetError('WRITE_CONFLICT', `a request ${request.id} is there already`)
    },

    async withdraw(id, signal) {
      await client.delete(keys.request(id), signal)
    },
  }
}
