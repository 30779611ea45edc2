// Owns the proof of when memory is given back: once after work, when the node has been at rest for a while, and never in the way of a move.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Clock } from '#fleet/ports.ts'
import { openLeisure } from '#puller/shell/leisure.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

function leisure(t: TestContext) {
  let now = 0
  let resting = true
  let given = 0
  let sleepers: { at: number; wake: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    random: () => 0.5,
    sleep: (ms) => new Promise((wake) => sleepers.push({ at: now + ms, wake })),
  }
  const giveMemoryBack = (): void => {
    given += 1
  }
  const it = openLeisure({ clock, atRest: () => resting, giveMemoryBack })
  const stop = new AbortController()
  t.after(() => stop.abort())
  void it.run(stop.signal)
  return {
    worked: it.worked,
    rest: (now: boolean) => {
      resting = now
    },
    given: () => given,
    pass: async (ms: number) => {
      await settle()
      now += ms
      const due = sleepers.filter(({ at }) => at <= now)
      sleepers = sleepers.filter(({ at }) => at > now)
      for (const { wake } of due) wake()
      await settle()
    },
  }
}

test('a node that did nothing gives nothing back; one that staged does so once, a while after', async (t: TestContext) => {
  const node = leisure(t)
  await node.pass(60_000)
  assert.equal(node.given(), 0)
  node.worked()
  await node.pass(11_999)
  assert.equal(node.given(), 0, 'not at once: a swap may follow')
  await node.pass(1)
  assert.equal(node.given(), 1)
  await node.pass(60_000)
  assert.equal(node.given(), 1, 'once')
  node.worked()
  await node.pass(12_000)
  assert.equal(node.given(), 2, 'and again after the next work')
})

test('a node on its way is not held up: it gives back when it has come to rest, counted from there', async (t: TestContext) => {
  const node = leisure(t)
  node.worked()
  node.rest(false)
  await node.pass(12_000)
  await node.pass(12_000)
  assert.equal(node.given(), 0)
  node.rest(true)
  await node.pass(12_000)
  assert.equal(node.given(), 1)
})

test('work that follows soon after puts it off', async (t: TestContext) => {
  const node = leisure(t)
  node.worked()
  await node.pass(7_000)
  node.worked()
  await node.pass(5_000)
  assert.equal(node.given(), 0)
  await node.pass(7_000)
  assert.equal(node.given(), 1)
})
