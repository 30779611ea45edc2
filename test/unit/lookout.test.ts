// Owns the proof of how long a look at a tree is believed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { type Glance, Lookout } from '#puller/shell/glance.ts'

const SEEN = { bytes: 1 } as Glance
const NO_COLUMNS = Promise.resolve(null)

function looking(answers: readonly (Glance | null)[]) {
  let nowMs = 0
  let looks = 0
  const clock = { ...systemClock, monotonic: () => nowMs }
  const lookout = new Lookout(clock, NO_COLUMNS, async () => answers[looks++] ?? null)
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { lookout, looks: () => looks, pass }
}

test('it looks at once, and not again as long as that is fresh', async () => {
  const it = looking([SEEN, null])
  assert.equal(it.looks(), 1)
  it.pass(5_000)
  assert.equal(await it.lookout.seen(), SEEN)
  assert.ok(it.lookout.isFresh)
  assert.equal(it.looks(), 1)
})

test('what was seen too long ago is looked at again, and counts anew from then on', async () => {
  const it = looking([SEEN, SEEN, null])
  it.pass(5_001)
  assert.ok(!it.lookout.isFresh)
  assert.equal(await it.lookout.seen(), SEEN)
  assert.equal(it.looks(), 2)
  it.pass(5_000)
  assert.equal(await it.lookout.seen(), SEEN)
  assert.equal(it.looks(), 2)
  it.pass(1)
  assert.equal(await it.lookout.seen(), null)
})

test('a tree that was found changed stays changed', async () => {
  const it = looking([null, SEEN])
  it.pass(60_000)
  assert.equal(await it.lookout.seen(), null)
  assert.equal(it.looks(), 1)
})

test('a look that fails is told to whoever asks, and ends nothing before', async () => {
  const lookout = new Lookout(systemClock, NO_COLUMNS, () => Promise.reject(new Error('no tree')))
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(lookout.seen(), /no tree/)
})
