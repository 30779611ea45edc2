// Owns the promise of slots in the ledger: each is decided once, by whoever writes it first in the transaction of what it starts.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { catalog } from '#adapters/consul/catalog.ts'
import { publications } from '#adapters/consul/publications.ts'
import type { BuildId } from '#fleet/build.ts'
import type { LedgerChange } from '#fleet/ports.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { writeSlot } from '#fleet/wire.ts'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { APP, code, entryOf, event, note, nothing, portWorlds, RING, rolloutOf } from '#test/support/ports.ts'
import { until } from '#test/support/until.ts'

const AT = '2026-11-23T17:00:00Z'

function record(slot: string, over: Partial<SlotRecord> = {}): SlotRecord {
  const why = { outcome: 'skipped', code: 'nothing-new', reason: 'nothing was published since' } as const
  const more = {
    build: null,
    rollout: null,
    commander: 'ana',
    by: 'conduct',
    at: slot,
    timezone: 'UTC',
    zoneTables: null,
  }
  return { app: APP, slot, ...why, ...more, ...over }
}

function change(slot: string, over: Partial<LedgerChange> = {}): LedgerChange {
  const raw = writeSlot(record(slot))
  return { ...nothing, events: [event(slot)], aside: [{ key: { kind: 'slot', slot }, raw, index: 0 }], ...over }
}

for (const world of portWorlds) {
  test(`${world.name}: G3: a slot is written once: the second transaction writes nothing of what it would have started`, async (t: TestContext) => {
    const { locks, ledger, signal } = await world.start(t)
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    assert.deepEqual(await ledger.slots(null, signal), [])
    await ledger.commit(lease, await ledger.view([RING], signal), change(AT), signal)
    const seen = await ledger.view([RING], signal)
    const rollout = rolloutOf()
    await assert.rejects(ledger.commit(lease, seen, change(AT, { rollout }), signal), code('WRITE_CONFLICT'))
    assert.equal((await ledger.view([RING], signal)).rollout, null)
    assert.deepEqual(await ledger.slots('2026-11-23', signal), [{ slot: AT, record: record(AT) }])
    assert.equal((await ledger.history(9, signal)).length, 1)
  })

  test(`${world.name}: slots are read by day, in their order; the newest day is found among others`, async (t: TestContext) => {
    const { locks, ledger, signal, put, keys } = await world.start(t)
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    for (const slot of [
      '2026-11-24T09:40:00Z',
      '2026-11-24T09:00:00Z',
      '2026-11-23T09:00:00Z',
      '2025-12-31T09:00:00Z',
    ]) {
      await ledger.commit(lease, await ledger.view([RING], signal), change(slot), signal)
    }
    const names = async (day: string | null) => (await ledger.slots(day, signal)).map(({ slot }) => slot)
    assert.deepEqual(await names(null), ['2026-11-24T09:00:00Z', '2026-11-24T09:40:00Z'])
    assert.deepEqual(await names('2026-11-23'), ['2026-11-23T09:00:00Z'])
    assert.deepEqual(await names('2026-11-22'), [])
    await put(keys.slot('2026-11-23T10:00:00Z'), 'not a record')
    const [, broken] = await ledger.slots('2026-11-23', signal)
    assert.deepEqual(broken, { slot: '2026-11-23T10:00:00Z', record: null }, 'decided all the same')
    const view = await ledger.peek({ kind: 'slot', slot: '2026-11-23T10:00:00Z' }, signal)
    assert.equal(Buffer.from(view.raw ?? []).toString(), 'not a record')
  })
}

test('real Consul: whoever waits for builds is told when one is published, and when a check of one passes', async (t: TestContext) => {
  const { url } = await startConsul(t)
  const { client, signal } = connect(t, { url, prefix: 'hotcold/v1', waitMs: 5_000 })
  const over = new AbortController()
  t.after(() => over.abort())
  let told = 0
  const listening = (async () => {
    for await (const _ of publications(client, { app: APP }, over.signal)) told += 1
  })()
  const store = catalog(client, { app: APP })
  await until('it is told at first', () => told === 1)
  await store.put(entryOf('b1', '2026-11-22T16:04:12Z'), 0, signal)
  await until('it is told', () => told === 2)
  const found = await store.find('b1' as BuildId, signal)
  assert.ok(found !== null)
  await store.put({ ...found.entry, checks: { qa: 'passed' } }, found.index, signal)
  await until('it is told', () => told === 3)
  over.abort()
  await listening
})
