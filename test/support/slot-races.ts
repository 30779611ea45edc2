// Owns races of two daemons for one slot on a real Consul: each believes in the lease, one of them takes it from the other somewhere in between.
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import type { ConsulClient } from '#adapters/consul/client.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { type Decided, type SlotWorld, turnSlots } from '#conductor/shell/slots.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Clock, Lease, LeaseNote } from '#fleet/ports.ts'
import { writeStatus } from '#fleet/wire.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { SimNode, settledOn } from './rollout-sim.ts'
import { entryOf } from './wishes.ts'

const RING = 'production' as Name
const SLOT_MS = Date.parse('2026-11-23T09:00:00Z')
const CREATED = '2026-11-23T08:00:00Z'

export interface Race {
  /** What the keys say afterwards. */
  readonly records: number
  readonly begun: number
  readonly rollouts: readonly string[]
  /** Who was told that it fired. */
  readonly fired: readonly string[]
  /** The first lost the lease before it had written. */
  readonly fenced: boolean
}

/** One race, under an app of its own. @param delayMs how long the first has before its lease is taken; null: both write under one lease */
export async function raceForSlot(
  client: ConsulClient,
  schedule: Schedule,
  race: { readonly number: number; readonly delayMs: number | null },
): Promise<Race> {
  const app = `race-${race.number}` as Name
  const signal = new AbortController().signal
  const book = ledger(client, { app })
  const keys = client.keys(app)
  await book.init([RING], signal)
  const status = { ...new SimNode('n1', settledOn(null, null, 0), null, null).status(), app, ring: RING, at: '' }
  await client.put(keys.node(RING, 'n1'), writeStatus(status), signal)
  const store = catalog(client, { app })
  await store.put({ ...entryOf('b1' as BuildId, { createdAt: CREATED }), app }, 0, signal)

  const clock: Clock = { ...systemClock, now: () => SLOT_MS + 1_000 }
  const fired: string[] = []
  const worldOf = (name: string, lease: Lease): SlotWorld => ({
    ...{ app, rings: [RING], ledger: book, board: statusBoard(client, { app }), catalog: store, clock, lease },
    store: async () => null,
    policy: { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false },
    route: { steps: [{ ring: RING }], slotMinutes: 40 },
    evidence: { required: [], checkout: null, afterRollout: null },
    by: name,
    zoneTables: null,
    sinceMs: SLOT_MS - 60_000,
    newId: () => `r-${name}`,
    onDecided: ({ record }: Decided) => void (record?.outcome === 'fired' && fired.push(name)),
  })
  const lock = locks(client, { app })
  const note = (holder: string): LeaseNote => ({ holder, since: '', rollout: null, reason: 'serves' })
  const held = await lock.acquire(note('one'), signal)
  // It hears late that its lease is gone: only the transaction can tell.
  const unaware = { ...held, lost: new AbortController().signal }
  let fenced = false
  const one = turnSlots(worldOf('one', unaware), { schedule, changedMs: null }, signal).catch((error: unknown) => {
    if (!isFleetError(error, 'LEASE_LOST')) throw error
    fenced = true
  })
  if (race.delayMs !== null && race.delayMs > 0) await systemClock.sleep(race.delayMs)
  const taken = race.delayMs === null ? held : await lock.fence(held.session, note('two'), signal)
  const two = turnSlots(worldOf('two', taken), { schedule, changedMs: null }, signal)
  await Promise.all([one, two])
  const [slots, history, { rollout }] = await Promise.all([
    book.slots(null, signal),
    book.history(99, signal),
    book.view([RING], signal),
  ])
  await taken[Symbol.asyncDispose]()
  await held[Symbol.asyncDispose]()
  const begun = history.filter(({ event }) => event === 'release-begun')
  const rollouts = [...new Set([rollout?.record.id ?? '', ...slots.map(({ record }) => record?.rollout ?? '')])]
  return { records: slots.length, begun: begun.length, rollouts, fired, fenced }
}

/** What is wrong with a race, in words; empty: the slot fired once, and everything tells of the same rollout. */
export function wrongWith({ records, begun, rollouts, fired }: Race): readonly string[] {
  return [
    ...(records === 1 ? [] : [`${records} records`]),
    ...(begun === 1 ? [] : [`${begun} releases begun`]),
    ...(rollouts.length === 1 && rollouts[0] !== '' ? [] : [`rollouts ${rollouts.join(', ')}`]),
    ...(fired.length === 1 && rollouts[0] === `r-${fired[0]}` ? [] : [`fired by ${fired.join(', ') || 'nobody'}`]),
  ]
}

/** Delays over all of what the first does: from before its first look to after its write. */
export function delayOf(number: number): number | null {
  return number % 4 === 0 ? null : ((number * 7) % 60) / 2
}
