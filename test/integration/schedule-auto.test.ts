// Owns what happens between publishing and production on a real Consul: to staging at once, to all at a slot, and not again what was taken back.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { publications } from '#adapters/consul/publications.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { APP } from '#test/support/rollout-sim.ts'
import { scheduled } from '#test/support/schedules.ts'
import { SetClock } from '#test/support/set-clock.ts'
import { startSlotDaemon } from '#test/support/slot-daemon.ts'
import { until } from '#test/support/until.ts'

const [STAGING, PRODUCTION] = ['staging', 'production'] as [Name, Name]
const RINGS = [STAGING, PRODUCTION]
const FILE = 'deploysPerDay: 6\n'
const signal = new AbortController().signal

test('a build goes to staging when it is published, at night too, and to production at the slot after its checks; what a person took back is not tried again', async (t) => {
  const { url } = await startConsul(t)
  const plan = [
    { ring: STAGING, autoRelease: true, progressSeconds: 0 },
    { ring: PRODUCTION, progressSeconds: 0 },
  ]
  const more = { plan, schedule: 'schedule.yaml', checks: { required: ['qa'] } }
  const fleet = await conducting(t, { url, nodes: 2, rings: RINGS, config: more })
  await writeFile(join(fleet.dir, 'schedule.yaml'), FILE)
  const { client, ledger, locks } = fleet
  const store = catalog(client, { app: APP })
  const board = statusBoard(client, { app: APP })
  const clock = new SetClock(Date.parse('2025-11-24T02:00:00Z'))
  const schedule = await scheduled(FILE)
  for (const ring of RINGS) await until('nodes report', async () => (await board.roster(ring, signal)).length === 2)
  const serve = () =>
    startSlotDaemon({
      ...{ ledger, locks, board, catalog: store, clock, rings: RINGS, required: ['qa'] },
      route: { steps: plan, slotMinutes: 40 },
      calendar: () => ({ schedule, changedMs: null }),
      published: (inner) => publications(client, { app: APP }, inner),
    })
  const publish = (build: string, hour: string) =>
    fleet.publish(build as BuildId, { createdAt: `2025-11-24T${hour}:00:00Z` })
  const pass = async (build: string, change: Partial<CatalogEntry> = { checks: { qa: 'passed' } }) => {
    const found = await store.find(build as BuildId, signal)
    assert.ok(found !== null)
    await store.put({ ...found.entry, ...change }, found.index, signal)
  }
  const runs = (ring: Name, build: string) =>
    until(`${ring} runs ${build}`, async () => {
      const [nodes, { rollout }] = [await board.roster(ring, signal), await ledger.view(RINGS, signal)]
      return nodes.every(({ status }) => status.hot === build) && rollout?.record.phase === 'done'
    })
  const slot = async (time: string) => {
    clock.set(Date.parse(`2025-11-24T${time}:00Z`))
    const entry = await until(`${time} is decided`, async () =>
      (await ledger.slots('2025-11-24', signal)).find((one) => one.slot.slice(11, 16) === time),
    )
    return `${entry.record?.code} ${entry.record?.build ?? entry.record?.reason}`
  }

  let daemon = await serve()
  t.after(() => daemon.stop())
  await publish('b1', '02')
  await runs(STAGING, 'b1')
  assert.deepEqual((await ledger.view(RINGS, signal)).rollout?.record.forced, ['qa', 'windows'])
  assert.equal(await slot('09:00'), 'none-eligible b1')
  await pass('b1')
  assert.equal(await slot('10:20'), 'fired b1')
  await runs(PRODUCTION, 'b1')
  await publish('b2', '10')
  await runs(STAGING, 'b2')
  await pass('b2')
  assert.equal(await slot('11:40'), 'fired b2')
  await runs(PRODUCTION, 'b2')

  await daemon.stop()
  const back = await fleet.conduct('rollback', '--reason', 'worse', '--by', 'ben')
  assert.equal(back.code, 0, back.stderr)
  assert.equal((await board.roster(PRODUCTION, signal))[0]?.status.hot, 'b1')
  daemon = await serve()
  assert.match(await slot('13:00'), /^nothing-new/)
  assert.match(
    (await fleet.conduct('why')).stdout,
    /slot 2025-11-24T13:00:00Z: Nothing new is published \(nothing-new\)/,
  )
  await publish('b3', '14')
  await runs(STAGING, 'b3')
  await pass('b3')
  assert.equal(await slot('14:20'), 'fired b3')
  await runs(PRODUCTION, 'b3')
})

