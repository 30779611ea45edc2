// Owns the proof that the watch loop keeps its pace whatever Consul answers: counted over an hour on a clock that only its own pauses move.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watch } from '#adapters/consul/watch.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import type { Clock } from '#fleet/ports.ts'

/** What the loop asked and told within `ms`, where every answer comes at once: the n-th is the content and the index that `answer` gives. */
async function watched(ms: number, answer: (nth: number) => readonly [content: string, index: number]) {
  const stop = new AbortController()
  let nowMs = 0
  let asked = 0
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    random: () => 0,
    sleep: async (pauseMs) => {
      nowMs += pauseMs
      if (nowMs >= ms) stop.abort(new Error('the time is over'))
    },
  }
  const read = async () => {
    const [value, index] = answer(asked)
    asked += 1
    // A loop that does not pause would never come to the end of its time.
    if (asked > 10_000) stop.abort(new Error('it spins'))
    return { value, meta: { index, knownLeader: true, lastContactMs: 0 } }
  }
  const what = { what: 'key', read, print: (value: string) => value, isAbsent: () => false }
  const seen: string[] = []
  for await (const event of watch(what, { clock, log: silentLogger, waitMs: 60_000 }, stop.signal)) {
    if (event.type === 'answer') seen.push(event.value)
  }
  return { asked, seen }
}

const HOUR_MS = 3_600_000

test('A6: an index that flaps for an hour is asked twice for free and then once in 15 s, and tells one record', async () => {
  const { asked, seen } = await watched(HOUR_MS, (nth) => ['b1', nth % 2 === 0 ? 10 : 9])
  assert.deepEqual(seen, ['b1'])
  assert.ok(asked <= 1 + 2 + HOUR_MS / 15_000, `${asked} requests in an hour`)
  assert.ok(asked >= HOUR_MS / 15_000, `${asked} requests in an hour: it must not sleep on either`)
})

test('A16: an agent that answers the same at once for an hour is asked no more often than that', async () => {
  const { asked } = await watched(HOUR_MS, () => ['b1', 20])
  assert.ok(asked <= 1 + 2 + HOUR_MS / 15_000, `${asked} requests in an hour`)
})

test('A6: a record that changes with each answer is followed twenty times at once and then twice a second', async () => {
  const { asked, seen } = await watched(60_000, (nth) => [`b${nth}`, nth + 1])
  assert.ok(asked <= 20 + 120 + 1, `${asked} requests in a minute`)
  assert.equal(seen.length, asked)
})
