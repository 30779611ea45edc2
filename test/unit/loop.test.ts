// Owns the proof that the loop loses no event, whenever it comes, and begins nothing before the journal is durable.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { FleetError } from '#fleet/errors.ts'
import { ALL } from '#fleet/target.ts'
import type { Job, NodeState } from '#puller/core/state.ts'
import { type Loop, startLoop } from '#puller/shell/loop.ts'
import { until } from '#test/support/until.ts'
import { outcomesOf } from '#test/support/walk.ts'
import { order, PLACE, resting } from '#test/support/walk-worlds.ts'

const calm = resting(order(1, 'A', null, ALL, { rollout: 'r-0' }), 'A', 'B')
const onB = order(3, 'B', 'A', PLACE + 1)

function good(job: Job, state: NodeState) {
  const [outcome] = outcomesOf({ ...state, job })
  assert.ok(outcome && 'n' in outcome)
  return outcome
}

const NONE = (): boolean => false

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick += 1) await Promise.resolve()
}

test('an outcome is taken whenever it comes: as the queue runs dry, a tick later, or while the journal is written', async (t: TestContext) => {
  for (let early = 0; early < 12; early += 1) {
    for (let slow = 0; slow < 6; slow += 1) {
      const loop: Loop = startLoop(
        { state: calm, effects: [], trail: [] },
        {
          perform: async (job, state) => {
            await ticks(early)
            return good(job, state)
          },
          traceless: () => slow % 2 === 1,
          journal: { load: async () => null, save: () => ticks(slow) },
          clock: systemClock,
          log: silentLogger,
          onChange: () => {},
        },
      )
      loop.send({ type: 'ordered', order: onB })
      await until(
        `B runs (outcomes after ${early} ticks, journal after ${slow})`,
        () => {
          const { phase, hot, job } = loop.state()
          return phase === 'idle' && hot?.build === 'B' && job === null
        },
        2_000,
      )
    }
  }
  t.diagnostic('72 interleavings')
})

test('C4: while the journal cannot be written nothing is begun; once it can, the node goes on and says so no more', async () => {
  let full = true
  const begun: string[] = []
  const said: string[] = []
  const loop = startLoop(
    { state: calm, effects: [], trail: [] },
    {
      perform: async (job, state) => {
        begun.push(job.kind)
        return good(job, state)
      },
      traceless: NONE,
      journal: {
        load: async () => null,
        save: async () => {
          if (full) throw new FleetError('DISK_FULL', 'needs 1 KiB, has none')
        },
      },
      clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) },
      log: silentLogger,
      onChange: () => said.push(loop.troubles()[0]?.code ?? 'fine'),
    },
  )
  loop.send({ type: 'ordered', order: onB })
  await until('it tells of the disk', () => said.includes('DISK_FULL'))
  assert.deepEqual(begun, [])
  full = false
  await until('it goes on', () => loop.state().hot?.build === 'B' && loop.state().job === null)
  assert.deepEqual(loop.troubles(), [])
})

test('what was cancelled has ended before the next job begins', async () => {
  const events: string[] = []
  const loop = startLoop(
    { state: calm, effects: [], trail: [] },
    {
      perform: async (job, state, signal) => {
        events.push(`${job.kind} begins`)
        if (job.kind === 'drain') {
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
          await systemClock.sleep(20)
        }
        events.push(`${job.kind} ends`)
        return good(job, state)
      },
      traceless: NONE,
      journal: { load: async () => null, save: async () => {} },
      clock: systemClock,
      log: silentLogger,
      onChange: () => {},
    },
  )
  loop.send({ type: 'ordered', order: onB })
  await until('it drains', () => events.includes('drain begins'))
  loop.send({ type: 'ordered', order: order(6, 'A', null, ALL) })
  await until('the drain is undone', () => events.includes('undrain ends'))
  assert.deepEqual(events.slice(events.indexOf('drain begins')), [
    'drain begins',
    'drain ends',
    'undrain begins',
    'undrain ends',
  ])
  assert.equal(loop.state().hot?.build, 'A')
})

/** What a node does from rest to B's swap: each write of the journal by its phase, each job by its kind. */
async function deedsFrom(state: NodeState, traceless: (job: Job) => boolean): Promise<readonly string[]> {
  const deeds: string[] = []
  const loop = startLoop(
    { state, effects: [], trail: [] },
    {
      perform: async (job, now) => {
        deeds.push(job.kind)
        return good(job, now)
      },
      traceless,
      journal: {
        load: async () => null,
        save: async (entry) => void deeds.push(`saved ${(entry as { phase: string }).phase}`),
      },
      clock: systemClock,
      log: silentLogger,
      onChange: () => {},
    },
  )
  loop.send({ type: 'ordered', order: onB })
  await until('B is hot', () => loop.state().hot?.build === 'B')
  return deeds.slice(0, deeds.indexOf('swap') + 1)
}

test('the journal is written before every job that leaves a trace, and not for those that leave none', async () => {
  const rest = 'saved idle'
  const asking = (job: Job) => job.kind === 'turn'
  const both = (job: Job) => job.kind === 'turn' || job.kind === 'drain'
  const all = [rest, 'saved staged', 'turn', 'saved draining', 'drain', 'saved swapping', 'swap']
  assert.deepEqual(await deedsFrom(calm, NONE), all)
  assert.deepEqual(await deedsFrom(calm, asking), [rest, 'turn', 'saved draining', 'drain', 'saved swapping', 'swap'])
  assert.deepEqual(await deedsFrom(calm, both), [rest, 'turn', 'drain', 'saved swapping', 'swap'])
  assert.equal((await deedsFrom(calm, () => true)).at(-2), 'saved swapping', 'a swap is never without one')
})

test('what a start would not come by again is written whatever job comes next: here, that the order ended a stand', async () => {
  const stand = { code: 'PARKED', message: 'no', manual: null, rollout: 'r-0', build: null, generation: 1, attempt: 1 }
  const parked: NodeState = { ...calm, phase: 'parked', stand: { ...stand, activation: null } }
  const deeds = await deedsFrom(parked, (job) => job.kind === 'turn')
  assert.deepEqual(deeds.slice(0, 3), ['saved parked', 'saved staged', 'turn'])
})
