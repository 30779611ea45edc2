// Owns the proof of the cap: in any order of late words, failures, silences and joiners, the conductor never takes too many out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOver, reduce } from '#conductor/core/reduce.ts'
import { capOf, shareOf } from '#conductor/core/standing.ts'
import { outOfSequence, overCap } from '#conductor/sim/truth.ts'
import type { Stage } from '#fleet/rollout.ts'
import { fc } from '#test/support/properties.ts'
import { A, B, C, SimNode, Simulation, settledOn, type Written } from '#test/support/rollout-sim.ts'

type Happening =
  | { readonly type: 'hear' | 'work' | 'say' | 'silence' | 'return'; readonly node: number }
  | { readonly type: 'conduct' | 'join' | 'rollback' }

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ type: fc.constantFrom('hear', 'work', 'say' as const), node: fc.nat(11) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('silence', 'return' as const), node: fc.nat(11) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('conduct' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('join', 'rollback' as const) }) },
)

const world = fc.record({
  nodes: fc.integer({ min: 1, max: 9 }),
  maxUnavailable: fc.constantFrom(10, 33, 50, 100),
  failureBudget: fc.constantFrom(0, 10, 40),
  stages: fc.constantFrom(
    [{ share: 100 }],
    [
      { share: 30, soakSeconds: 1 },
      { share: 60, smoke: ['./smoke.sh'] },
      { share: 100, soakSeconds: 2, barrier: true },
    ],
  ),
  /** Nodes on which the new build fails its verification. */
  broken: fc.array(fc.nat(11), { maxLength: 3 }),
  happenings: fc.array(happening, { minLength: 40, maxLength: 400 }),
})

function happen(sim: Simulation, what: Happening, healthy: (node: SimNode) => boolean): void {
  sim.now += 100
  if (what.type === 'conduct') return void sim.conduct()
  if (what.type === 'join') {
    const joiner = new SimNode(`node-${sim.nodes.length}`, settledOn(null, null, -1), null, null)
    if (sim.nodes.length < 12) sim.nodes.push(joiner)
    return
  }
  if (what.type === 'rollback') {
    if (isOver(sim.rollout) || sim.rollout.phase === 'recalling') return
    sim.rollout = reduce(sim.rollout, { type: 'recallBegun', cause: 'operator', outcome: 'asked' })
    return
  }
  const node = 'node' in what ? sim.nodes[what.node % sim.nodes.length] : undefined
  if (node === undefined) return
  if (what.type === 'hear') sim.deliver(node)
  else if (what.type === 'work') node.work((build) => build !== C || healthy(node))
  else if (what.type === 'silence') node.silent = true
  else if (what.type === 'return') node.silent = false
  else if (!node.silent) node.said = node.status()
}

/** By the definitions that the simulation is held to. */
function check({ kind, order, before, ...toll }: Written, { policy }: Simulation): void {
  assert.equal(overCap(kind, toll, policy), null)
  assert.equal(outOfSequence(kind, order, before), null)
}

function run(
  options: {
    nodes: number
    happenings: readonly Happening[]
    broken: readonly number[]
    stages: readonly Omit<Stage, 'ring'>[]
  } & Record<'maxUnavailable' | 'failureBudget', number>,
) {
  const { nodes, maxUnavailable, failureBudget, stages } = options
  const sim = new Simulation({
    nodes,
    before: settledOn(B, A),
    hot: B,
    cold: A,
    build: C,
    maxUnavailable,
    failureBudget,
    stages,
  })
  const healthy = (node: SimNode) => !options.broken.some((index) => node.name === `node-${index}`)
  for (const what of options.happenings) happen(sim, what, healthy)
  return { sim, healthy }
}

test('A21 F12: never more out than the cap through us, whatever the nodes do and however late they say so', () => {
  fc.assert(
    fc.property(world, (options) => {
      const { sim } = run(options)
      for (const written of sim.writes) check(written, sim)
    }),
    { numRuns: 1_000 },
  )
})

test('every history ends once the nodes answer again: on the new build, or all back on the old one', () => {
  fc.assert(
    fc.property(world, (options) => {
      const { sim, healthy } = run(options)
      // Failures that the budget forgives but that fill the cap stop a rollout until a person decides: that is no end.
      const roster = sim.nodes.length
      fc.pre(shareOf(sim.policy.failureBudget, roster) < capOf(sim.policy, roster))
      for (const node of sim.nodes) node.silent = false
      const works = (build: string, node: SimNode) => build !== C || healthy(node)
      sim.settle(works)
      // Nodes that joined at the end follow the last order by themselves.
      for (let turn = 0; turn < 20; turn += 1) sim.everybody(works)
      assert.ok(isOver(sim.rollout), `still ${sim.rollout.phase}: ${JSON.stringify(sim.plan().because)}`)
      const on = sim.nodes.filter(({ hot }) => hot === C).length
      if (sim.rollout.phase === 'rolledBack') assert.equal(on, 0)
      else assert.ok(on >= sim.nodes.length - shareOf(sim.policy.failureBudget, sim.nodes.length))
    }),
    { numRuns: 400 },
  )
})

test('raising the share only ever adds nodes, and never one more than ceil(share × n)', async () => {
  const { cutoffOfShare } = await import('#conductor/core/raise.ts')
  const { placeAll } = await import('#conductor/core/service.ts')
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(100), fc.nat(100), fc.string(), (n, p, q, salt) => {
      const sim = new Simulation({ nodes: n, before: settledOn(B, A), hot: B, cold: A, build: C })
      const placed = placeAll(sim.view().rings.production?.nodes ?? [], salt)
      const under = (share: number) => placed.filter(({ at }) => at < cutoffOfShare(placed, share)).length
      assert.equal(under(p), Math.ceil((p * n) / 100))
      assert.ok(p <= q ? under(p) <= under(q) : under(p) >= under(q))
    }),
  )
})
