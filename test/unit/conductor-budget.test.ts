// Owns the proof of a share's own verdict: the failure budget is of the whole ring, and a share that proves nothing goes no further.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOver } from '#conductor/core/reduce.ts'
import type { Stage } from '#fleet/rollout.ts'
import { A, B, C, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const thirty = (shares: readonly number[], maxUnavailable = 33): Simulation => {
  const stages: readonly Omit<Stage, 'ring'>[] = shares.map((share) => ({ share }))
  return new Simulation({
    nodes: 30,
    before: settledOn(B, A),
    hot: B,
    cold: A,
    build: C,
    stages,
    failureBudget: 10,
    maxUnavailable,
  })
}

function live(sim: Simulation, healthy: Parameters<Simulation['settle']>[0]): void {
  sim.settle(healthy, 500)
  assert.ok(isOver(sim.rollout), `it ends: ${sim.rollout.phase} ${JSON.stringify(sim.plan())}`)
}

test('a share of which every node failed takes the build back, though the budget of the whole ring would bear it', () => {
  const sim = thirty([10, 25, 100])
  const met = new Set<string>()
  live(sim, (build, { name }) => {
    if (build === C) met.add(name)
    return build !== C
  })
  assert.equal(sim.rollout.phase, 'rolledBack')
  assert.equal(met.size, 3, 'nobody of the next share met it')
  assert.match(sim.rollout.outcome ?? '', /^all 3 of the nodes of production that were to run it failed c-build/)
})

test('a share of which one node proves the build goes on, as long as the budget bears the others', () => {
  const sim = thirty([10, 100])
  const failing = new Set<string>()
  live(sim, (build, { name }) => {
    // The first two that meet it, both of the first share.
    if (build === C && failing.size < 2) failing.add(name)
    return build !== C || !failing.has(name)
  })
  assert.equal(failing.size, 2)
  assert.equal(sim.rollout.phase, 'done')
})

test('a gate that has nothing to judge, since every node of the share failed, does not keep the build from being taken back', () => {
  const sim = thirty([10, 100])
  live(sim, (build) => {
    const message = 'no node runs c-build: there is nothing to judge'
    if (build === C) sim.signals = { verdicts: [{ gate: 'errors', verdict: 'inconclusive', message }] }
    return build !== C
  })
  assert.equal(sim.rollout.phase, 'rolledBack')
})

test('where a gate lets no more up, because all that came up failed, the build is taken back too', () => {
  const sim = thirty([25, 100], 4)
  live(sim, (build) => {
    const message = 'no node runs c-build: there is nothing to judge'
    if (build === C) sim.signals = { verdicts: [{ gate: 'errors', verdict: 'inconclusive', message }] }
    return build !== C
  })
  assert.equal(sim.rollout.phase, 'rolledBack')
})
