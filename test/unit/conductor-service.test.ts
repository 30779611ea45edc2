// Owns the proof of who counts as in service, and of how large a wave of a rollback may be.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recallStep } from '#conductor/core/recall.ts'
import { type Placed, serviceOf } from '#conductor/core/service.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { RingMark } from '#fleet/rollout.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { A, B, C, digestFor, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const mark: RingMark = { began: 58, salt: 'r-now', peak: 500, recalled: null, closed: null, prior: null }
const order: Target = {
  ...settledOn(C, B, 60),
  cutoff: 500,
  salt: 'r-now',
  rollout: 'r-now',
  fallbackManifest: digestFor(B),
}
const policy: Policy = { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false }

function node(at: number, over: Partial<NodeStatus>, silent = false): Placed {
  const status = new SimNode(`n${at}`, order, C, B).status()
  return { at, silent, status: { ...status, rollout: 'r-now', generation: 60, ...over } }
}
const service = (placed: Placed, target = order, at = mark) => serviceOf(placed, target, at)

test('in service is who runs what it is asked to, says so about this rollout, and is not silent or failed', () => {
  assert.equal(service(node(10, {})), 'serving')
  assert.equal(service(node(10, {}, true)), 'silent', 'whatever it said last')
  assert.equal(service(node(10, { phase: 'verifying' })), 'working')
  assert.equal(service(node(10, { hot: B, cold: C, phase: 'staged' })), 'working', 'below the cutoff and not there yet')
  assert.equal(service(node(900, { hot: B, cold: null, phase: 'fetching' })), 'serving', 'fetching writes cold only')
  assert.equal(service(node(900, { hot: B, generation: 57 })), 'working', 'what it said is from before this rollout')
  assert.equal(service(node(900, { hot: B, phase: 'parked' })), 'failed')
  assert.equal(service(node(10, { hot: B, refusal: { build: C, code: 'VERIFY_FAILED', message: '' } })), 'failed')
})

test('on the way back only a word about the recall proves that a node is back; who never left needs none', () => {
  const recall: Target = { ...order, recall: true, cutoff: 200, generation: 62 }
  const recalled = { ...mark, recalled: 61 }
  assert.equal(
    service(node(300, { hot: B, generation: 60 }), recall, recalled),
    'working',
    'it may be on its way to the build',
  )
  assert.equal(service(node(300, { hot: B, generation: 61 }), recall, recalled), 'serving')
  assert.equal(
    service(node(900, { hot: B, generation: 58 }), recall, recalled),
    'serving',
    'it was never asked to leave',
  )
  assert.equal(service(node(100, { hot: C, generation: 60 }), recall, recalled), 'serving', 'it may stay')
  assert.equal(service(node(300, { hot: C, generation: 60 }), recall, recalled), 'working', 'it may not')
  assert.equal(service(node(100, { hot: B, generation: 60 }), recall, recalled), 'working')
})

const all = { ...order, cutoff: ALL }
const atAll = { ...mark, peak: ALL }
const step = (placed: readonly Placed[], cap: number, target = all, waveAgeMs = 0) =>
  recallStep(placed, target, atAll, { cap, policy, waveAgeMs })

test('a wave takes cap minus who is out elsewhere; a silent or failed node inside it is free', () => {
  const serving = [100, 200, 300, 400, 500, 600].map((at) => node(at, {}))
  assert.deepEqual(step(serving, 3), { type: 'recall', cutoff: 400, taken: ['n600', 'n500', 'n400'] })
  const moving = node(150, { phase: 'draining' })
  assert.deepEqual(
    step([...serving, moving], 3),
    { type: 'recall', cutoff: 500, taken: ['n600', 'n500'] },
    'it is out through us',
  )
  const farSilent = node(50, {}, true)
  assert.deepEqual(
    step([...serving, farSilent], 3),
    { type: 'recall', cutoff: 500, taken: ['n600', 'n500'] },
    'out outside the wave',
  )
  const nearSilent = node(550, {}, true)
  assert.deepEqual(
    step([...serving, nearSilent], 3),
    { type: 'recall', cutoff: 400, taken: ['n600', 'n500', 'n400'] },
    'free inside it',
  )
  const manySilent = [50, 60, 70, 80].map((at) => node(at, {}, true))
  assert.deepEqual(
    step([...serving, ...manySilent], 3),
    { type: 'recall', cutoff: 600, taken: ['n600'] },
    'never less than one',
  )
})

test('the next wave waits until the last one is back, failed or silent, or until its time is over', () => {
  const recall: Target = { ...all, recall: true, cutoff: 400 }
  const back = { ...atAll, recalled: 61 }
  const limits = { cap: 2, policy, waveAgeMs: 59_000 }
  const staying = [100, 200, 300].map((at) => node(at, {}))
  const returning = node(500, { hot: C, phase: 'draining', generation: 61 })
  const waiting = recallStep([...staying, returning], recall, back, limits)
  assert.ok(waiting.type === 'wait')
  assert.deepEqual(waiting.because.nodes, ['n500'])
  assert.equal(recallStep([...staying, returning], recall, back, { ...limits, waveAgeMs: 60_000 }).type, 'recall')
  const home = node(500, { hot: B, cold: C, generation: 61 })
  assert.deepEqual(recallStep([...staying, home], recall, back, limits), {
    type: 'recall',
    cutoff: 200,
    taken: ['n300', 'n200'],
  })
})

test('A24: a closing record that someone overwrote is written again above it before the rollback ends', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.settle((build) => build !== C, 60)
  assert.equal(sim.rollout.phase, 'rolledBack')
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  sim.order = { ...sim.order, rollout: 'by hand', generation: 90, build: C }
  const { action } = sim.plan()
  assert.ok(action.type === 'order' && action.order.kind === 'close')
  assert.deepEqual([action.order.target.build, action.order.target.generation], [B, 91])
})
