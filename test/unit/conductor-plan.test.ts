// Owns the proof of the conductor's decisions: the worked example of the protocol, turning back, orphan writes, and why it waits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALWAYS_OPEN, NO_SIGNALS, plan } from '#conductor/core/plan.ts'
import { reduce } from '#conductor/core/reduce.ts'
import { placeAll } from '#conductor/core/service.ts'
import { ALL } from '#fleet/target.ts'
import { A, B, C, RING, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const ten = () => new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })

/** How many nodes a record leaves below its cutoff. */
function below(sim: Simulation): readonly string[] {
  return sim.writes.map(({ kind, order }) => {
    const placed = placeAll(sim.view().rings[RING]?.nodes ?? [], order.salt)
    return `${kind} ${order.build} ${placed.filter(({ at }) => at < order.cutoff).length}`
  })
}

test('a release pre-stages everywhere, raises within the cap, and ends at all', () => {
  const sim = ten()
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.deepEqual(below(sim).slice(0, 2), ['stage c-build 0', 'raise c-build 3'])
  assert.equal(sim.order.cutoff, ALL)
  assert.equal(sim.order.fallback, B)
  assert.ok(sim.nodes.every(({ hot, cold }) => hot === C && cold === B))
})

test('nobody runs the build before everybody has it in cold', () => {
  const sim = ten()
  sim.conduct()
  const slow = sim.nodes[4]
  for (let i = 0; i < 10; i += 1) {
    for (const node of sim.nodes) {
      sim.deliver(node)
      if (node !== slow) node.work(() => true)
      node.said = node.status()
    }
  }
  const { action, because } = sim.plan()
  assert.equal(action.type, 'wait')
  assert.deepEqual(because, [
    { code: 'nodes-staging', message: 'waiting for nodes to stage the build', nodes: ['node-4'] },
  ])
})

test('a failing node beyond the budget turns the rollout back, and when the exposed fit the cap that is one write', () => {
  const sim = ten()
  const victim = placeAll(sim.view().rings[RING]?.nodes ?? [], 'r-now')[1]?.status.node
  sim.settle((build, node) => build !== C || node.name !== victim)
  // One of ten is within 10 %: the rollout may go on. With a budget of zero it turns back.
  assert.equal(sim.rollout.phase, 'done')
  const strict = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C, failureBudget: 0 })
  strict.settle((build, node) => build !== C || node.name !== victim)
  assert.equal(strict.rollout.phase, 'rolledBack')
  assert.equal(strict.rollout.cause, 'failures-over-budget')
  assert.deepEqual(below(strict), ['stage c-build 0', 'raise c-build 3', 'close b-build 10'])
  assert.deepEqual([strict.order.build, strict.order.fallback, strict.order.cutoff], [B, A, ALL])
  assert.ok(strict.nodes.every(({ hot }) => hot === B))
})

test('from ten nodes on the new build, a rollback leaves 7, 4 and 1 of them, and then closes', () => {
  const sim = ten()
  sim.settle()
  const generation = sim.order.generation
  sim.writes.length = 0
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  sim.settle()
  assert.deepEqual(below(sim), ['recall c-build 7', 'recall c-build 4', 'recall c-build 1', 'close b-build 10'])
  assert.equal(sim.rollout.phase, 'rolledBack')
  assert.equal(sim.order.generation, generation + 4)
  assert.ok(sim.nodes.every(({ hot }) => hot === B))
})

test('rollback --now takes all at once', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C, allAtOnce: true })
  sim.settle()
  sim.writes.length = 0
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  sim.conduct()
  assert.deepEqual(below(sim), ['close b-build 10'])
})

test('F12: a third of the ring silent is never a success: nothing more is taken out, and the silent are named', () => {
  const sim = ten()
  for (const node of sim.nodes.slice(0, 3)) node.silent = true
  sim.settle(() => true, 300)
  assert.equal(sim.order.cutoff, 0, 'three of ten are out already: the cap leaves room for nobody')
  const [why] = sim.plan().because
  assert.equal(why?.code, 'cap-reached')
  assert.deepEqual([...(why?.nodes ?? [])].sort(), ['node-0', 'node-1', 'node-2'])
})

