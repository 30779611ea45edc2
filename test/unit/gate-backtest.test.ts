// Owns the proof of replaying gates: today's limits over the readings of then, each rollout by what came before it, and a gate without data.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backtest, readingOf } from '#conductor/core/backtest.ts'
import { FRESH, figuresOf, judge } from '#conductor/core/gate.ts'
import type { Gate } from '#conductor/core/gates.ts'
import type { PastRollout } from '#conductor/core/past.ts'
import type { Row, Verdict } from '#fleet/gate.ts'
import { atMost, metricGate, named } from '#test/support/gates.ts'

/** A rollout with one stage of the gate `errors`. */
function past(rollout: string, rows: readonly Row[], said: Verdict = 'pass', outcome = 'done'): PastRollout {
  const stage = { gate: 'errors', ring: 'canary', stage: 0, share: 100, verdict: said, message: '', reads: rows.length }
  const at = '2026-11-22T16:04:30.120Z'
  return {
    rollout,
    build: `${rollout}-build`,
    outcome,
    good: outcome === 'done',
    at,
    stages: [{ ...stage, rows, at }],
    spans: [],
  }
}
const highs = (...values: readonly number[]) => values.map((value, i): Row => [i * 10, 1, 0, value])
const told = (gate: Gate, rollouts: readonly PastRollout[]) =>
  backtest(gate, rollouts).replays.map(({ rollout, said, wouldSay }) => `${rollout} ${said} ${wouldSay}`)

test('a lower limit would have failed what passed, a higher one passed what failed, and the reason is told', () => {
  const rollouts = [past('r-2', highs(0.01, 0.4, 0.01), 'fail', 'rolledBack'), past('r-1', highs(0.01, 0.02))]
  assert.deepEqual(told(metricGate(atMost(0.1)), rollouts), ['r-2 fail fail', 'r-1 pass pass'])
  assert.deepEqual(told(metricGate(atMost(0.5)), rollouts), ['r-2 fail pass', 'r-1 pass pass'])
  assert.deepEqual(told(metricGate(atMost(0.015)), rollouts), ['r-2 fail fail', 'r-1 pass fail'])
  assert.match(
    backtest(metricGate(atMost(0.1)), rollouts).replays[0]?.message ?? '',
    /^0\.4 is above the limit of 0\.1$/,
  )
  assert.deepEqual(told(named(metricGate(atMost(1)), 'other'), rollouts), [])
})

test('forSeconds is replayed by the times of the readings', () => {
  const rollouts = [past('r-1', highs(0, 5, 5, 5))]
  assert.deepEqual(told(metricGate(atMost(1), { forMs: 20_000 }), rollouts), ['r-1 pass fail'])
  assert.deepEqual(told(metricGate(atMost(1), { forMs: 20_001 }), rollouts), ['r-1 pass inconclusive'])
})

test('a z-score is replayed against the good rollouts before, never those after', () => {
  const rollouts = [
    past('r-5', highs(1_000)),
    past('r-4', highs(20)),
    past('r-3', highs(12)),
    past('r-2', highs(8)),
    past('r-1', highs(10)),
  ]
  const gate = metricGate({ type: 'zscore', max: 3, over: 10, atLeast: 0 })
  assert.deepEqual(told(gate, rollouts), [
    'r-5 pass fail',
    'r-4 pass fail',
    'r-3 pass inconclusive',
    'r-2 pass inconclusive',
    'r-1 pass inconclusive',
  ])
})

test('a ratio is replayed by the old cohort that was kept, and where none was it says so', () => {
  const ratio = metricGate({ type: 'ratio', max: 2, atLeast: 0 })
  const rows: readonly Row[] = [[0, 1, 0, 0.03, 0.02]]
  assert.deepEqual(told(ratio, [past('r-1', rows)]), ['r-1 pass pass'])
  assert.deepEqual(told(metricGate({ type: 'ratio', max: 1.2, atLeast: 0 }), [past('r-1', rows)]), ['r-1 pass fail'])
  const [replay] = backtest(ratio, [past('r-1', highs(0.03))]).replays
  assert.equal(replay?.wouldSay, 'inconclusive')
  assert.match(replay?.message ?? '', /the old cohort has no samples/)
})

test('a gate that never had data is told apart from one that had it once, and from one that was never read', () => {
  const empty: readonly Row[] = [
    [0, 'no-samples'],
    [1, 'no-answer'],
    [2, 'not-a-number'],
  ]
  const gate = metricGate(atMost(1))
  const rollouts = [past('r-2', empty, 'inconclusive', 'aborted'), past('r-1', empty, 'inconclusive', 'rolledBack')]
  assert.equal(backtest(gate, rollouts).neverHadData, true)
  assert.equal(backtest(gate, [...rollouts, past('r-0', highs(1))]).neverHadData, false)
  assert.equal(backtest(gate, []).neverHadData, false)
  assert.deepEqual(told({ ...gate, onNoData: 'fail' }, rollouts), ['r-2 inconclusive fail', 'r-1 inconclusive fail'])
})

test('answers of HTTP and commands are replayed as they were; figures of another kind say nothing', () => {
  const command: Gate = { ...metricGate(atMost(1)), kind: 'command', argv: ['x'] }
  const rows: readonly Row[] = [
    [0, 'inconclusive'],
    [1, 'pass'],
  ]
  assert.deepEqual(told(command, [past('r-2', [...rows, [2, 'fail']]), past('r-1', rows)]), [
    'r-2 pass fail',
    'r-1 pass pass',
  ])
  assert.deepEqual(told(command, [past('r-1', highs(0))]), ['r-1 pass inconclusive'])
})

test('a reading that is kept and read back is judged as the reading itself', () => {
  const gate = metricGate({ type: 'ratio', max: 2, atLeast: 0 }, { samples: 2 })
  for (const [values, old] of [
    [[1, 2], [1]],
    [[1, 3], [1]],
    [[1], [1]],
    [[1, 1], []],
  ] as const) {
    const reading = figuresOf(values, old)
    assert.ok(reading.type === 'figures')
    const { count, lo, hi, old: mean = null } = reading
    const kept: Row = JSON.parse(JSON.stringify([0, count, lo, hi, mean])) as Row
    assert.deepEqual(judge(gate, readingOf(kept), [], FRESH, 0), judge(gate, reading, [], FRESH, 0))
  }
})
