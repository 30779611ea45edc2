// Owns the proof of stages: exact shares, soaks that begin anew, smoke tests, gates, approval, barriers and deadlines.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposedAt } from '#conductor/core/raise.ts'
import { isOver, reduce } from '#conductor/core/reduce.ts'
import { placeAll } from '#conductor/core/service.ts'
import type { Stage } from '#fleet/rollout.ts'
import { place } from '#fleet/target.ts'
import { fc } from '#test/support/properties.ts'
import { A, B, C, digestFor, RING, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'

type Stages = readonly Omit<Stage, 'ring'>[]

const through = (stages: Stages, more: Partial<ConstructorParameters<typeof Simulation>[0]> = {}) =>
  new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C, stages, ...more })

const exposed = (sim: Simulation): number =>
  sim.nodes.filter(({ name }) => place(sim.order.salt, name) < sim.order.cutoff).length
const codes = (sim: Simulation) => sim.plan().because.map(({ code }) => code)

/** Lives on until `done`, or fails. */
function live(sim: Simulation, what: string, done: () => boolean, healthy?: Parameters<Simulation['settle']>[0]): void {
  for (let turn = 0; turn < 500 && !done(); turn += 1) {
    sim.everybody(healthy)
    sim.conduct()
  }
  assert.ok(done(), `${what}: ${sim.rollout.phase} ${JSON.stringify(sim.plan())}`)
}

test('each share exposes exactly ceil(share × n) nodes, soaks, and only then gives way to the next', () => {
  const sim = through([10, 25, 50, 75, 100].map((share) => ({ share, soakSeconds: 60 })))
  const seen: (readonly [number, number, number])[] = []
  let began = 0
  live(sim, 'it ends', () => {
    if (sim.rollout.phase === 'soaking' && began === 0) began = sim.now
    const { stage } = sim.rollout
    if (began > 0 && (seen.at(-1)?.[0] ?? -1) < stage && sim.rollout.phase === 'soaking')
      seen.push([stage, exposed(sim), 0])
    return isOver(sim.rollout)
  })
  assert.equal(sim.rollout.phase, 'done')
  assert.deepEqual(
    seen.map(([stage, count]) => [stage, count]),
    [
      [0, 1],
      [1, 3],
      [2, 5],
      [3, 8],
      [4, 10],
    ],
  )
  assert.ok(sim.now - began >= 5 * 60_000, 'five soaks of a minute')
})

test('a node that falls silent ends the calm: the soak begins anew when everybody is back', () => {
  const sim = through([{ share: 100, soakSeconds: 60 }], { failureBudget: 0 })
  live(sim, 'it soaks', () => sim.rollout.phase === 'soaking')
  sim.now += 50_000
  const [node] = sim.nodes
  assert.ok(node)
  node.silent = true
  const lost = sim.conduct()
  assert.deepEqual([lost.action, lost.because[0]?.code], [{ type: 'note', note: 'convergenceLost' }, 'nodes-silent'])
  assert.equal(sim.rollout.phase, 'advancing')
  node.silent = false
  live(sim, 'it soaks again', () => sim.rollout.phase === 'soaking')
  const again = sim.now
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.ok(sim.now - again >= 60_000, 'the whole soak once more')
})

test('F10: who joins while a share soaks counts in both numbers; a share that is too small for it then is raised, and soaks anew', () => {
  const sim = through([{ share: 50, soakSeconds: 600 }, { share: 100 }])
  live(sim, 'it soaks', () => sim.rollout.phase === 'soaking')
  assert.equal(exposed(sim), 5)
  for (const name of ['late-1', 'late-2', 'late-3', 'late-4']) {
    sim.nodes.push(new SimNode(name, settledOn(null, null, -1), null, null))
  }
  live(
    sim,
    'it soaks with everybody',
    () => sim.rollout.phase === 'soaking' && sim.nodes.every(({ hot }) => hot !== null),
  )
  assert.ok(exposed(sim) >= 7, 'ceil(50 % of 14)')
  const placed = placeAll(sim.view().rings[RING]?.nodes ?? [], sim.order.salt)
  const soaked = sim.writes.filter(({ kind }) => kind === 'raise')
  assert.ok(
    soaked.every(({ order }) => placed.filter(({ at }) => at < order.cutoff).length <= exposed(sim)),
    'monotone',
  )
})

test('the smoke test runs once a soak, beside it; a pass lets the stage go on when the soak is over too', () => {
  const sim = through([{ share: 100, soakSeconds: 30, smoke: ['./smoke.sh'] }])
  sim.smoke = null
  live(sim, 'it soaks', () => sim.rollout.phase === 'soaking')
  assert.deepEqual(codes(sim), ['smoke-running', 'soaking'])
  sim.now += 60_000
  assert.deepEqual(codes(sim), ['smoke-running'], 'the soak is over, the test is not')
  assert.equal(sim.conduct().action.type, 'smoke')
  assert.equal(sim.rollout.phase, 'soaking')
  sim.smoke = { passed: true, message: 'exit 0' }
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.deepEqual([sim.rollout.phase, sim.smoked], ['done', 1])
})

