// Owns the proof of the conductor's figures: sums that hold at every scrape, skew and exposure, and the history told in numbers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Picture, pictureOf } from '#conductor/core/picture.ts'
import { createConductorMetrics } from '#conductor/metrics.ts'
import { PHASES } from '#fleet/node-status.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { ALL } from '#fleet/target.ts'
import { fc } from '#test/support/properties.ts'
import { A, APP, B, C, RING, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { samplesIn, sumsIn, valueIn } from '#test/support/scrape.ts'

const NOW = Date.parse('2026-11-22T16:40:00Z')

function pictured(sim: Simulation): Picture {
  const fleet = sim.view()
  const rings = Object.values(fleet.rings)
  return pictureOf({ app: APP, rings, fleet, rollout: sim.rollout, lease: null, builds: [], now: NOW })
}

function releasing(nodes: number): Simulation {
  return new Simulation({ nodes, before: settledOn(B, A), hot: B, cold: A, build: C, maxUnavailable: 50 })
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom('join', 'leave', 'silent', 'back', 'phase', 'work', 'conduct'),
    who: fc.nat(20),
    phase: fc.constantFrom(...PHASES),
    scrapes: fc.nat(2),
  }),
  { maxLength: 40 },
)

function change(sim: Simulation, { what, who, phase }: { what: string; who: number; phase: (typeof PHASES)[number] }) {
  const node = sim.nodes[who % Math.max(1, sim.nodes.length)]
  if (what === 'join') sim.nodes.push(new SimNode(`late-${sim.nodes.length}-${who}`, sim.order, null, null))
  else if (what === 'work') sim.everybody((_, { name }) => !name.endsWith('3'))
  else if (what === 'conduct' && sim.rollout.endedAt === null) sim.conduct()
  else if (node === undefined) return
  else if (what === 'leave') sim.nodes.splice(sim.nodes.indexOf(node), 1)
  else if (what === 'phase') node.said = { ...node.said, phase }
  else node.silent = what === 'silent'
}

test('states and phases sum to the roster at every scrape, while nodes join, leave and fall silent between and during scrapes', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (changes) => {
      const sim = releasing(4)
      const metrics = createConductorMetrics(0)
      const texts: Promise<string>[] = []
      for (const one of changes) {
        change(sim, one)
        metrics.view(pictured(sim), NOW)
        for (let i = 0; i < one.scrapes; i += 1) texts.push(metrics.render())
        // Views come while scrapes are on their way.
        await Promise.resolve()
      }
      texts.push(metrics.render())
      for (const text of await Promise.all(texts)) {
        for (const { roster, states, phases, complete } of sumsIn(samplesIn(text))) {
          assert.deepEqual({ states, phases, complete }, { states: roster, phases: roster, complete: true })
        }
      }
      const [last] = sumsIn(samplesIn(await metrics.render()))
      if (changes.length > 0) assert.equal(last?.roster, sim.nodes.length, 'the newest view is shown')
    }),
  )
})

async function figures(sim: Simulation) {
  const metrics = createConductorMetrics(0)
  metrics.view(pictured(sim), NOW)
  const samples = samplesIn(await metrics.render())
  return (name: string, labels: Readonly<Record<string, string>> = {}) =>
    valueIn(samples, name, { app: APP, ...labels })
}

