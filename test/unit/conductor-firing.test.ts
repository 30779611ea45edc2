// Owns what fires under a simulated clock: the slots that were foretold, each once, whatever the clock, the daemon and the file do meanwhile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Calendar, Decided } from '#conductor/shell/slots.ts'
import { runSlots, turnSlots } from '#conductor/shell/slots.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { firingWorld, quietly } from '#test/support/firing.ts'
import { foretoldFires } from '#test/support/foretold.ts'
import { scheduled } from '#test/support/schedules.ts'

const HOUR_MS = 3_600_000
const at = (iso: string): number => Date.parse(iso)
const calendarOf =
  (schedule: Schedule, changedMs: number | null = null) =>
  (): Calendar => ({ schedule, changedMs })
const said = (decided: readonly Decided[]) =>
  decided.map(
    ({ record }) => `${record?.slot.slice(11, 16)} ${record?.outcome === 'fired' ? record.build : record?.code}`,
  )

test('what is foretold is what fires: every open slot once, to the second, with its commander; every closed one leaves its reason', () =>
  foretoldFires(6))

const DAY = 'window: { from: "09:00", to: "13:00" }\ndeploysPerDay: 6\n'
const MONDAY = at('2026-11-23T08:00:00Z')

test('G8: only who leads works out the slots, and the record tells by which zone and which tables', async () => {
  const schedule = await scheduled(`timezone: America/Los_Angeles\n${DAY}`)
  const firing = await firingWorld(MONDAY)
  await firing.run(calendarOf(schedule), MONDAY + 10 * HOUR_MS)
  const [entry] = await firing.world.ledger.slots(null, quietly)
  assert.deepEqual(
    [entry?.slot, entry?.record?.timezone, entry?.record?.zoneTables],
    ['2026-11-23T17:00:00Z', 'America/Los_Angeles', '2026b'],
  )
})

test('a slot that is decided leaves a key, and a rollout of the commander, in one transaction', async () => {
  const schedule = await scheduled(`${DAY}commanders: { rota: [ana] }\n`)
  const firing = await firingWorld(MONDAY, { lasting: true })
  await firing.publish()
  await firing.run(calendarOf(schedule), MONDAY + 2 * HOUR_MS)
  assert.deepEqual(said(firing.decided), ['09:00 b1', '09:40 rollout-open'])
  const [first] = firing.decided
  assert.deepEqual([first?.rollout?.by, first?.rollout?.reason], ['ana', 'slot 2026-11-23 09:00 UTC'])
  const [entry] = (await firing.world.ledger.history(9, quietly)).toReversed()
  assert.deepEqual(
    [entry?.event, entry?.by, entry?.facts.slot, entry?.facts.commander],
    ['release-begun', 'conduct', '2026-11-23T09:00:00Z', 'ana'],
  )
  assert.equal((await firing.world.ledger.slots('2026-11-23', quietly)).length, 2)
})

/** A daemon fires b1 at nine and is away from half past on, until `backAt`; b2 is published meanwhile. What was decided by `end`. */
async function decidedAfterOutage(schedule: Schedule, backAt: string, end: string) {
  const firing = await firingWorld(MONDAY)
  await firing.publish()
  await firing.run(calendarOf(schedule), at('2026-11-23T09:30:00Z'))
  await firing.publish()
  firing.clock.time = at(backAt)
  await firing.run(calendarOf(schedule), at(end), await firing.daemon(firing.clock.time))
  return said(firing.decided)
}

test('G4: after an outage the last missed slot fires within its grace, the others are missed, and nothing comes in a burst', async () => {
  const schedule = await scheduled(DAY)
  const decided = await decidedAfterOutage(schedule, '2026-11-23T11:05:00Z', '2026-11-23T11:30:00Z')
  assert.deepEqual(decided, ['09:00 b1', '09:40 missed', '10:20 missed', '11:00 b2'])
})

test('G4: of several that were missed within a long grace only the last fires', async () => {
  const schedule = await scheduled(`${DAY}graceSeconds: 14400\n`)
  const decided = await decidedAfterOutage(schedule, '2026-11-23T11:05:00Z', '2026-11-23T11:30:00Z')
  assert.deepEqual(decided, ['09:00 b1', '09:40 missed', '10:20 missed', '11:00 b2'])
})

test('G4: beyond its grace a missed slot fires nothing; after a weekend holidays keep their own reason', async () => {
  const schedule = await scheduled(`${DAY}holidays: { dates: ["2026-11-24"] }\n`)
  const decided = await decidedAfterOutage(schedule, '2026-11-25T09:11:00Z', '2026-11-25T09:30:00Z')
  const codes = decided.map((text) => text.slice(6))
  assert.deepEqual(codes, ['b1', ...Array(5).fill('missed'), ...Array(6).fill('holiday'), 'missed'])
})

