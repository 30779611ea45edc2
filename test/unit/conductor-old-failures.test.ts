// Owns the proof that failures of an earlier build neither stop nor condemn the next one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { A, B, C, type SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'

function refuses(node: SimNode | undefined, build: typeof B): void {
  if (node === undefined) return
  node.refusal = { build, code: 'VERIFY_FAILED', message: 'not healthy' }
  node.said = node.status()
}

test('a node that refused the build before keeps what it ran, and does not stop the next release from reaching everybody', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  const victim = sim.nodes[4]
  if (victim) Object.assign(victim, { hot: A, cold: B })
  refuses(victim, B)
  sim.settle()
  assert.equal(sim.rollout.phase, 'done', JSON.stringify(sim.plan().because))
  assert.ok(sim.nodes.every(({ hot }) => hot === C))
})

test('after a first deploy that no node could run, the next build is brought to all of them', () => {
  const sim = new Simulation({ nodes: 4, before: settledOn(B, null), hot: null, cold: B, build: C })
  for (const node of sim.nodes) {
    node.phase = 'parked'
    refuses(node, B)
  }
  // The conductor looks again before any node has heard: what it sees is still about the build before.
  sim.conduct()
  sim.conduct()
  assert.notEqual(sim.rollout.phase, 'recalling', 'parked by the build before is no verdict on this one')
  sim.settle()
  assert.equal(sim.rollout.phase, 'done', JSON.stringify(sim.plan().because))
  assert.ok(sim.nodes.every(({ hot }) => hot === C))
})

test('one more attempt is not condemned by refusals of the attempt before', () => {
  const sim = new Simulation({ nodes: 4, before: settledOn(C, null), hot: null, cold: C, build: C })
  sim.rollout = { ...sim.rollout, attempt: 2, fallbacks: { production: null } }
  for (const node of sim.nodes) refuses(node, C)
  sim.conduct()
  sim.conduct()
  assert.equal(sim.rollout.phase, 'advancing')
  assert.equal(sim.order.attempt, 2)
  for (const node of sim.nodes) node.refusal = null
  sim.settle()
  assert.equal(sim.rollout.phase, 'done', JSON.stringify(sim.plan().because))
})