test('in mid-rollout: exposed is who runs the build, skewed is who is ordered to and does not yet', async () => {
  const sim = releasing(4)
  const isUp = () => sim.order.cutoff > 0 && sim.order.cutoff < ALL
  for (let turn = 0; turn < 50 && !isUp(); turn += 1) {
    sim.everybody()
    sim.conduct()
  }
  assert.ok(isUp(), 'a part of the ring is ordered')
  const before = await figures(sim)
  assert.equal(before('conductor_exposed_nodes'), 0)
  assert.equal(before('conductor_skewed_nodes'), 2, 'two were ordered just now')
  assert.equal(before('conductor_nodes', { state: 'staged' }), 4)
  assert.equal(before('conductor_ordered_ratio'), sim.order.cutoff / ALL)
  for (let turn = 0; turn < 6; turn += 1) sim.everybody()
  const after = await figures(sim)
  assert.equal(after('conductor_exposed_nodes'), 2)
  assert.equal(after('conductor_exposed_ratio'), 0.5)
  assert.equal(after('conductor_converged_ratio'), 0.5)
  assert.equal(after('conductor_skewed_nodes'), 0, 'the others are to run what they run')
  assert.equal(after('conductor_target_info', { build: C, fallback: B }), 1)
  assert.equal(after('conductor_rollout_open'), 1)
  assert.equal(after('conductor_rollout_phase', { phase: 'advancing' }), 1)
  sim.settle()
  const over = await figures(sim)
  assert.equal(over('conductor_rollout_open'), 0)
  assert.equal(over('conductor_rollout_phase', { phase: 'done' }), 1)
  assert.equal(over('conductor_rollout_waits'), undefined)
  assert.equal(over('conductor_skewed_nodes'), 0)
})

test('a ring without nodes has no ratio: nothing of nothing is neither all nor none', async () => {
  const value = await figures(releasing(0))
  assert.equal(value('conductor_roster_nodes'), 0)
  assert.equal(value('conductor_converged_ratio'), undefined)
  assert.equal(value('conductor_exposed_ratio'), undefined)
})

test('troubles are counted by code, and a trouble that is over is no sample any more', async () => {
  const sim = releasing(3)
  const metrics = createConductorMetrics(0)
  const drift = { code: 'DRIFT', message: 'hot differs' }
  for (const node of sim.nodes.slice(1)) node.said = { ...node.said, troubles: [drift, drift] }
  metrics.view(pictured(sim), NOW)
  assert.equal(valueIn(samplesIn(await metrics.render()), 'conductor_troubled_nodes', { code: 'DRIFT' }), 2)
  for (const node of sim.nodes) node.said = { ...node.said, troubles: [] }
  metrics.view(pictured(sim), NOW)
  assert.equal(valueIn(samplesIn(await metrics.render()), 'conductor_troubled_nodes', { code: 'DRIFT' }), undefined)
})

/** A history as it is written: what happened, and after how many seconds. */
function historyOf(...told: readonly [seconds: number, event: string, facts?: HistoryEntry['facts']][]) {
  return told.map(([seconds, event, facts = {}], i): HistoryEntry => {
    return { seq: i + 1, prev: '', at: new Date(NOW + seconds * 1_000).toISOString(), by: 'ana', event, facts }
  })
}

const deploy = (id: string, build: string, from: number): [number, string, HistoryEntry['facts']][] => [
  [from, 'release-begun', { rollout: id, build, rings: RING, stages: 1 }],
  [from + 1, 'ordered', { rollout: id, kind: 'stage', ring: RING, build, exposed: 0, roster: 4 }],
  [from + 10, 'ordered', { rollout: id, kind: 'raise', ring: RING, build, exposed: 2, roster: 4 }],
  [from + 20, 'ordered', { rollout: id, kind: 'raise', ring: RING, build, exposed: 4, roster: 4 }],
]
const goodEnd = (id: string, build: string, at: number): [number, string, HistoryEntry['facts']][] => [
  [at, 'stage-converged', { rollout: id, ring: RING, share: 100 }],
  [at + 60, 'ended', { rollout: id, phase: 'done', build, lastRing: RING, lastShare: 100, seconds: 90 }],
]
const badEnd = (id: string, build: string, at: number): [number, string, HistoryEntry['facts']][] => [
  [at, 'rollback-begun', { rollout: id, build, cause: 'gate-failed' }],
  [at + 1, 'ordered', { rollout: id, kind: 'close', ring: RING, build: A, exposed: 4, roster: 4 }],
  [at + 5, 'ended', { rollout: id, phase: 'rolledBack', build }],
]