test("the first daemon of an app makes up for nothing: what was before it was nobody's to fire", async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(at('2026-11-23T11:01:00Z'))
  await firing.publish()
  await firing.run(calendarOf(schedule), at('2026-11-23T12:00:00Z'))
  assert.deepEqual(said(firing.decided), ['11:40 b1'])
})

test('G7: a clock that is set back over a slot does not fire it again, and one that once ran far ahead closes no day of today', async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(MONDAY, { steady: true })
  await firing.publish()
  await firing.run(calendarOf(schedule), at('2026-11-23T09:50:00Z'))
  firing.clock.time = at('2026-11-23T08:50:00Z')
  await firing.run(calendarOf(schedule), at('2026-11-23T10:30:00Z'))
  assert.deepEqual(
    said(firing.decided).map((text) => text.slice(0, 5)),
    ['09:00', '09:40', '10:20'],
  )
  firing.clock.time = at('2031-06-02T09:00:01Z')
  await turnSlots(firing.world, calendarOf(schedule)(), quietly)
  firing.clock.time = at('2026-11-23T11:00:00Z')
  await turnSlots(firing.world, calendarOf(schedule)(), quietly)
  assert.equal(firing.decided.at(-1)?.record?.slot, '2026-11-23T11:00:00Z')
})

test('a changed file counts at once, and slots that it puts into the past were never planned', async () => {
  const before = await scheduled('times: ["09:00", "12:00"]\n')
  const after = await scheduled('times: ["09:00", "09:55", "10:30"]\n')
  const firing = await firingWorld(MONDAY, { steady: true })
  await firing.publish()
  await firing.run(calendarOf(before), at('2026-11-23T10:00:00Z'))
  await firing.run(calendarOf(after, at('2026-11-23T10:00:00Z')), at('2026-11-23T13:00:00Z'))
  assert.deepEqual(
    said(firing.decided).map((text) => text.slice(0, 5)),
    ['09:00', '10:30'],
  )
})

test('holds, and nothing new, leave their reason; the next slot is decided anew', async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(MONDAY)
  await firing.publish()
  firing.hold('database upgrade')
  await firing.run(calendarOf(schedule), at('2026-11-23T09:30:00Z'))
  firing.hold(null)
  await firing.run(calendarOf(schedule), at('2026-11-23T10:30:00Z'))
  assert.deepEqual(said(firing.decided), ['09:00 line-held', '09:40 b1', '10:20 nothing-new'])
  assert.match(firing.decided[0]?.record?.reason ?? '', /database upgrade/)
})

test('A22: a daemon whose lease is gone decides nothing more', async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(MONDAY)
  await firing.publish()
  const other = await firing.daemon(MONDAY)
  firing.clock.time = at('2026-11-23T09:00:00Z')
  const unaware = { ...firing.world, lease: { ...firing.world.lease, lost: new AbortController().signal } }
  await assert.rejects(turnSlots(unaware, calendarOf(schedule)(), quietly), (error) =>
    isFleetError(error, 'LEASE_LOST'),
  )
  assert.deepEqual(firing.decided, [])
  await turnSlots(other, calendarOf(schedule)(), quietly)
  assert.deepEqual(said(firing.decided), ['09:00 b1'])
})

test('a ring that takes every build gets each one when it is published, at night too, without a slot', async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(at('2026-11-22T23:00:00Z'), { auto: true })
  const turn = () => turnSlots(firing.world, calendarOf(schedule)(), quietly)
  await turn()
  assert.equal(firing.decided.length, 0)
  await firing.publish()
  await turn()
  await turn()
  assert.equal(firing.decided.length, 1, 'it is open: nothing more begins')
  await firing.publish()
  await firing.finish()
  await turn()
  assert.deepEqual(
    firing.decided.map(({ record, rollout }) => [record, rollout?.build, rollout?.forced]),
    [
      [null, 'b1', ['windows']],
      [null, 'b2', ['windows']],
    ],
  )
})

test('a build that is published while the loop looks is not left until its next look', async () => {
  const schedule = await scheduled(DAY)
  const firing = await firingWorld(MONDAY, { auto: true })
  const { catalog } = firing.world
  const stop = new AbortController()
  let heard = (): void => undefined
  async function* published(signal: AbortSignal): AsyncGenerator<void> {
    await new Promise<void>((resolve) => {
      heard = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    yield
  }
  let looks = 0
  const list: typeof catalog.list = async (signal) => {
    const found = await catalog.list(signal)
    looks += 1
    if (looks === 1) {
      await firing.publish()
      heard()
      await new Promise((resolve) => setImmediate(resolve))
    }
    return found
  }
  const world = { ...firing.world, catalog: { ...catalog, list }, onDecided: () => stop.abort(new Error('it began')) }
  await assert.rejects(runSlots(world, calendarOf(schedule), stop.signal, published), /it began/)
  const { rollout } = await firing.world.ledger.view([], quietly)
  assert.deepEqual([rollout?.record.build, rollout?.record.startedAt], ['b1', new Date(MONDAY).toISOString()])
})
