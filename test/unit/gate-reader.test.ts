// Owns the proof of the reader of gates: once an interval, in the background, forgotten with the stage, too old a reading is none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cohort, Gate, Reading } from '#conductor/core/gates.ts'
import { gateReader } from '#conductor/shell/gates.ts'
import type { Name } from '#fleet/build.ts'
import type { Clock } from '#fleet/ports.ts'
import { atMost, COHORT, figures, metricGate, named } from '#test/support/gates.ts'

const NEVER = new AbortController().signal

/** A clock that moves only when told; a sleep ends at once, as if its time were over. */
function standing(): Clock & { atMs: number } {
  const clock = { atMs: 10_000, now: () => clock.atMs, monotonic: () => clock.atMs, random: () => 0 }
  return Object.assign(clock, { sleep: async (_ms: number, signal?: AbortSignal) => signal?.throwIfAborted() })
}

/** A reader whose gates answer what the test says, and how often each was asked. */
function reading(gates: readonly Gate[], answers: Record<string, Reading | Promise<Reading>>) {
  const clock = standing()
  const asked: string[] = []
  const ended: string[] = []
  const evaluate = async (gate: Gate, _cohort: Cohort, signal: AbortSignal) => {
    asked.push(gate.name)
    signal.addEventListener('abort', () => ended.push(gate.name))
    return { reading: await (answers[gate.name] ?? figures(0)), baseline: [], output: '' }
  }
  const reader = gateReader(gates, evaluate, clock)
  const read = async (cohort: Partial<Cohort> = {}, signal = NEVER) => {
    const said = await reader.read({ ...COHORT, ...cohort }, signal)
    return said.map(({ gate, verdict, reason }) => `${gate} ${verdict} ${reason}`)
  }
  return { clock, asked, ended, read, reader }
}

test('each gate is asked once an interval, however often somebody looks', async () => {
  const slow = { ...metricGate(atMost(1)), name: 'slow', intervalMs: 5_000 }
  const { clock, asked, read } = reading([metricGate(atMost(1)), slow], {})
  // The first look starts both; a clock that stands gives them no time, so the second look hears them.
  await read()
  assert.deepEqual(await read(), ['errors pass within', 'slow pass within'])
  clock.atMs += 999
  await read()
  assert.deepEqual(asked, ['errors', 'slow'])
  clock.atMs += 1
  await read()
  clock.atMs += 4_000
  await read()
  assert.deepEqual(asked, ['errors', 'slow', 'errors', 'errors', 'slow'])
})

test('a gate that does not answer is no verdict and keeps nobody waiting; a signal ends it', async () => {
  const stop = new AbortController()
  const { ended, asked, read } = reading([metricGate(atMost(1))], { errors: new Promise<Reading>(() => undefined) })
  assert.deepEqual(await read({}, stop.signal), ['errors inconclusive unread'])
  assert.deepEqual(await read({}, stop.signal), ['errors inconclusive unread'])
  assert.deepEqual(asked, ['errors'], 'it is still being asked')
  stop.abort(new Error('over'))
  assert.deepEqual(ended, ['errors'])
  await assert.rejects(read({}, stop.signal), /over/)
})

test('a new stage begins from nothing, and ends what was still asked for the last one', async () => {
  const answers: Record<string, Reading | Promise<Reading>> = { errors: figures(5) }
  const { ended, read } = reading([metricGate(atMost(1))], answers)
  await read()
  assert.deepEqual(await read(), ['errors fail beyond'])
  answers.errors = new Promise<Reading>(() => undefined)
  assert.deepEqual(await read({ stage: 1 }), ['errors inconclusive unread'], 'the failure was of another stage')
  answers.errors = figures(0)
  await read({ stage: 2 })
  assert.ok(ended.length > 0)
  assert.deepEqual(await read({ stage: 2 }), ['errors pass within'])
})

test('a pass from before the stage was whole does not count, a failure does', async () => {
  const gates = [metricGate(atMost(1)), named(metricGate(atMost(1)), 'late')]
  const { clock, read } = reading(gates, { late: figures(3) })
  await read()
  assert.deepEqual(await read(), ['errors pass within', 'late fail beyond'])
  const startedAtMs = clock.atMs + 500
  assert.deepEqual(await read({ startedAtMs }), ['errors inconclusive unread', 'late fail beyond'])
  clock.atMs += 1_000
  await read({ startedAtMs })
  assert.deepEqual(await read({ startedAtMs }), ['errors pass within', 'late fail beyond'])
})

test('gates are asked where they belong: in their rings, and by name where the stage names them', async () => {
  const canary = { ...metricGate(atMost(1)), name: 'canary', rings: ['canary' as Name] }
  const { asked, read } = reading([canary, metricGate(atMost(1)), named(metricGate(atMost(1)), 'other')], {})
  await read({ gates: ['errors'] })
  assert.deepEqual(asked, ['errors'])
  await read({ ring: 'canary' as Name, stage: 1 })
  assert.deepEqual(asked.slice(1), ['canary', 'errors', 'other'])
})

test('forSeconds counts over readings, and the readings are kept with what they were', async () => {
  const answers: Record<string, Reading> = { errors: figures(2, 3) }
  const { clock, reader } = reading([metricGate(atMost(1), { forMs: 1_500 })], answers)
  const look = async () => {
    await reader.read(COHORT, NEVER)
    const [said] = await reader.read(COHORT, NEVER)
    clock.atMs += 1_000
    return said
  }
  assert.equal((await look())?.reason, 'breaking')
  answers.errors = { type: 'nothing', reason: 'no-samples', message: 'none' }
  assert.equal((await look())?.verdict, 'inconclusive')
  answers.errors = figures(2)
  const third = await look()
  assert.equal(third?.verdict, 'fail')
  assert.deepEqual(third?.samples, [
    [0, 2, 2, 3],
    [1, 'no-samples'],
    [2, 1, 2, 2],
  ])
  assert.equal(third?.reads, 3)
})

test('a bug in an evaluation is not swallowed: whoever asks next meets it', async () => {
  const broken = Promise.reject(new TypeError('a bug'))
  broken.catch(() => undefined)
  const { read } = reading([metricGate(atMost(1))], { errors: broken })
  await assert.rejects(async () => {
    await read()
    await read()
  }, /a bug/)
})