async function counted(...histories: readonly (readonly HistoryEntry[])[]) {
  const metrics = createConductorMetrics(0)
  for (const entries of histories)
    metrics.history(APP, entries, (build) => (build === 'unknown' ? null : NOW - 600_000))
  const samples = samplesIn(await metrics.render())
  return (name: string, labels: Readonly<Record<string, string>> = {}) =>
    valueIn(samples, name, { app: APP, ...labels })
}

test('a deploy that went well: counted at its end, with its lead time, and how long it took to converge', async () => {
  const value = await counted(historyOf(...deploy('r-1', B, 0), ...goodEnd('r-1', B, 30)))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 1)
  assert.equal(value('conductor_rollouts_total', { outcome: 'done' }), 1)
  assert.equal(value('conductor_rollouts_total', { outcome: 'rolledBack' }), 0, 'there from the beginning')
  assert.equal(value('conductor_lead_time_seconds_sum', { ring: RING }), 630, 'published ten minutes before')
  assert.equal(value('conductor_time_to_converge_seconds_sum', { ring: RING }), 20, 'from the first order that exposes')
  assert.equal(value('conductor_stage_seconds_sum', { ring: RING }), 90)
  assert.equal(value('conductor_rollout_seconds_sum', { outcome: 'done' }), 90)
  assert.equal(value('conductor_reverted_deploys_total', { ring: RING }), 0)
  assert.equal(value('conductor_history_events_total', { event: 'ordered' }), 3)
})

test('a deploy that failed on its way: one failed change, restored when the way back was over', async () => {
  const value = await counted(historyOf(...deploy('r-1', B, 0), ...badEnd('r-1', B, 40)))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'rolledBack' }), 1)
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 0)
  assert.equal(value('conductor_rollback_seconds_sum'), 5)
  assert.equal(value('conductor_time_to_restore_seconds_sum', { ring: RING }), 35, 'from the first exposure')
  assert.equal(value('conductor_lead_time_seconds_count', { ring: RING }), 0)
})

test('a rollout that no node of the ring ever ran is no deploy there', async () => {
  const staged = deploy('r-1', B, 0).slice(0, 2)
  const value = await counted(historyOf(...staged, ...badEnd('r-1', B, 40)))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'rolledBack' }) ?? 0, 0)
  assert.equal(value('conductor_rollouts_total', { outcome: 'rolledBack' }), 1)
})

test('a deploy that is taken back hours later: reverted once, restored since its first exposure, and not a deploy of its own', async () => {
  const good = [...deploy('r-1', B, 0), ...goodEnd('r-1', B, 30)]
  const value = await counted(historyOf(...good, ...badEnd('r-2', B, 7_200)))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 1)
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'rolledBack' }), 0)
  assert.equal(value('conductor_reverted_deploys_total', { ring: RING }), 1)
  assert.equal(value('conductor_time_to_restore_seconds_sum', { ring: RING }), 7_195)
  assert.equal(value('conductor_rollback_seconds_count'), 1)
})

test('a release back to an older build by name takes back what ran, and is no deploy', async () => {
  const good = [...deploy('r-1', B, 0), ...goodEnd('r-1', B, 30)]
  const [begun, ...rest] = [...deploy('r-2', A, 3_600), ...goodEnd('r-2', A, 3_630)]
  assert.ok(begun !== undefined)
  const value = await counted(historyOf(...good, [begun[0], begun[1], { ...begun[2], back: true }], ...rest))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 1)
  assert.equal(value('conductor_reverted_deploys_total', { ring: RING }), 1)
  assert.equal(value('conductor_lead_time_seconds_count', { ring: RING }), 1)
})

test('the same build once more is no other deploy', async () => {
  const twice = ['r-1', 'r-2'].flatMap((id, i) => [...deploy(id, B, i * 600), ...goodEnd(id, B, i * 600 + 30)])
  const value = await counted(historyOf(...twice))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 1)
  assert.equal(value('conductor_lead_time_seconds_count', { ring: RING }), 1)
  assert.equal(value('conductor_rollouts_total', { outcome: 'done' }), 2)
})

