// Owns the property that what a schedule foretells is what fires, under a clock that jumps from slot to slot.
import assert from 'node:assert/strict'
import { slotsAfter, slotsBetween } from '#schedule/calendar.ts'
import { commanderFor } from '#schedule/rota.ts'
import { firingWorld } from './firing.ts'
import { fc } from './properties.ts'
import { scheduled } from './schedules.ts'

const HOUR_MS = 3_600_000

/** `slotsAfter` is what `conduct schedule next` prints. @param runs schedules that are tried, four days of each */
export async function foretoldFires(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        'America/Los_Angeles',
        'Europe/Berlin',
        'Australia/Lord_Howe',
        'Asia/Kolkata',
        'America/Santiago',
      ),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 1_826 }),
      fc.constantFrom('mon, wed, thu', 'mon, tue, wed, thu, fri, sat, sun'),
      async (zone, count, day, days) => {
        const text = `timezone: ${zone}\nwindow: { days: [${days}], from: "00:30", to: "12:00" }\ndeploysPerDay: ${count}\n`
        const more =
          'holidays: { country: US }\nblackouts: [{ from: "02:00", to: "03:00" }]\ncommanders: { rota: [ana, ben, chloe] }\n'
        const schedule = await scheduled(text + more)
        const start = Date.UTC(2026, 0, 1) + day * 24 * HOUR_MS
        const firing = await firingWorld(start, { steady: true })
        await firing.publish()
        const until = start + 96 * HOUR_MS
        const foretold = slotsAfter(schedule, start, 400, 'open').filter(({ atMs }) => atMs < until)
        const planned = slotsBetween(schedule, start, until - 1)
        await firing.run(() => ({ schedule, changedMs: null }), until)
        const records = firing.decided.flatMap(({ record }) => (record === null ? [] : [record]))
        const fired = records.filter(({ outcome }) => outcome === 'fired')
        assert.deepEqual(
          fired.map(({ slot, commander, at: when }) => [slot, commander, when.slice(0, 19)]),
          foretold.map((slot) => [slot.at, commanderFor(schedule, slot), slot.at.slice(0, 19)]),
        )
        assert.deepEqual(
          records.map(({ slot, code }) => [slot, code]),
          planned.map((slot) => [slot.at, slot.closed?.code ?? 'fired']),
        )
      },
    ),
    { numRuns: runs },
  )
}
