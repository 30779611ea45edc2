// Owns the proof of the history told in figures: deploys, failures and restorations are counted once, and the same by everybody.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConductorMetrics } from '#conductor/metrics.ts'
import { historyReader } from '#conductor/shell/read-history.ts'
import { FleetError } from '#fleet/errors.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { writeHistoryEntry } from '#fleet/wire.ts'
import { readings } from '#test/support/daemon-readings.ts'
import { fc } from '#test/support/properties.ts'
import { A, APP, B, C, RING } from '#test/support/rollout-sim.ts'
import { samplesIn, valueIn } from '#test/support/scrape.ts'

const NOW = Date.parse('2026-11-22T16:40:00Z')
const PUBLISHED = '2026-11-22T16:30:00Z'

/** A history as it is written: what happened, and after how many seconds. */
function historyOf(...told: readonly [seconds: number, event: string, facts?: HistoryEntry['facts']][]) {
  return told.map(([seconds, event, facts = {}], i): HistoryEntry => {
    return { seq: i + 1, prev: '', at: new Date(NOW + seconds * 1_000).toISOString(), by: 'ana', event, facts }
  })
}

const deploy = (id: string, build: string, from: number): [number, string, HistoryEntry['facts']][] => [
  [
    from,
    'release-begun',
    { rollout: id, build, rings: RING, stages: 1, ...(build !== 'unknown' && { published: PUBLISHED }) },
  ],
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
  const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
  for (const entries of histories) metrics.history(entries)
  metrics.historyRead()
  const samples = samplesIn(await metrics.metrics())
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

test('a stage without a soak is converged in the moment in which it is passed or ends the rollout', async () => {
  const [begun, ...orders] = deploy('r-1', B, 0)
  const [, end] = goodEnd('r-1', B, 30)
  assert.ok(begun !== undefined && end !== undefined)
  const pass: (typeof end)[] = [[25, 'stage-passed', { rollout: 'r-1', ring: 'canary', share: 100, seconds: 15 }]]
  const canary: (typeof end)[] = [[10, 'ordered', { rollout: 'r-1', kind: 'raise', ring: 'canary', exposed: 2 }]]
  const value = await counted(historyOf(begun, ...canary, ...pass, ...orders, end))
  assert.equal(value('conductor_time_to_converge_seconds_sum', { ring: 'canary' }), 15)
  assert.equal(value('conductor_lead_time_seconds_sum', { ring: 'canary' }), 625)
  assert.equal(value('conductor_time_to_converge_seconds_sum', { ring: RING }), 80)
  assert.equal(value('conductor_lead_time_seconds_sum', { ring: RING }), 690)
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

test('slots are counted by what became of them, and a reason that nobody knows is no series of its own', async () => {
  const [begun] = deploy('r-1', B, 0)
  assert.ok(begun !== undefined)
  const [at, event, facts] = begun
  const skipped = (code: string): [number, string, HistoryEntry['facts']] => [60, 'slot-skipped', { slot: 's', code }]
  const codes = ['rollout-open', 'rollout-open', 'missed', 'full moon'].map(skipped)
  const value = await counted(historyOf([at, event, { ...facts, slot: '2026-11-22T16:40:00Z' }], ...codes))
  assert.equal(value('conductor_slots_total', { outcome: 'fired', reason: 'fired' }), 1)
  assert.equal(value('conductor_slots_total', { outcome: 'skipped', reason: 'rollout-open' }), 2)
  assert.equal(value('conductor_slots_total', { outcome: 'missed', reason: 'missed' }), 1)
  assert.equal(value('conductor_slots_total', { outcome: 'skipped', reason: 'other' }), 1)
  assert.equal(value('conductor_slots_total', { reason: 'freeze' }), 0, 'there from the beginning')
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
    const metrics = createConductorMetrics({ app: APP, startedMs: NOW, readings: readings() })
    feed(metrics)
    metrics.historyRead()
    return await metrics.metrics()
  }
  const whole = await text((metrics) => metrics.history(days.toReversed()))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(days.length)), async (cuts) => {
      const ends = [...cuts, days.length].toSorted((a, b) => a - b)
      const pieces = await text((metrics) => {
        // Each piece comes with some entries that were told before, as a look at the newest few does.
        for (const [i, end] of ends.entries()) {
          metrics.history(days.slice(Math.max(0, (ends[i - 1] ?? 0) - 3), end).toReversed())
        }
      })
      assert.equal(pieces, whole)
    }),
  )
})

test('a history is read once from its beginning, a few entries at a time, and then what is new, however much that is', async () => {
  const written = Array.from({ length: 150 }, (_, i): HistoryEntry => {
    return { seq: i + 1, prev: '', at: new Date(NOW).toISOString(), by: 'ana', event: 'held', facts: {} }
  })
  let [there, breaksAt] = [130, 70]
  const ledger = {
    async *chain() {
      yield { name: 'notes', raw: writeHistoryEntry({ ...(written[0] as HistoryEntry), seq: 999 }) }
      for (const [i, entry] of written.slice(0, there).entries()) {
        if (i === breaksAt) throw new FleetError('CONSUL_UNREACHABLE', 'gone')
        yield { name: String(entry.seq).padStart(12, '0'), raw: writeHistoryEntry(entry) }
      }
    },
    history: async (limit: number) => written.slice(0, there).toReversed().slice(0, limit),
  }
  const told: number[][] = []
  let whole = 0
  const onWhole = () => {
    whole += 1
  }
  const reader = historyReader(ledger, (entries) => void told.push(entries.map(({ seq }) => seq)), onWhole)
  const signal = new AbortController().signal
  await assert.rejects(reader.catchUp(signal), /gone/)
  assert.deepEqual([told.flat().length, whole], [60, 0], 'what was read is told, and is not all')
  breaksAt = -1
  told.length = 0
  await reader.catchUp(signal)
  assert.deepEqual(
    told.map((batch) => batch.length),
    [60, 60, 10],
  )
  assert.equal(whole, 1)
  told.length = 0
  await reader.catchUp(signal)
  assert.deepEqual(told.flat(), [], 'nothing is new')
  written.push(...written.map((entry) => ({ ...entry, seq: entry.seq + 150 })))
  there = 300
  await reader.catchUp(signal)
  assert.deepEqual(
    told.flat().toSorted((a, b) => a - b),
    Array.from({ length: 170 }, (_, i) => i + 131),
  )
  assert.equal(whole, 1)
})
