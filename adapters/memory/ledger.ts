// Owns the fenced write of an app's records in memory.

import { asideKey, changeOf, emptyTarget } from '#adapters/consul/change.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Clock, Ledger, LedgerView } from '#fleet/ports.ts'
import { readHistoryEntry, readRequest, readRollout, readSlot, writeRequest } from '#fleet/wire.ts'
import { begin, type KeyRecord, type Records } from './records.ts'

/** The ledger of `app`. @param options.clock stamps the records that `init` writes */
export function memoryLedger(records: Records, options: { readonly app: string; readonly clock: Clock }): Ledger {
  const { app, clock } = options
  const keys = keysOf(DEFAULT_PREFIX, app)
  const rollouts = once(readRollout)
  const entries = once(readHistoryEntry)

  return {
    async view(rings, signal): Promise<LedgerView> {
      begin(signal)
      const targets = rings.map((ring) => {
        const record = records.get(keys.target(ring))
        return [ring, { raw: record?.value ?? null, index: record?.modifyIndex ?? 0 }]
      })
      const rollout = records.get(keys.rollout)
      const tail = records.list(keys.history).at(-1)
      const hold = records.get(keys.hold)
      return {
        targets: Object.fromEntries(targets),
        rollout: rollout && { record: rollouts(rollout), index: rollout.modifyIndex },
        tail: tail ? { seq: entries(tail).seq, raw: tail.value } : null,
        requests: records
          .list(keys.requests)
          .flatMap((record) =>
            readable(() => readRequest(record.value)).filter(({ id }) => keys.request(id) === record.key),
          ),
        hold: { raw: hold?.value ?? null, index: hold?.modifyIndex ?? 0 },
      }
    },

    async commit(lease, seen, change, signal) {
      begin(signal)
      lease.lost.throwIfAborted()
      const operations = changeOf(keys, lease.session, seen, change)
      const refused = records.transact(operations)
      if (refused.length === 0) return
      if (refused.includes(0)) throw new FleetError('LEASE_LOST', `the lease of ${app} is gone; nothing was written`)
      const changed = refused.map((place) => operations[place]?.key ?? 'a key')
      throw new FleetError('WRITE_CONFLICT', `${changed.join(', ')} changed meanwhile; nothing was written`)
    },

    async init(rings, signal) {
      begin(signal)
      return rings.filter((ring: Name) => {
        const value = emptyTarget(app, ring, clock.now())
        return records.transact([{ verb: 'cas', key: keys.target(ring), value, index: 0 }]).length === 0
      })
    },

    async stop({ raw, index }, signal) {
      begin(signal)
      const value = raw ?? new Uint8Array()
      if (records.transact([{ verb: 'cas', key: keys.hold, value, index }]).length === 0) return
      throw new FleetError('WRITE_CONFLICT', `${keys.hold} changed meanwhile; nothing was written`)
    },

    async peek(key, signal) {
      begin(signal)
      const record = records.get(asideKey(keys, key))
      const held = record !== null && record.session !== null
      return { raw: record?.value ?? null, index: record?.modifyIndex ?? 0, held }
    },

    async history(limit, signal) {
      begin(signal)
      const newest = records.list(keys.history).toReversed().slice(0, Math.max(0, limit))
      return newest.flatMap((record) => readable(() => readHistoryEntry(record.value)))
    },

    async *chain(signal) {
      begin(signal)
      for (const { key, value } of records.list(keys.history))
        yield { name: key.slice(keys.history.length), raw: value }
    },

    async finished(id, signal) {
      begin(signal)
      const record = records.get(keys.finishedRollout(id))
      return record && readRollout(record.value)
    },

    async rings(signal) {
      begin(signal)
      return [...new Set(records.list(keys.app).flatMap(({ key }) => keys.ringOf(key) ?? []))]
    },

    async slots(day, signal) {
      begin(signal)
      const of =
        day ??
        records
          .list(keys.slots)
          .at(-1)
          ?.key.slice(keys.slots.length, keys.slots.length + 10)
      const found = of === undefined ? [] : records.list(`${keys.slots}${of}T`)
      return found.map(({ key, value }) => {
        return { slot: key.slice(keys.slots.length), record: readable(() => readSlot(value))[0] ?? null }
      })
    },

    async ask(request, signal) {
      begin(signal)
      const key = keys.request(request.id)
      const value = writeRequest(request)
      if (records.transact([{ verb: 'cas', key, value, index: 0 }]).length === 0) return
      if (Buffer.from(records.get(key)?.value ?? []).equals(value)) return
      throw new FleetError('WRITE_CONFLICT', `a request ${request.id} is there already`)
    },

    async withdraw(id, signal) {
      begin(signal)
      records.delete(keys.request(id))
    },
  }
}

/** Reads each record once: it is another object whenever its value changes. */
function once<value>(read: (raw: Uint8Array) => value): (record: KeyRecord) => value {
  const known = new WeakMap<KeyRecord, value>()
  return (record) => {
    const found = known.get(record) ?? read(record.value)
    known.set(record, found)
    return found
  }
}

function readable<value>(read: () => value): readonly value[] {
  try {
    return [read()]
  } catch (error) {
    if (!isFleetError(error)) throw error
    return []
  }
}
