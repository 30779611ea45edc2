// Owns the proof that a conductor goes on after Consul has forgotten what nodes obey, and after somebody wrote over a closing record.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stillAhead } from '#conductor/core/ownership.ts'
import { ALWAYS_OPEN, plan } from '#conductor/core/plan.ts'
import { reduce } from '#conductor/core/reduce.ts'
import { ALL, place } from '#fleet/target.ts'
import { A, B, C, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const ten = () => new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })

/** Ten nodes, three of them on C: order and rollout as they were at pre-staging are put back, and every node has said where it stands. */
function restored() {
  const sim = ten()
  for (let turn = 0; turn < 40 && sim.writes.at(-1)?.kind !== 'raise'; turn += 1) {
    sim.everybody()
    sim.conduct()
  }
  const exposed = sim.order
  for (let turn = 0; turn < 10; turn += 1) sim.everybody()
  sim.order = { ...exposed, generation: exposed.generation - 1, cutoff: 0 }
  const mark = sim.rollout.marks?.production
  assert.ok(mark)
  const generations = { production: sim.order.generation }
  sim.rollout = { ...sim.rollout, phase: 'staging', generations, marks: { production: { ...mark, peak: 0 } } }
  return { sim, exposed }
}

test('A4: after a restore the order is written above the nodes, and keeps on the build whoever was brought there', () => {
  const { sim, exposed } = restored()
  const { action, because } = sim.plan()
  assert.ok(action.type === 'order' && action.order.kind === 'rewrite')
  assert.equal(because[0]?.code, 'node-ahead')
  assert.equal(action.order.target.generation, exposed.generation + 1)
  assert.equal(action.order.target.cutoff, exposed.cutoff)
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
})

test('A4: statuses are restored too: all are heard before the order is written again on the word of the first', () => {
  const { sim, exposed } = restored()
  const rings = sim.view().rings
  const seenAt = sim.now
  const signals = { verdicts: [], aheadSince: stillAhead({}, rings, seenAt) }
  assert.deepEqual(signals.aheadSince, { production: seenAt })
  assert.deepEqual(
    stillAhead(signals.aheadSince, rings, seenAt + 900),
    { production: seenAt },
    'from the first look on',
  )
  const at = (ms: number) => plan(sim.rollout, sim.view(), signals, ALWAYS_OPEN, seenAt + ms)
  const early = at(4_999)
  assert.deepEqual([early.action.type, early.because[0]?.code], ['wait', 'node-ahead'])
  const { action } = at(5_000)
  assert.ok(action.type === 'order' && action.order.target.cutoff === exposed.cutoff)
  sim.settle()
  assert.deepEqual(stillAhead(signals.aheadSince, sim.view().rings, seenAt + 60_000), {}, 'and it is over with it')
})

test('A4: a generation that is given out twice is seen by what nodes say of the key, and written above', () => {
  const { sim, exposed } = restored()
  sim.order = { ...sim.order, generation: exposed.generation, cutoff: 1 }
  sim.rollout = { ...sim.rollout, generations: { production: exposed.generation } }
  assert.notEqual(sim.plan().because[0]?.code, 'node-ahead', 'an equal generation alone tells nothing')
  const trouble = { code: 'TARGET_REGRESSED', message: 'another record of this generation was accepted before' }
  const [first] = sim.nodes
  assert.ok(first)
  first.said = { ...first.said, troubles: [trouble] }
  const { action, because } = sim.plan()
  assert.equal(because[0]?.code, 'node-ahead')
  assert.ok(action.type === 'order' && action.order.target.generation === exposed.generation + 1)
})

test('A4: a ring of which the rollout record has forgotten everything is staged without taking anybody back', () => {
  const { sim, exposed } = restored()
  sim.order = settledOn(B, A)
  sim.rollout = { ...sim.rollout, generations: {}, marks: {} }
  const { action } = sim.conduct()
  assert.ok(action.type === 'order' && action.order.kind === 'stage')
  assert.equal(action.order.target.cutoff, exposed.cutoff)
  assert.equal(sim.rollout.marks?.production?.peak, exposed.cutoff)
  assert.deepEqual(
    sim.nodes.filter((node) => node.wanted(sim.order).hot !== node.hot),
    [],
  )
})

