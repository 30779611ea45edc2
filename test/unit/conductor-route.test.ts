// Owns the proof of a plan as data: what its steps mean as stages, what is refused, and what it is said to take.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { conductSchema } from '#conductor/config.ts'
import { forecast } from '#conductor/core/forecast.ts'
import { fastRoute, limitsOf, prestageOf, SLACK, soakSumSeconds, stagesOf, unfitRoute } from '#conductor/core/route.ts'
import { policyIn } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { A, B, C, RING, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const rings = SLACK.map(({ ring }) => ring)
const route = (steps = SLACK, slotMinutes = 40) => ({ steps, slotMinutes })
const read = (text: string) => parseConfig(text, 'hotcold.yaml', conductSchema, { hostname: 'h', env: {} })
const complaint = (plan: string): string => {
  try {
    read(`plan:\n${plan}`)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return 'accepted'
}

test('without a plan it is the one of Slack: staging, dogfood, canary, production in five, nine minutes of soak in a slot of forty', () => {
  const stages = stagesOf(route(), rings)
  assert.deepEqual(
    stages.map(({ ring, share, soakSeconds = 0 }) => `${ring} ${share} ${soakSeconds}`),
    [
      ...['staging 100 0', 'dogfood 100 120', 'canary 100 120'],
      ...['production 10 60', 'production 25 60', 'production 50 60', 'production 75 60', 'production 100 60'],
    ],
  )
  assert.equal(soakSumSeconds(stages), 540)
  assert.equal(unfitRoute(stages, route()), null)
  assert.deepEqual(
    stagesOf(route(), [RING, 'edge' as Name]).map(({ ring, share }) => `${ring} ${share}`),
    ['production 10', 'production 25', 'production 50', 'production 75', 'production 100', 'edge 100'],
    'only rings that are asked for; one that the plan does not know is a single stage',
  )
})

test('approval stands at the last share of its ring, a smoke test at each, and what is not asked for is not in the record', () => {
  const step = { ring: RING, shares: [50, 100], approval: 'manual', smoke: ['./s'], progressSeconds: 0 } as const
  assert.deepEqual(stagesOf(route([step]), [RING]), [
    { ring: RING, share: 50, smoke: ['./s'], smokeSeconds: 120 },
    { ring: RING, share: 100, smoke: ['./s'], smokeSeconds: 120, approval: 'manual' },
  ])
  assert.deepEqual(fastRoute([RING]).steps.length, 1)
  assert.deepEqual(stagesOf(fastRoute([RING]), [RING]), [{ ring: RING, share: 100, gates: [] }])
  assert.deepEqual(prestageOf(route([{ ring: RING, prestage: 'start' }]), [RING]), { production: 'start' })
})

test('limits of a step are its ring’s', () => {
  const steps = [{ ring: RING, maxUnavailable: 10 }, { ring: 'canary' as Name }]
  assert.deepEqual(limitsOf(steps), { production: { maxUnavailable: 10 } })
  const policy = { maxUnavailable: 33, failureBudget: 10, waveMs: 1, allAtOnce: false, rings: limitsOf(steps) }
  assert.deepEqual([policyIn(policy, RING).maxUnavailable, policyIn(policy, 'canary' as Name).maxUnavailable], [10, 33])
  assert.equal(policyIn({ ...policy, allAtOnce: true, maxUnavailable: 100 }, RING).maxUnavailable, 100)
})

test('a plan that its slot cannot hold, or the record, is refused with the sum', () => {
  const long = stagesOf(route([{ ring: RING, shares: [50, 100], soakSeconds: 1_201 }]), [RING])
  assert.match(
    unfitRoute(long, route()) ?? '',
    /^its stages soak 40 min 2 s in all \(production 50 % 20 min 1 s \+ .*\), and a slot has 40 min 0 s$/,
  )
  assert.equal(unfitRoute(long, route(SLACK, 41)), null)
  const wordy = stagesOf(route([{ ring: RING, smoke: ['x'.repeat(5_000)] }]), [RING])
  assert.match(unfitRoute(wordy, route()) ?? '', /^its stages take \d+ bytes of the rollout record, at most 4096/)
})

test('nonsense in a plan is refused where it stands', () => {
  assert.equal(complaint('  - { ring: production, shares: [10, "25%", 100] }\n'), 'accepted')
  assert.equal(
    complaint('  - { ring: a, shares: [10] }\n  - { ring: b }\n  - { ring: a, shares: [50, 100] }\n'),
    'accepted',
  )
  assert.match(complaint('  - { ring: a, shares: [50, 25, 100] }\n'), /:2: .*must rise from share to share/)
  assert.match(complaint('  - { ring: a, shares: [10, 50] }\n'), /must bring every ring to 100%/)
  assert.match(complaint('  - { ring: a }\n  - { ring: a }\n'), /must bring every ring to 100%, by shares that rise/)
  assert.match(complaint('  - { ring: a, shares: [0, 100] }\n'), /must be above 0%/)
  assert.match(complaint('  - { ring: a, smoke: [] }\n'), /must name a command/)
  assert.match(complaint('  - { ring: a, aproval: manual }\n'), /unknown key "aproval", did you mean "approval"/)
})

function ended(
  rollout: string,
  phase: string,
  took: readonly (readonly [string, number, number, number])[],
): HistoryEntry[] {
  const entries = took.map(([ring, share, seconds, soakSeconds], i) => {
    const last = i === took.length - 1
    const place = last ? { phase, lastRing: ring, lastShare: share } : { ring, share }
    const facts = { rollout, ...place, seconds, soakSeconds }
    return { seq: 0, prev: '', at: '', by: '', event: last ? 'ended' : 'stage-passed', facts }
  })
  return entries.toReversed()
}

test('a stage is estimated by the median of what it took beside its soak, in rollouts that came to their end', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  const step = { ring: RING, shares: [25, 100], soakSeconds: 60 }
  const history = [
    ...ended('r-4', 'rolledBack', [
      [RING, 25, 900, 60],
      [RING, 100, 900, 60],
    ]),
    ...ended('r-3', 'done', [
      [RING, 25, 40, 30],
      [RING, 100, 70, 60],
    ]),
    ...ended('r-2', 'done', [
      [RING, 25, 72, 60],
      [RING, 100, 72, 60],
    ]),
    ...ended('r-1', 'done', [
      [RING, 25, 80, 60],
      [RING, 100, 74, 60],
    ]),
  ]
  const stages = stagesOf(route([step]), [RING])
  const said = forecast(
    stages,
    sim.view(),
    'r-now',
    {
      ...route([step]),
      gates: [
        { name: 'errors', rings: null },
        { name: 'lag', rings: ['canary'] },
      ],
    },
    history,
  )
  assert.deepEqual(
    said.stages.map(({ share, nodes, fresh, roster, cap, estimateSeconds, samples, gates }) => [
      ...[share, nodes.length, fresh.length, roster, cap, estimateSeconds, samples, gates.join()],
    ]),
    [
      [25, 3, 3, 10, 3, 72, 3, 'errors'],
      [100, 10, 7, 10, 3, 72, 3, 'errors'],
    ],
  )
  assert.deepEqual([said.soakSeconds, said.estimateSeconds, said.slotSeconds], [120, 144, 2_400])
  const first = said.stages[0]?.nodes ?? []
  sim.rollout = { ...sim.rollout, stages }
  for (let turn = 0; turn < 60 && sim.rollout.phase !== 'soaking'; turn += 1) {
    sim.everybody()
    sim.conduct()
  }
  const runs = sim.nodes.filter(({ hot }) => hot === C).map(({ name }) => name)
  assert.deepEqual(runs.toSorted(), [...first].toSorted(), 'the nodes that were named are the ones that were taken')
  assert.equal(forecast(stages, sim.view(), 'r-now', route(), []).estimateSeconds, null)
})
