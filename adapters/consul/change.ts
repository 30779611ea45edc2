// Owns a change of the ledger as one transaction: what must still stand, and what is written.
import { createHash } from 'node:crypto'
import type { Digest, Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { type Keys, RESERVED_RINGS } from '#fleet/keys.ts'
import type { AsideKey, AsideWrite, LedgerChange, LedgerView } from '#fleet/ports.ts'
import { TERMINAL_PHASES } from '#fleet/rollout.ts'
import { orderDigest } from '#fleet/target.ts'
import { writeHistoryEntry, writeRollout, writeTarget } from '#fleet/wire.ts'
import type { Operation } from './client.ts'

/**
 * Everything of a change as operations: the `check-session` on the lease first, then checks of what was only read, then the writes.
 * @throws FleetError `WRITE_CONFLICT` when it writes a target that was not in the view · `CONSUL_TOO_LARGE`
 */
export function changeOf(keys: Keys, session: string, seen: LedgerView, change: LedgerChange): readonly Operation[] {
  const unseen = Object.keys(change.targets).find((ring) => !(ring in seen.targets))
  if (unseen !== undefined) {
    throw new FleetError('WRITE_CONFLICT', `the target of ${unseen} was not read before it was to be written`)
  }
  const checks: Operation[] = [{ verb: 'check-session', key: keys.lease, session }]
  const writes: Operation[] = []
  for (const [ring, { index }] of Object.entries(seen.targets)) {
    const key = keys.target(ring)
    const value = change.targets[ring]
    if (value === undefined) checks.push(unchanged(key, index))
    else writes.push({ verb: 'cas', key, value, index })
  }
  const rolloutIndex = seen.rolloutIndex ?? seen.rollout?.index ?? 0
  if (change.rollout === null) {
    checks.push(unchanged(keys.rollout, rolloutIndex))
  } else {
    const orders = { ...seen.rollout?.record.orders, ...change.rollout.orders, ...digestsOf(change.targets) }
    const value = writeRollout({ ...change.rollout, ...(Object.keys(orders).length > 0 && { orders }) })
    writes.push({ verb: 'cas', key: keys.rollout, value, index: rolloutIndex })
    if (TERMINAL_PHASES.includes(change.rollout.phase)) {
      writes.push({ verb: 'set', key: keys.finishedRollout(change.rollout.id), value })
    }
  }
  if (change.advances === true) checks.push(unchanged(keys.hold, seen.hold?.index ?? 0))
  const aside = (change.aside ?? []).map((write) => asideOperation(keys, write))
  const answered = change.answered.map((id): Operation => ({ verb: 'delete', key: keys.request(id) }))
  return [...checks, ...writes, ...aside, ...appended(keys, seen.tail, change.events), ...answered]
}

/** Where a key beside the rollouts lies. */
export function asideKey(keys: Keys, key: AsideKey): string {
  switch (key.kind) {
    case 'hold':
      return keys.hold
    case 'pin':
      return keys.pin(key.ring, key.node)
    case 'node':
      return keys.node(key.ring, key.node)
    case 'build':
      return keys.build(key.build)
    case 'slot':
      return keys.slot(key.slot)
  }
}

function asideOperation(keys: Keys, { key, raw, index }: AsideWrite): Operation {
  const name = asideKey(keys, key)
  return raw === null ? { verb: 'delete-cas', key: name, index } : { verb: 'cas', key: name, value: raw, index }
}

/** What tells a key's bytes from those that somebody else put there. */
function digestsOf(targets: LedgerChange['targets']): Readonly<Record<string, Digest>> {
  return Object.fromEntries(Object.entries(targets).map(([ring, raw]) => [ring, orderDigest(raw)]))
}

/** The events as entries behind the newest one, each chained to the bytes before it. CAS 0: nobody else took the number. */
function appended(keys: Keys, from: LedgerView['tail'], events: LedgerChange['events']): readonly Operation[] {
  let tail = from
  return events.map((event): Operation => {
    const seq: number = (tail?.seq ?? 0) + 1
    const prev: string = tail === null ? '' : createHash('sha256').update(tail.raw).digest('hex')
    const raw = writeHistoryEntry({ ...event, seq, prev })
    tail = { seq, raw }
    return { verb: 'cas', key: keys.historyEntry(seq), value: raw, index: 0 }
  })
}

function unchanged(key: string, index: number): Operation {
  return index === 0 ? { verb: 'check-not-exists', key } : { verb: 'check-index', key, index }
}

/** What `init` writes: an order that asks nothing. @throws FleetError `NAME_INVALID` for a ring that would hide a key of the app */
export function emptyTarget(app: string, ring: Name, nowMs: number): Uint8Array {
  if (RESERVED_RINGS.includes(ring)) {
    throw new FleetError('NAME_INVALID', `a ring cannot be called ${ring}: that is a key of the app itself`)
  }
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
