// Owns a slice of the races of two daemons for a slot; `npm run test:schedule` runs a thousand.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { scheduled } from '#test/support/schedules.ts'
import { delayOf, raceForSlot, wrongWith } from '#test/support/slot-races.ts'

const RACES = 48

test(`G3: two daemons race ${RACES} times for a slot on a real Consul: it fires once, whoever holds the lease`, async (t) => {
  const { url } = await startConsul(t)
  const { client } = connect(t, { url, prefix: 'hotcold/v1', waitMs: 5_000 })
  const schedule = await scheduled('deploysPerDay: 1\n')
  const winners = { one: 0, two: 0, fenced: 0 }
  for (let number = 1; number <= RACES; number += 1) {
    const race = await raceForSlot(client, schedule, { number, delayMs: delayOf(number) })
    assert.deepEqual(wrongWith(race), [], `race ${number}`)
    winners[race.fired[0] === 'one' ? 'one' : 'two'] += 1
    winners.fenced += Number(race.fenced)
  }
  assert.ok(
    winners.one > 0 && winners.two > 0 && winners.fenced > 0,
    `each way of ending was met: ${JSON.stringify(winners)}`,
  )
  t.diagnostic(JSON.stringify(winners))
})