test('a rollout that is open when the hours end stands until they open: nobody swaps at night, and in the morning it goes on by itself', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2, config: { plan: [{ ring: PRODUCTION }] } })
  const { client, ledger, locks } = fleet
  const board = statusBoard(client, { app: APP })
  const clock = new SetClock(Date.parse('2025-11-24T08:00:00Z'))
  const schedule = await scheduled(FILE)
  await until('nodes report', async () => (await board.roster(PRODUCTION, signal)).length === 2)
  await fleet.publish('b1' as BuildId, { createdAt: '2025-11-24T07:00:00Z' })
  for (const node of fleet.nodes) node.stalled = true
  const turns: string[] = []
  const daemon = await startSlotDaemon({
    ...{ ledger, locks, board, catalog: catalog(client, { app: APP }), clock, rings: [PRODUCTION] },
    route: { steps: [{ ring: PRODUCTION, progressSeconds: 0 }], slotMinutes: 40 },
    calendar: () => ({ schedule, changedMs: null }),
    onTurn: (codes) => void turns.push(codes.join()),
  })
  t.after(() => daemon.stop())
  clock.set(Date.parse('2025-11-24T15:40:00Z'))
  const cutoff = async () => {
    const raw = await fleet.get(PRODUCTION)
    return raw === null ? null : (JSON.parse(raw) as { build: string | null; cutoff: number })
  }
  await until('it stages', async () => (await cutoff())?.build === 'b1')
  clock.set(Date.parse('2025-11-24T17:00:00Z'))
  for (const node of fleet.nodes) node.stalled = false
  await until('all have staged it', async () =>
    (await board.roster(PRODUCTION, signal)).every(({ status }) => status.cold === 'b1'),
  )
  const seen = (await ledger.history(99, signal)).length
  turns.length = 0
  await until('it stands, and says so, turn after turn', () => turns.length >= 3)
  assert.deepEqual(new Set(turns), new Set(['closed']))
  assert.equal((await ledger.history(99, signal)).length, seen, 'nothing is written')
  assert.equal((await cutoff())?.cutoff, 0)
  clock.set(Date.parse('2025-11-25T09:00:00Z'))
  await until('it is done', async () => (await ledger.view([PRODUCTION], signal)).rollout?.record.phase === 'done')
})

test('a build that was taken back on its way is not tried again by a slot, however much has happened since', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2, config: { plan: [{ ring: PRODUCTION }] } })
  const { client, ledger, locks } = fleet
  const [board, store] = [statusBoard(client, { app: APP }), catalog(client, { app: APP })]
  await until('nodes report', async () => (await board.roster(PRODUCTION, signal)).length === 2)
  await fleet.publish('b1' as BuildId, { createdAt: '2025-11-23T06:00:00Z' })
  assert.equal((await fleet.conduct('release', 'b1')).code, 0)
  await fleet.publish('b2' as BuildId, { createdAt: '2025-11-24T07:00:00Z' })
  for (const node of fleet.nodes) node.stalled = true
  const releasing = fleet.start('release', 'b2')
  await until('b2 is ordered', async () => (await fleet.get(PRODUCTION))?.includes('"b2"'))
  const going = fleet.start('rollback', '--reason', 'worse', '--by', 'ben')
  // The way back may be over before anybody looks: nodes that never swapped have nothing to undo.
  await until('it is turned back', async () => {
    const phase = (await ledger.view([PRODUCTION], signal)).rollout?.record.phase
    return phase === 'recalling' || phase === 'rolledBack'
  })
  for (const node of fleet.nodes) node.stalled = false
  const [back] = await Promise.all([going.end, releasing.end])
  assert.equal(back.code, 0, back.stderr)
  await using lease = await locks.acquire({ holder: 'ben', since: '', rollout: null, reason: 'months go by' }, signal)
  const later = { at: '2025-11-24T08:00:00Z', by: 'ben', event: 'checked', facts: {} }
  for (let i = 0; i < 12; i += 1) {
    const change = { targets: {}, rollout: null, answered: [], events: Array(50).fill(later) }
    await ledger.commit(lease, await ledger.view([PRODUCTION], signal), change, signal)
  }
  await lease[Symbol.asyncDispose]()

  const clock = new SetClock(Date.parse('2025-11-24T08:59:00Z'))
  const schedule = await scheduled(FILE)
  const daemon = await startSlotDaemon({
    ...{ ledger, locks, board, catalog: store, clock, rings: [PRODUCTION] },
    route: { steps: [{ ring: PRODUCTION }], slotMinutes: 40 },
    calendar: () => ({ schedule, changedMs: null }),
  })
  t.after(() => daemon.stop())
  clock.set(Date.parse('2025-11-24T09:00:00Z'))
  const [entry] = await until('the slot is decided', async () => {
    const slots = await ledger.slots('2025-11-24', signal)
    return slots.length > 0 && slots
  })
  assert.equal(entry?.record?.code, 'nothing-new')
})

test('a daemon that began, and heard of a change of the file, while its clock was a year ahead fires the next slot once the clock is right', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2, config: { plan: [{ ring: PRODUCTION }] } })
  const { client, ledger, locks } = fleet
  const [board, store] = [statusBoard(client, { app: APP }), catalog(client, { app: APP })]
  await until('nodes report', async () => (await board.roster(PRODUCTION, signal)).length === 2)
  await fleet.publish('b1' as BuildId, { createdAt: '2025-11-24T07:00:00Z' })
  const clock = new SetClock(Date.parse('2026-11-24T08:30:00Z'))
  const schedule = await scheduled(FILE)
  const changedMs = clock.now()
  const daemon = await startSlotDaemon({
    ...{ ledger, locks, board, catalog: store, clock, rings: [PRODUCTION] },
    route: { steps: [{ ring: PRODUCTION, progressSeconds: 0 }], slotMinutes: 40 },
    calendar: () => ({ schedule, changedMs }),
  })
  t.after(() => daemon.stop())
  clock.set(Date.parse('2025-11-24T08:59:55Z'))
  clock.set(Date.parse('2025-11-24T09:00:00Z'))
  const [entry] = await until('the slot is decided', async () => {
    const slots = await ledger.slots('2025-11-24', signal)
    return slots.length > 0 && slots
  })
  assert.equal(entry?.record?.code, 'fired')
})