test('F12: with two of ten silent the others move one at a time, and the end waits for the silent', () => {
  const sim = ten()
  const silent = sim.nodes.slice(0, 2)
  for (const node of silent) node.silent = true
  sim.settle(() => true, 300)
  assert.equal(sim.rollout.phase, 'advancing')
  assert.ok(sim.nodes.every((node) => node.silent || node.hot === C))
  const [why] = sim.plan().because
  assert.equal(why?.code, 'nodes-silent')
  assert.deepEqual([...(why?.nodes ?? [])].sort(), ['node-0', 'node-1'])
  for (const node of silent) node.silent = false
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
})

test('F13: a ring without nodes is never passed', () => {
  const sim = new Simulation({ nodes: 0, before: settledOn(B, A), hot: B, cold: A, build: C })
  const { action, because } = sim.plan()
  assert.equal(action.type, 'wait')
  assert.equal(because[0]?.code, 'ring-empty')
})

test('A24: an order of someone else puts the rollout on hold, and nothing overwrites it but a rollback', () => {
  const sim = ten()
  sim.conduct()
  sim.order = { ...sim.order, rollout: 'by hand', generation: 90, build: A, by: 'script' }
  const { action } = sim.conduct()
  assert.ok(action.type === 'hold' && action.hold.code === 'orphan-write')
  assert.equal(sim.plan().action.type, 'wait', 'on hold nothing is written')
  sim.rollout = reduce(sim.rollout, { type: 'recallBegun', cause: 'operator', outcome: 'asked' })
  const next = sim.plan().action
  assert.ok(next.type === 'order' && next.order.kind === 'close')
  assert.equal(next.order.target.generation, 91, 'above everything that the key and the nodes know')
  assert.equal(next.order.target.build, B)
})

test('a hold, closed hours and a gate without data stop advancing; none of them stops a rollback', () => {
  const sim = ten()
  const hold = { by: 'ana', code: 'operator', reason: 'lunch', at: '' }
  const closed = { open: false, because: { code: 'closed', message: 'it is Sunday' } }
  const unsure = { verdicts: [{ gate: 'errors', verdict: 'inconclusive' as const, message: 'no samples' }] }
  const codes = (held: boolean, signals = NO_SIGNALS, opening: typeof ALWAYS_OPEN = ALWAYS_OPEN) =>
    plan(held ? reduce(sim.rollout, { type: 'held', hold }) : sim.rollout, sim.view(), signals, opening, 0)
  assert.deepEqual(
    codes(true).because.map(({ code }) => code),
    ['hold'],
  )
  assert.deepEqual(
    codes(false, NO_SIGNALS, closed).because.map(({ code }) => code),
    ['closed'],
  )
  assert.deepEqual(
    codes(false, unsure).because.map(({ code }) => code),
    ['gate-inconclusive'],
  )
  assert.equal(codes(false).action.type, 'order')
  sim.conduct()
  const back = reduce(reduce(sim.rollout, { type: 'held', hold }), {
    type: 'recallBegun',
    cause: 'operator',
    outcome: '',
  })
  assert.equal(plan(back, sim.view(), unsure, closed, 0).action.type, 'order')
})

test('a failing gate turns the rollout back', () => {
  const sim = ten()
  const failing = { verdicts: [{ gate: 'errors', verdict: 'fail' as const, message: '3 % of requests' }] }
  const { action } = plan(sim.rollout, sim.view(), failing, ALWAYS_OPEN, 0)
  assert.ok(action.type === 'rollBack' && action.cause === 'gate-failed')
})

test('a node that accepted a higher generation is written above', () => {
  const sim = ten()
  sim.conduct()
  const [first] = sim.nodes
  if (first) first.said = { ...first.said, generation: 70 }
  const { action, because } = sim.plan()
  assert.ok(action.type === 'order' && action.order.kind === 'rewrite')
  assert.equal(action.order.target.generation, 71)
  assert.equal(because[0]?.code, 'node-ahead')
})

test('a first deploy raises to all at once, because nodes without hot serve nobody', () => {
  const sim = new Simulation({ nodes: 5, before: settledOn(null, null, 0), hot: null, cold: null, build: B })
  sim.settle()
  assert.deepEqual(below(sim), ['stage b-build 0', 'raise b-build 5'])
  assert.equal(sim.rollout.phase, 'done')
})

test('a first deploy that fails has nothing to go back to: it is aborted and says so', () => {
  const sim = new Simulation({ nodes: 5, before: settledOn(null, null, 0), hot: null, cold: null, build: B })
  sim.settle((build) => build !== B)
  assert.equal(sim.rollout.phase, 'aborted')
  assert.match(sim.rollout.outcome ?? '', /failed b-build/)
})