test('a smoke test that fails takes the build back', () => {
  const sim = through([{ share: 10, smoke: ['./smoke.sh'] }, { share: 100 }])
  sim.smoke = { passed: false, message: 'exit 1: no login' }
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.deepEqual(
    [sim.rollout.phase, sim.rollout.cause, sim.rollout.outcome],
    ['rolledBack', 'smoke-failed', 'the smoke test of production failed: exit 1: no login'],
  )
  assert.ok(sim.nodes.filter(({ swaps }) => swaps > 0).length <= 1, 'one of ten met it')
})

test('a gate has until the end of the soak; without a verdict the stage waits and says so, a failure at any time turns back', () => {
  const stages = [{ share: 100, soakSeconds: 30, gates: ['errors', 'latency'] }]
  const verdict = (gate: string, said: 'pass' | 'fail' | 'inconclusive') => ({ gate, verdict: said, message: '3 %' })
  const sim = through(stages)
  live(sim, 'it soaks', () => sim.rollout.phase === 'soaking')
  sim.signals = { verdicts: [verdict('errors', 'inconclusive')] }
  assert.deepEqual(codes(sim), ['soaking'], 'it has time')
  sim.now += 30_000
  live(sim, 'it waits', () => sim.rollout.phase === 'waiting')
  assert.deepEqual(sim.plan().because, [
    { code: 'gate-inconclusive', message: 'errors: 3 %' },
    { code: 'gate-inconclusive', message: 'latency: it has given no verdict yet' },
  ])
  const passing = { verdicts: [verdict('errors', 'pass'), verdict('latency', 'pass')] }
  sim.signals = passing
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.equal(sim.rollout.phase, 'done')

  const bad = through(stages)
  live(bad, 'it soaks', () => bad.rollout.phase === 'soaking')
  bad.signals = { verdicts: [verdict('errors', 'fail')] }
  const { action } = bad.conduct()
  assert.ok(action.type === 'rollBack' && action.cause === 'gate-failed')
})

test('a ring with manual approval waits after its soak until somebody promotes it, and for that stage only', () => {
  const sim = through([
    { share: 50, soakSeconds: 10, approval: 'manual' },
    { share: 100, approval: 'manual' },
  ])
  live(sim, 'it waits', () => sim.rollout.phase === 'waiting')
  for (let turn = 0; turn < 50; turn += 1) {
    sim.everybody()
    assert.equal(sim.conduct().action.type, 'wait')
  }
  assert.deepEqual(codes(sim), ['approval'])
  assert.equal(exposed(sim), 5)
  sim.rollout = reduce(sim.rollout, { type: 'promoted', by: 'ben' })
  live(sim, 'it waits at the next stage', () => sim.rollout.stage === 1 && sim.rollout.phase === 'waiting')
  assert.deepEqual(codes(sim), ['approval'])
  sim.rollout = reduce(sim.rollout, { type: 'promoted', by: 'ben' })
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.equal(sim.rollout.phase, 'done')
})

test('with a barrier nobody swaps while a node has not staged, not even for one that is silent', () => {
  const silent = (barrier: boolean) => {
    const sim = through([{ share: 100, ...(barrier && { barrier }) }])
    const [node] = sim.nodes
    if (node) node.silent = true
    sim.settle(() => true, 100)
    return sim
  }
  assert.ok(silent(false).order.cutoff > 0, 'without one the silent are not waited for')
  const sim = silent(true)
  assert.equal(sim.order.cutoff, 0)
  assert.deepEqual(
    sim.plan().because.map(({ code, nodes }) => [code, nodes]),
    [['barrier', ['node-0']]],
  )
  for (const node of sim.nodes) node.silent = false
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.equal(sim.rollout.phase, 'done')
})

test('F8: a stage that does not come forward is put on hold with the names, and goes on when the hold is lifted', () => {
  const sim = through([{ share: 100, progressSeconds: 300 }])
  const [slow] = sim.nodes
  assert.ok(slow)
  slow.stalled = true
  live(sim, 'it is held', () => sim.rollout.hold !== null)
  assert.equal(sim.rollout.hold?.code, 'progress-deadline')
  assert.equal(
    sim.rollout.hold?.reason,
    'production has not come nearer to 100 % for 5 min 0 s: waiting for nodes to stage the build (node-0)',
  )
  assert.equal(sim.order.build, C, 'nothing is taken back')
  slow.stalled = false
  sim.rollout = reduce(sim.rollout, { type: 'unheld' })
  assert.equal(sim.plan().action.type, 'wait', 'it is not held again at once')
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.equal(sim.rollout.phase, 'done')
})

