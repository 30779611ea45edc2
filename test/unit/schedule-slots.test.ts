// Owns the slots of a day: how many, where the clock is changed, what closes them, and whose they are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closureAt, openingAt, slotsAfter, slotsBetween, slotsOn } from '#schedule/calendar.ts'
import { commanderFor } from '#schedule/rota.ts'
import { addDays } from '#schedule/timetable.ts'
import { fc } from '#test/support/properties.ts'
import { HARD_WINDOWS, scheduled, wallClocks, wrongIn } from '#test/support/schedules.ts'

const LA = 'timezone: America/Los_Angeles\n'
const all = 'days: [mon, tue, wed, thu, fri, sat, sun]'
const at = (iso: string): number => Date.parse(iso)

test('twelve slots a day from nine to five, evenly spaced, the first when the window opens', async () => {
  const schedule = await scheduled(LA)
  const slots = slotsOn(schedule, '2026-11-23')
  assert.deepEqual(slots.map(({ local }) => local).slice(0, 3), ['09:00', '09:40', '10:20'])
  assert.equal(slots.length, 12)
  assert.deepEqual([slots[0]?.at, slots[11]?.at], ['2026-11-23T17:00:00Z', '2026-11-24T00:20:00Z'])
  assert.deepEqual(slotsOn(schedule, '2026-11-22'), [], 'Sunday')
})

test('G1: a time that the clock skips is the first instant after it, and the preview says so', async () => {
  const schedule = await scheduled(`${LA}window: { ${all}, from: "01:00", to: "05:00" }\ntimes: ["02:30", "04:00"]\n`)
  const [skipped, later] = slotsOn(schedule, '2026-03-08')
  assert.equal(skipped?.at, '2026-03-08T10:00:00Z')
  assert.equal(skipped?.local, '03:00')
  assert.match(skipped?.note ?? '', /02:30 does not exist on 2026-03-08/)
  assert.deepEqual([later?.local, later?.note], ['04:00', null])
})

test('G1: several times that the clock skips stay apart and in the window', async () => {
  const schedule = await scheduled(
    `${LA}window: { ${all}, from: "02:00", to: "03:30" }\ntimes: ["02:00", "02:30", "03:00", "03:29"]\n`,
  )
  assert.deepEqual(
    wallClocks(schedule, '2026-03-08').map((text) => text.slice(11)),
    ['03:00', '03:01', '03:02', '03:29'],
  )
  assert.deepEqual(wrongIn(schedule, '2026-03-08', 1), [])
})

test('G1: a window that the clock skips wholly begins after the jump and keeps its length', async () => {
  const schedule = await scheduled(`${LA}window: { ${all}, from: "02:10", to: "02:50" }\ndeploysPerDay: 4\n`)
  assert.deepEqual(
    slotsOn(schedule, '2026-03-08').map(({ local }) => local),
    ['03:00', '03:10', '03:20', '03:30'],
  )
  assert.equal(closureAt(schedule, at('2026-03-08T10:39:59Z')), null)
  assert.equal(closureAt(schedule, at('2026-03-08T10:40:00Z'))?.code, 'outside-hours')
})

test('G2: a time that comes twice counts once, the first', async () => {
  const schedule = await scheduled(`${LA}window: { ${all}, from: "00:00", to: "04:00" }\ntimes: ["01:30", "02:00"]\n`)
  const [twice] = slotsOn(schedule, '2026-11-01')
  assert.equal(twice?.at, '2026-11-01T08:30:00Z', 'daylight time, the first of both')
  assert.match(twice?.note ?? '', /01:30 comes twice/)
  assert.equal(slotsOn(schedule, '2026-11-01').length, 2)
})

test('G2: a window is open whenever the clock shows a time in it: what comes twice is open twice, and no slot is in what lies between', async () => {
  const text = `timezone: America/Havana\nwindow: { ${all}, from: "00:30", to: "03:00" }\ndeploysPerDay: 6\n`
  const schedule = await scheduled(text)
  const slots = slotsOn(schedule, '2026-11-01')
  assert.deepEqual(
    slots.map(({ local }) => local),
    ['00:30', '00:30', '01:00', '01:30', '02:00', '02:30'],
  )
  assert.equal(new Set(slots.map(({ atMs }) => atMs)).size, 6)
  assert.equal(closureAt(schedule, at('2026-11-01T05:10:00Z'))?.code, 'outside-hours', '00:10, for the second time')
  assert.equal(closureAt(schedule, at('2026-11-01T05:30:00Z')), null)
})

