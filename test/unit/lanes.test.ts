// Owns the proof of lanes: work waits its turn, what comes out wrong is told, and so is what failed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Lanes } from '#puller/shell/lanes.ts'
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
