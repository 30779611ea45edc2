// Owns `npm run test:schedule`: every zone day by day over five years, what is foretold against what fires, and a thousand races for a slot.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { foretoldFires } from '#test/support/foretold.ts'
import { HARD_WINDOWS, scheduled, wrongIn } from '#test/support/schedules.ts'
import { delayOf, raceForSlot, wrongWith } from '#test/support/slot-races.ts'

const FROM = '2026-01-01'
/** Until 2030-12-31. */
const DAYS = 1_826
const RACES = 1_000

for (const text of HARD_WINDOWS) {
  test(`every zone, ${DAYS} days: ${text.replace('\n', '; ')}`, async (t) => {
    const zones = Intl.supportedValuesOf('timeZone')
    for (const zone of zones) {
      assert.deepEqual(wrongIn(await scheduled(`timezone: ${zone}\n${text}\n`), FROM, DAYS), [])
    }
    t.diagnostic(`${zones.length} zones, ${zones.length * DAYS} days`)
  })
}

test('what is foretold is what fires: 200 schedules, four days each', () => foretoldFires(200))

test(`G3: two daemons race ${RACES} times for a slot on a real Consul: it fires once`, async (t) => {
  const { url } = await startConsul(t)
  const { client } = connect(t, { url, prefix: 'hotcold/v1', waitMs: 5_000 })
  const schedule = await scheduled('deploysPerDay: 1\n')
  const ends: Record<string, number> = { one: 0, two: 0, fenced: 0 }
  for (let number = 1; number <= RACES; number += 1) {
    const race = await raceForSlot(client, schedule, { number, delayMs: delayOf(number) })
    assert.deepEqual(wrongWith(race), [], `race ${number}`)
    const [winner = ''] = race.fired
    ends[winner] = (ends[winner] ?? 0) + 1
    ends.fenced = (ends.fenced ?? 0) + Number(race.fenced)
  }
  t.diagnostic(JSON.stringify(ends))
})