test('a lead time is not made up for a build of which nobody knows when it was published', async () => {
  const value = await counted(historyOf(...deploy('r-1', 'unknown', 0), ...goodEnd('r-1', 'unknown', 30)))
  assert.equal(value('conductor_deploys_total', { ring: RING, outcome: 'done' }), 1)
  assert.equal(value('conductor_lead_time_seconds_count', { ring: RING }), 0)
})

test('whoever takes over shows the same counters: in one piece, piece by piece, or twice over, newest first', async () => {
  const days = historyOf(
    ...deploy('r-1', B, 0),
    ...goodEnd('r-1', B, 30),
    ...deploy('r-2', C, 600),
    ...badEnd('r-2', C, 640),
    ...badEnd('r-3', B, 900),
  )
  const text = async (feed: (metrics: ReturnType<typeof createConductorMetrics>) => void) => {
    const metrics = createConductorMetrics(0)
    feed(metrics)
    return await metrics.render()
  }
  const published = () => NOW - 1_000
  const whole = await text((metrics) => metrics.history(APP, days.toReversed(), published))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(days.length)), async (cuts) => {
      const ends = [...cuts, days.length].toSorted((a, b) => a - b)
      const pieces = await text((metrics) => {
        // Each piece comes with some entries that were told before, as a look at the newest few does.
        for (const [i, end] of ends.entries()) {
          metrics.history(APP, days.slice(Math.max(0, (ends[i - 1] ?? 0) - 3), end).toReversed(), published)
        }
      })
      assert.equal(pieces, whole)
    }),
  )
})

test('nothing of the history is shown before it was read, so that Prometheus never sees it rise from zero', async () => {
  const metrics = createConductorMetrics(0)
  metrics.view(pictured(releasing(1)), NOW)
  const before = samplesIn(await metrics.render())
  assert.equal(valueIn(before, 'conductor_rollouts_total', { outcome: 'done' }), undefined)
  assert.equal(valueIn(before, 'conductor_deploys_total', { outcome: 'done' }), undefined)
  metrics.history(APP, [], () => null)
  const after = samplesIn(await metrics.render())
  assert.equal(valueIn(after, 'conductor_rollouts_total', { outcome: 'done' }), 0)
  assert.equal(
    valueIn(after, 'conductor_deploys_total', { ring: RING, outcome: 'done' }),
    0,
    'the ring is known already',
  )
})

test('slots, requests and who leads: told as they happen', async () => {
  const metrics = createConductorMetrics(NOW)
  metrics.ready(true)
  metrics.leading(APP, true)
  metrics.slot(APP, 'skipped', 'rollout-open')
  metrics.nextSlot(APP, NOW + 60_000)
  metrics.consul({ kind: 'get', outcome: 'CONSUL_UNREACHABLE', ms: 20 })
  metrics.store({ kind: 'read', outcome: 'ok', ms: 2_000 })
  const first = samplesIn(await metrics.render())
  assert.equal(valueIn(first, 'conductor_ready'), 1)
  assert.equal(valueIn(first, 'conductor_leading', { app: APP }), 1)
  assert.equal(valueIn(first, 'conductor_start_time_seconds'), NOW / 1_000)
  assert.equal(valueIn(first, 'conductor_slots_total', { outcome: 'skipped', reason: 'rollout-open' }), 1)
  assert.equal(valueIn(first, 'conductor_slots_total', { outcome: 'started', reason: 'none' }), 0)
  assert.equal(valueIn(first, 'conductor_next_slot_time_seconds'), NOW / 1_000 + 60)
  assert.equal(valueIn(first, 'conductor_consul_request_seconds_count', { outcome: 'CONSUL_UNREACHABLE' }), 1)
  assert.equal(valueIn(first, 'conductor_store_request_seconds_sum', { kind: 'read' }), 2)
  metrics.nextSlot(APP, null)
  metrics.leading(APP, false)
  const second = samplesIn(await metrics.render())
  assert.equal(valueIn(second, 'conductor_next_slot_time_seconds'), undefined)
  assert.equal(valueIn(second, 'conductor_leading', { app: APP }), 0)
})