test('a day that a zone skipped has no slots', async () => {
  const schedule = await scheduled(`timezone: Pacific/Apia\nwindow: { ${all} }\n`)
  assert.deepEqual(slotsOn(schedule, '2011-12-30'), [])
  assert.equal(slotsOn(schedule, '2011-12-31').length, 12)
})

test('every day has exactly its slots, in the window and apart: any window, any number, any zone that changes its clock', async () => {
  const zones = Intl.supportedValuesOf('timeZone')
  const minute = fc.integer({ min: 0, max: 1440 })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...zones),
      fc.tuple(minute, minute).filter(([from, to]) => to - from >= 40 && from < 1440),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 1826 }),
      async (zone, [from, to], count, day) => {
        const clock = (m: number) =>
          `"${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}"`
        const text = `timezone: ${zone}\nwindow: { ${all}, from: ${clock(from)}, to: ${clock(to)} }\ndeploysPerDay: ${count}\n`
        const schedule = await scheduled(text)
        assert.deepEqual(wrongIn(schedule, addDays('2026-01-01', day), 3), [])
        const near = Temporal.PlainDate.from(addDays('2026-01-01', day)).toZonedDateTime(zone)
        const change = near.getTimeZoneTransition('next')
        if (change !== null)
          assert.deepEqual(wrongIn(schedule, change.subtract({ days: 1 }).toPlainDate().toString(), 3), [])
      },
    ),
    { numRuns: 150 },
  )
})

test('every zone: two of the hard windows, in turn, on the days around each change of its clock in a year', async () => {
  for (const [turn, zone] of Intl.supportedValuesOf('timeZone').entries()) {
    const first = Temporal.PlainDate.from('2026-01-01').toZonedDateTime(zone).getTimeZoneTransition('next')
    if (first === null || first.year > 2027) continue
    const second = first.getTimeZoneTransition('next') ?? first
    for (const text of [0, 1].map((i) => HARD_WINDOWS[(turn + i) % HARD_WINDOWS.length] ?? '')) {
      const schedule = await scheduled(`timezone: ${zone}\n${text}\n`)
      for (const change of [first, second]) {
        assert.deepEqual(wrongIn(schedule, change.subtract({ days: 1 }).toPlainDate().toString(), 2), [])
      }
    }
  }
})

test('G6: holidays, freezes and blackouts close slots, each with its reason', async () => {
  const schedule = await scheduled(
    `${LA}holidays: { country: US, dates: ["2026-11-27", { date: 2026-11-24, name: our birthday }] }
freezes: [{ from: 2026-12-18T12:00, to: 2027-01-04T00:00, reason: year end }]
blackouts: [{ days: [fri], from: "15:00", reason: weekend }]\n`,
  )
  const reasons = (date: string) => slotsOn(schedule, date).map(({ closed }) => closed?.code ?? 'open')
  assert.deepEqual(new Set(reasons('2026-11-26')), new Set(['holiday']))
  assert.equal(slotsOn(schedule, '2026-11-26')[0]?.closed?.message, '2026-11-26 is Thanksgiving Day')
  assert.equal(slotsOn(schedule, '2026-11-27')[0]?.closed?.message, '2026-11-27 is a holiday of our own')
  assert.match(slotsOn(schedule, '2026-11-24')[0]?.closed?.message ?? '', /our birthday/)
  const frozen = slotsOn(schedule, '2026-12-18').map(({ local, closed }) => `${local} ${closed?.code ?? 'open'}`)
  assert.deepEqual(frozen.slice(4, 6), ['11:40 open', '12:20 freeze'])
  assert.match(slotsOn(schedule, '2026-12-18')[5]?.closed?.message ?? '', /until 2027-01-04 00:00: year end/)
  assert.deepEqual(reasons('2026-11-20').slice(8), ['open', 'blackout', 'blackout', 'blackout'])
})

