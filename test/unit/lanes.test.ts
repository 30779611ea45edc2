// Owns the proof of lanes: work waits its turn, what comes out wrong is told, and so is what failed; and nothing goes on when all has ended.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { allEnded } from '#puller/shell/all-ended.ts'
import { Lanes, sideBySide } from '#puller/shell/lanes.ts'
import { fc } from '#test/support/properties.ts'

test('never more waits at a thread than was allowed, and all that came out wrong is told', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }),
      async (threads, queued, pauses) => {
        const lanes = new Lanes<number>(threads, queued)
        const tails = Array.from({ length: threads }, () => Promise.resolve())
        const waiting = Array.from({ length: threads }, () => 0)
        const order = Array.from({ length: threads }, (): number[] => [])
        // As a worker does: one after the other.
        const call = (thread: number, work: number, pause: number): Promise<number[]> => {
          waiting[thread] = (waiting[thread] ?? 0) + 1
          assert.ok((waiting[thread] ?? 0) <= queued + 1, 'one is offered, the others wait')
          const done = (tails[thread] ?? Promise.resolve()).then(async () => {
            for (let turn = 0; turn < pause; turn += 1) await setImmediate()
            order[thread]?.push(work)
            waiting[thread] = (waiting[thread] ?? 0) - 1
          })
          tails[thread] = done
          return done.then(() => (work % 3 === 0 ? [work] : []))
        }
        for (const [work, pause] of pauses.entries()) {
          const thread = lanes.shortest
          await lanes.add(thread, call(thread, work, pause))
          assert.ok(Math.max(...waiting) <= queued)
        }
        const wrong = await lanes.settled()
        assert.deepEqual(
          [...wrong].sort((a, b) => a - b),
          [...pauses.keys()].filter((work) => work % 3 === 0),
        )
        for (const done of order)
          assert.deepEqual(
            done,
            [...done].sort((a, b) => a - b),
          )
        assert.deepEqual(
          order.flat().sort((a, b) => a - b),
          [...pauses.keys()],
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('the shortest lane is the one with the least to do', async () => {
  const lanes = new Lanes<number>(3, 2)
  const ends = Array.from({ length: 3 }, () => Promise.withResolvers<number[]>())
  const taken: number[] = []
  for (const { promise } of ends) {
    taken.push(lanes.shortest)
    await lanes.add(lanes.shortest, promise)
  }
  assert.deepEqual(taken, [0, 1, 2])
  ends[1]?.resolve([])
  await setImmediate()
  assert.equal(lanes.shortest, 1)
  for (const { resolve } of ends) resolve([7])
  assert.deepEqual(await lanes.settled(), [7, 7])
})

test('what failed first is told by the next call and at the end, and nothing is left unhandled', async () => {
  const lanes = new Lanes<number>(2, 1)
  await lanes.add(
    0,
    Promise.reject(new Error('first')).finally(() => setImmediate()),
  )
  await assert.rejects(async () => {
    for (;;) await lanes.add(1, Promise.reject(new Error('second')))
  }, /first|second/)
  await assert.rejects(lanes.settled(), /first|second/)
  const one = new Lanes<number>(1, 1)
  await one.add(
    0,
    Promise.reject(new Error('only')).finally(() => setImmediate()),
  )
  await assert.rejects(one.settled(), /only/)
})

test('when one of those side by side fails the others are told, and the reason comes once all have ended', async () => {
  const ended: number[] = []
  const lane = async (index: number, signal: AbortSignal) => {
    if (index === 1) throw new Error('the one')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await setImmediate()
    ended.push(index)
    throw new Error('stopped by the signal')
  }
  await assert.rejects(sideBySide(3, new AbortController().signal, lane), /the one/)
  assert.deepEqual(ended, [0, 2])
})

test('whoever calls off those side by side is told the reason of that, not what it led to', async () => {
  const off = new AbortController()
  const lane = async (_: number, signal: AbortSignal) => {
    off.abort(new Error('called off'))
    assert.ok(signal.aborted)
    throw new Error('what it led to')
  }
  await assert.rejects(sideBySide(2, off.signal, lane), /called off/)
})

test('waiting for all that goes on at once goes on to the last of it, also when the first has failed', async () => {
  let last = false
  const late = async () => {
    for (let turn = 0; turn < 5; turn += 1) await setImmediate()
    last = true
  }
  await assert.rejects(allEnded([Promise.reject(new Error('failed')), late()]), /failed/)
  assert.ok(last)
  assert.deepEqual(await allEnded([Promise.resolve(1), 'two', Promise.resolve([3])]), [1, 'two', [3]])
})
