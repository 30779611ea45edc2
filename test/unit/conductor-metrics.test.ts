// Owns the proof of the conductor's figures of a view: sums that hold at every scrape, skew and exposure, and what is told as it happens.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Picture, pictureOf } from '#conductor/core/picture.ts'
import { createConductorMetrics } from '#conductor/metrics.ts'
import { PHASES } from '#fleet/node-status.ts'
import { ALL } from '#fleet/target.ts'
import { readings } from '#test/support/daemon-readings.ts'
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
      const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
      const texts: Promise<string>[] = []
      for (const one of changes) {
        change(sim, one)
        metrics.view(pictured(sim))
        for (let i = 0; i < one.scrapes; i += 1) texts.push(metrics.metrics())
        // Views come while scrapes are on their way.
        await Promise.resolve()
      }
      texts.push(metrics.metrics())
      for (const text of await Promise.all(texts)) {
        for (const { roster, states, phases, complete } of sumsIn(samplesIn(text))) {
          assert.deepEqual({ states, phases, complete }, { states: roster, phases: roster, complete: true })
        }
      }
      const [last] = sumsIn(samplesIn(await metrics.metrics()))
      if (changes.length > 0) assert.equal(last?.roster, sim.nodes.length, 'the newest view is shown')
    }),
  )
})

async function figures(sim: Simulation) {
  const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
  metrics.view(pictured(sim))
  const samples = samplesIn(await metrics.metrics())
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
  const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
  const drift = { code: 'DRIFT', message: 'hot differs' }
  for (const node of sim.nodes.slice(1)) node.said = { ...node.said, troubles: [drift, drift] }
  metrics.view(pictured(sim))
  assert.equal(valueIn(samplesIn(await metrics.metrics()), 'conductor_troubled_nodes', { code: 'DRIFT' }), 2)
  for (const node of sim.nodes) node.said = { ...node.said, troubles: [] }
  metrics.view(pictured(sim))
  assert.equal(valueIn(samplesIn(await metrics.metrics()), 'conductor_troubled_nodes', { code: 'DRIFT' }), undefined)
})

test('nothing of the history is shown before it was read, so that Prometheus never sees it rise from zero', async () => {
  const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
  metrics.view(pictured(releasing(1)))
  const before = samplesIn(await metrics.metrics())
  assert.equal(valueIn(before, 'conductor_rollouts_total', { outcome: 'done' }), undefined)
  assert.equal(valueIn(before, 'conductor_deploys_total', { outcome: 'done' }), undefined)
  const begun = { seq: 1, prev: '', at: new Date(NOW).toISOString(), by: 'ana', event: 'release-begun', facts: {} }
  metrics.history([begun])
  const half = samplesIn(await metrics.metrics())
  assert.equal(valueIn(half, 'conductor_history_events_total'), undefined, 'nor while it is read')
  assert.equal(valueIn(half, 'conductor_roster_nodes'), 1, 'the view is shown')
  metrics.historyRead()
  const after = samplesIn(await metrics.metrics())
  assert.equal(valueIn(after, 'conductor_rollouts_total', { outcome: 'done' }), 0)
  assert.equal(
    valueIn(after, 'conductor_deploys_total', { ring: RING, outcome: 'done' }),
    0,
    'the ring is known already',
  )
})

test('requests are told as they end, and what the daemon says of itself is read at each scrape', async () => {
  let [leads, slotMs]: [boolean, number | null] = [true, NOW + 60_000]
  const daemon = { leads: () => leads, nextSlotMs: () => slotMs, viewAgeMs: () => 1_500, clients: () => 3 }
  const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings(daemon) })
  metrics.consul({ kind: 'get', outcome: 'CONSUL_UNREACHABLE', ms: 20 })
  metrics.store({ kind: 'read', outcome: 'ok', ms: 2_000 })
  const first = samplesIn(await metrics.metrics())
  assert.equal(valueIn(first, 'conductor_ready'), 1)
  assert.equal(valueIn(first, 'conductor_leading', { app: APP }), 1)
  assert.equal(valueIn(first, 'conductor_start_time_seconds'), NOW / 1_000)
  assert.equal(valueIn(first, 'conductor_view_age_seconds'), 1.5)
  assert.equal(valueIn(first, 'conductor_event_clients'), 3)
  assert.equal(valueIn(first, 'conductor_next_slot_time_seconds'), NOW / 1_000 + 60)
  assert.equal(valueIn(first, 'conductor_consul_request_seconds_count', { outcome: 'CONSUL_UNREACHABLE' }), 1)
  assert.equal(valueIn(first, 'conductor_store_request_seconds_sum', { kind: 'read' }), 2)
  slotMs = null
  leads = false
  const second = samplesIn(await metrics.metrics())
  assert.equal(valueIn(second, 'conductor_next_slot_time_seconds'), undefined)
  assert.equal(valueIn(second, 'conductor_leading', { app: APP }), 0)
})