test('a date as the end of a freeze is that whole day', async () => {
  const schedule = await scheduled('freezes: [{ from: 2026-12-21, to: 2026-12-22 }]\n')
  assert.equal(closureAt(schedule, at('2026-12-21T09:00:00Z'))?.code, 'freeze')
  assert.equal(closureAt(schedule, at('2026-12-22T16:59:59Z'))?.code, 'freeze')
  assert.equal(closureAt(schedule, at('2026-12-23T09:00:00Z')), null)
})

test('public holidays follow the region, and one kept in the year before is known there', async () => {
  const bavaria = await scheduled('holidays: { country: DE, region: BY }\n')
  const germany = await scheduled('holidays: { country: DE }\n')
  assert.equal(bavaria.holidayOn('2026-01-06'), 'Heilige Drei Könige')
  assert.equal(germany.holidayOn('2026-01-06'), null)
  const america = await scheduled('holidays: { country: US }\n')
  assert.match(america.holidayOn('2027-12-31') ?? '', /New Year/)
  assert.equal(america.holidayOn('2026-02-14'), null, 'an observance is no public holiday')
})

test('the opening says why it is closed and when that changes', async () => {
  const schedule = await scheduled(`${LA}holidays: { country: US }\n`)
  const wednesday = openingAt(schedule, at('2026-11-25T18:00:00Z'))
  assert.deepEqual([wednesday.open, wednesday.changesAtMs], [true, at('2026-11-26T01:00:00Z')])
  const evening = openingAt(schedule, at('2026-11-26T01:00:00Z'))
  assert.equal(evening.closure?.code, 'outside-hours')
  assert.equal(evening.changesAtMs, at('2026-11-27T17:00:00Z'), 'over Thanksgiving')
  assert.equal(openingAt(schedule, at('2026-11-26T20:00:00Z')).closure?.code, 'holiday')
  assert.equal(openingAt(schedule, at('2026-11-28T20:00:00Z')).closure?.code, 'day-off')
  const never = await scheduled('blackouts: [{}]\n')
  assert.deepEqual(openingAt(never, 0), { ...openingAt(never, 0), open: false, changesAtMs: null })
})

test('slots after an instant and between two instants are the same slots', async () => {
  const schedule = await scheduled(LA)
  const from = at('2026-11-25T17:00:00Z')
  const next = slotsAfter(schedule, from, 30)
  assert.equal(next[0]?.at, '2026-11-25T17:40:00Z', 'strictly after')
  assert.deepEqual(slotsBetween(schedule, from, next.at(-1)?.atMs ?? 0), next)
  const closed = await scheduled(`${LA}holidays: { country: US }\n`)
  assert.equal(slotsAfter(closed, from, 12, 'open').at(-1)?.date, '2026-11-27')
})

test('the rota goes on from slot to slot, day to day or week to week, and a shift comes first', async () => {
  const named = async (text: string, date: string) => {
    const schedule = await scheduled(`deploysPerDay: 4\n${text}`)
    return slotsOn(schedule, date).map((slot) => commanderFor(schedule, slot))
  }
  const rota = 'commanders: { rota: [ana, ben, chloe], start: 2026-11-23'
  assert.deepEqual(await named(`${rota} }`, '2026-11-23'), ['ana', 'ben', 'chloe', 'ana'])
  assert.deepEqual(await named(`${rota} }`, '2026-11-24'), ['ben', 'chloe', 'ana', 'ben'])
  assert.deepEqual(
    await named(`${rota}, every: day }`, '2026-11-30'),
    ['chloe', 'chloe', 'chloe', 'chloe'],
    'weekends do not count',
  )
  assert.deepEqual(await named(`${rota}, every: week }`, '2026-12-01'), ['ben', 'ben', 'ben', 'ben'])
  assert.deepEqual(
    await named(`${rota}, every: day }`, '2026-11-20'),
    ['chloe', 'chloe', 'chloe', 'chloe'],
    'before its start',
  )
  const shifts = 'shifts: [{ from: "09:00", to: "13:00", rota: [ben, ana] }]'
  assert.deepEqual(await named(`commanders: { start: 2026-11-23, ${shifts} }`, '2026-11-24'), [
    'ana',
    'ana',
    null,
    null,
  ])
  assert.deepEqual(await named('', '2026-11-24'), [null, null, null, null])
})
