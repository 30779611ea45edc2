// Owns the fenced write of an app's records: what was read is checked, the lease is checked, and all of it happens or none.
import { createHash } from 'node:crypto'
import type { Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { RESERVED_RINGS } from '#fleet/keys.ts'
import type { Ledger, LedgerChange, LedgerView, Request } from '#fleet/ports.ts'
import { TERMINAL_PHASES } from '#fleet/rollout.ts'
import { readRequest, readRollout, writeHistoryEntry, writeRequest, writeRollout, writeTarget } from '#fleet/wire.ts'
import type { ConsulClient, Entry, Operation } from './client.ts'
import { commitFenced } from './fenced.ts'
import { historyOf } from './history.ts'

/** The ledger of `app`. */
export function ledger(client: ConsulClient, options: { readonly app: string }): Ledger {
  const { app } = options
  const keys = client.keys(app)
  const history = historyOf(client, app)

  async function view(rings: readonly Name[], signal: AbortSignal): Promise<LedgerView> {
    const get = async (key: string) => (await client.get(key, signal, { consistency: 'consistent' })).value
    const [entries, rollout, tail, requests] = await Promise.all([
      Promise.all(rings.map(async (ring) => [ring, await get(keys.target(ring))] as const)),
      get(keys.rollout),
      history.tail(signal),
      client.list(keys.requests, signal),
    ])
    const targets = entries.map(([ring, entry]) => [
      ring,
      { raw: entry?.value ?? null, index: entry?.modifyIndex ?? 0 },
    ])
    return {
      targets: Object.fromEntries(targets),
      rollout: rollout === null ? null : { record: readRollout(rollout.value), index: rollout.modifyIndex },
      tail,
      requests: requests.value.flatMap(requestOf),
    }
  }

  function requestOf(entry: Entry): readonly Request[] {
    try {
      return [readRequest(entry.value)]
    } catch (error) {
      if (!isFleetError(error)) throw error
      client.log.warn('request was rejected', { key: entry.key, code: error.code, error: error.message })
      return []
    }
  }

  /** Everything of a change as operations, the fence first. `proof` is the first that writes: its bytes there mean that it all was. */
  function operationsOf(session: string, seen: LedgerView, change: LedgerChange) {
    const fence: Operation[] = [{ verb: 'check-session', key: keys.lease, session }]
    const writes: Operation[] = []
    for (const [ring, target] of Object.entries(seen.targets)) {
      const key = keys.target(ring)
      const value = change.targets[ring]
      if (value !== undefined) writes.push({ verb: 'cas', key, value, index: target.index })
      else fence.push(unchanged(key, target.index))
    }
    const unseen = Object.keys(change.targets).find((ring) => !(ring in seen.targets))
    if (unseen !== undefined)
      throw new FleetError('WRITE_CONFLICT', `the target of ${unseen} was not read before it was written`)

    const rolloutIndex = seen.rollout?.index ?? 0
    if (change.rollout === null) fence.push(unchanged(keys.rollout, rolloutIndex))
    else {
      const value = writeRollout(change.rollout)
      writes.push({ verb: 'cas', key: keys.rollout, value, index: rolloutIndex })
      if (TERMINAL_PHASES.includes(change.rollout.phase)) {
        writes.push({ verb: 'set', key: keys.finishedRollout(change.rollout.id), value })
      }
    }
    let tail = seen.tail
    for (const event of change.events) {
      const seq: number = (tail?.seq ?? 0) + 1
      const raw = writeHistoryEntry({ ...event, seq, prev: tail === null ? '' : sha256(tail.raw) })
      writes.push({ verb: 'cas', key: keys.historyEntry(seq), value: raw, index: 0 })
      tail = { seq, raw }
    }
    const answered = change.answered.map((id): Operation => ({ verb: 'delete', key: keys.request(id) }))
    return [...fence, ...writes, ...answered]
  }

  return {
    view,

    async commit(lease, seen, change, signal) {
      lease.lost.throwIfAborted()
      const operations = operationsOf(lease.session, seen, change)
      await commitFenced(client, { app, operations }, signal)
    },

    async init(rings, signal) {
      const created: Name[] = []
      for (const ring of rings) {
        if (RESERVED_RINGS.includes(ring)) {
          throw new FleetError('NAME_INVALID', `a ring cannot be called ${ring}: that is a key of the app itself`)
        }
        if (await client.cas(keys.target(ring), emptyTarget(app, ring, client.clock.now()), 0, signal))
          created.push(ring)
      }
      return created
    },

    history: (limit, signal) => history.list(limit, signal),

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

function unchanged(key: string, index: number): Operation {
  return index === 0 ? { verb: 'check-not-exists', key } : { verb: 'check-index', key, index }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What `init` writes: an order that asks nothing. */
function emptyTarget(app: string, ring: Name, nowMs: number): Uint8Array {
  return writeTarget({
    app: app as Name,
    ring,
    generation: 0,
    build: null,
    manifest: null,
    fallback: null,
    fallbackManifest: null,
    cutoff: 0,
    salt: '',
    rollout: '',
    by: 'init',
    reason: 'created',
    at: new Date(nowMs).toISOString(),
    recall: false,
    attempt: 1,
    activation: null,
  })
}