test('what a node said before the ring was begun anew does not make it ready: it would be taken as if it were out', () => {
  const sim = ten()
  for (let turn = 0; turn < 10; turn += 1) {
    sim.everybody()
    if (turn === 0) sim.conduct()
  }
  const mark = sim.rollout.marks?.production
  assert.ok(mark)
  sim.order = { ...sim.order, generation: sim.order.generation + 1 }
  const generations = { production: sim.order.generation }
  sim.rollout = { ...sim.rollout, generations, marks: { production: { ...mark, began: sim.order.generation } } }
  const { action, because } = sim.plan()
  assert.equal(action.type, 'wait')
  assert.equal(because[0]?.code, 'nodes-staging')
  assert.equal(because[0]?.nodes?.length, 10)
  sim.everybody()
  assert.equal(sim.plan().action.type, 'order')
})

test('a retry waits for news of the nodes that failed before: their old words take nobody out for nothing', () => {
  const sim = ten()
  sim.rollout = { ...sim.rollout, attempt: 2 }
  sim.conduct()
  for (const node of sim.nodes) {
    node.said = {
      ...node.said,
      refusal: { build: C, code: 'VERIFY_FAILED', message: 'of the attempt before' },
    }
  }
  assert.deepEqual([sim.plan().action.type, sim.plan().because[0]?.code], ['wait', 'nodes-staging'])
  for (let turn = 0; turn < 10; turn += 1) sim.everybody()
  const { action } = sim.plan()
  assert.ok(action.type === 'order')
  assert.equal(action.order.taken.length, 3)
})

test('where nothing is asked of nodes they serve what they have: a release over nothing known keeps the cap', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(null, null, 57), hot: B, cold: null, build: C })
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.deepEqual(sim.order.fallback, null)
  assert.ok(sim.nodes.every(({ hot }) => hot === C))
  const raises = sim.writes.filter(({ kind }) => kind === 'raise')
  assert.ok(raises.length >= 4 && raises.every(({ taken, out }) => taken + out <= 3), JSON.stringify(raises.length))
})

test('A24: when waves begin anew over what was written in place of the closing record, the ring is closed once more', () => {
  const sim = ten()
  sim.settle()
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  for (let turn = 0; turn < 400 && sim.writes.at(-1)?.kind !== 'close'; turn += 1) {
    sim.everybody()
    sim.conduct()
  }
  // Break-glass: every node back on C, by a record of nobody's.
  for (const node of sim.nodes) {
    node.hot = C
    node.cold = B
    node.said = node.status()
  }
  sim.order = { ...sim.order, rollout: 'by hand', generation: sim.order.generation + 1, build: C, fallback: B }
  sim.conduct()
  assert.equal(sim.writes.at(-1)?.kind, 'recall')
  assert.equal(sim.rollout.marks?.production?.closed, null)
  sim.settle()
  assert.equal(sim.rollout.phase, 'rolledBack')
  assert.equal(sim.writes.at(-1)?.kind, 'close')
  assert.ok(sim.nodes.every(({ hot }) => hot === B))
})

test('a rewrite that finds nodes further on is remembered as the highest cutoff', () => {
  const { sim, exposed } = restored()
  const next = sim.plan().action
  assert.ok(next.type === 'order')
  const after = reduce(sim.rollout, { type: 'ordered', order: next.order, prior: null })
  assert.equal(after.marks?.production?.peak, exposed.cutoff)
  const below = sim.nodes.filter(({ name }) => place(exposed.salt, name) < exposed.cutoff)
  assert.ok(below.length === 3 && exposed.cutoff < ALL)
})