test('a soak, an approval and a gate may take longer than the progress deadline', () => {
  const sim = through([{ share: 100, soakSeconds: 300, progressSeconds: 60, approval: 'manual' }])
  live(sim, 'it waits', () => sim.rollout.phase === 'waiting')
  sim.now += 3_600_000
  assert.equal(sim.plan().action.type, 'wait')
  assert.equal(sim.rollout.hold, null)
})

test('one node that answers with another build takes the build back, however large the budget', () => {
  const sim = through([{ share: 100 }], { failureBudget: 100 })
  live(sim, 'somebody runs it', () => sim.nodes.some(({ hot }) => hot === C))
  const node = sim.nodes.find(({ hot }) => hot === C)
  assert.ok(node)
  node.refusal = { build: C, code: 'IDENTITY_MISMATCH', message: 'b-build answered' }
  node.said = node.status()
  const { action } = sim.conduct()
  assert.ok(action.type === 'rollBack' && action.cause === 'identity-mismatch')
  assert.match(action.outcome, /^node-\d of production answers with another build than c-build: b-build answered$/)
})

test('limits of a ring stand above those of the plan, and --now above both', () => {
  const sim = through([{ share: 100 }], { rings: { [RING]: { maxUnavailable: 10, failureBudget: 50 } } })
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.ok(sim.writes.every(({ taken }) => taken <= 1))
  const now = through([{ share: 100 }], {
    allAtOnce: true,
    maxUnavailable: 100,
    rings: { [RING]: { maxUnavailable: 10 } },
  })
  live(now, 'it ends', () => isOver(now.rollout))
  assert.ok(now.writes.some(({ taken }) => taken === 10))
})

test('ceil(share × n) is exact for every share with three digits behind the point', () => {
  const thousandths = fc.integer({ min: 1, max: 100_000 })
  fc.assert(
    fc.property(thousandths, fc.integer({ min: 1, max: 100_000 }), (share, nodes) => {
      const exact = (BigInt(share) * BigInt(nodes) + 99_999n) / 100_000n
      assert.equal(exposedAt(Number((share / 1_000).toFixed(3)), nodes), Number(exact))
    }),
  )
})

const steps = fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 4 })
const troubles = fc.array(
  fc.record({ turn: fc.nat(200), what: fc.constantFrom('join', 'leave', 'silence', 'return'), node: fc.nat(20) }),
  { maxLength: 12 },
)

test('whoever joins, leaves or falls silent: exposure never falls on the way forward, and never rises above ceil(share × n)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), steps, troubles, (nodes, shares, happenings) => {
      const plan = [...new Set([...shares, 100])].sort((a, b) => a - b)
      const sim = through(
        plan.map((share) => ({ share, soakSeconds: 3 })),
        { nodes, failureBudget: 100 },
      )
      for (let turn = 0; turn < 300 && !isOver(sim.rollout); turn += 1) {
        for (const { what, node } of happenings.filter((one) => one.turn === turn)) {
          const one = sim.nodes[node % sim.nodes.length]
          if (what === 'join')
            sim.nodes.push(new SimNode(`late-${turn}-${node}`, settledOn(null, null, -1), null, null))
          else if (what === 'leave' && sim.nodes.length > 1) sim.nodes.splice(node % sim.nodes.length, 1)
          else if (one !== undefined) one.silent = what === 'silence'
        }
        sim.everybody()
        const before = sim.order.cutoff
        const share = sim.rollout.stages[sim.rollout.stage]?.share ?? 0
        sim.conduct()
        assert.ok(sim.order.salt !== 'r-now' || before === 2 ** 32 || sim.order.cutoff >= before, 'monotone')
        if (sim.order.cutoff === before || sim.order.salt !== 'r-now') continue
        assert.ok(
          exposed(sim) <= exposedAt(share, sim.nodes.length),
          `${exposed(sim)} at ${share} % of ${sim.nodes.length}`,
        )
      }
    }),
    { numRuns: 300 },
  )
})

test('a restart is one order to the whole ring: its shares are passed, and only the last one soaks', () => {
  const stages = [
    { share: 50, soakSeconds: 600 },
    { share: 100, soakSeconds: 30 },
  ]
  const sim = through(stages, { before: settledOn(C, B), hot: C, cold: B })
  sim.rollout = { ...sim.rollout, activation: 'r-now', fallbacks: { [RING]: { build: B, manifest: digestFor(B) } } }
  const began = sim.now
  live(sim, 'it ends', () => isOver(sim.rollout))
  assert.deepEqual([sim.rollout.phase, sim.writes.map(({ kind }) => kind)], ['done', ['raise']])
  const lastedMs = sim.now - began
  assert.ok(lastedMs >= 30_000 && lastedMs < 600_000, `${lastedMs} ms`)
})
