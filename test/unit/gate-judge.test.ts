// Owns the proof of judging: limits, ratio and z-score, what is no verdict, and what can be said of any samples and limits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRESH, figuresOf, judge } from '#conductor/core/gate.ts'
import type { Gate, Limit, PrometheusGate, Reading } from '#conductor/core/gates.ts'
import { atMost, figures, metricGate } from '#test/support/gates.ts'
import { fc } from '#test/support/properties.ts'

const opinion = (gate: Gate, reading: Reading, baseline: readonly number[] = []) => {
  const { verdict, reason, message } = judge(gate, reading, baseline, FRESH, 0)
  return { verdict, reason, message }
}
const verdict = (...args: Parameters<typeof opinion>) => opinion(...args).verdict
const said = (...args: Parameters<typeof opinion>) => {
  const { verdict, reason, message } = opinion(...args)
  return `${verdict} (${reason}): ${message}`
}

const ratio = (max: number, atLeast = 0): Limit => ({ type: 'ratio', max, atLeast })
const zscore = (max: number, over = 10, atLeast = 0): Limit => ({ type: 'zscore', max, over, atLeast })

test('max holds every sample, min too, and the sentence names value, count and limit', () => {
  const errors = metricGate(atMost(0.01))
  assert.equal(said(errors, figures(0.01)), 'pass (within): 0.01 is not above the limit of 0.01')
  assert.equal(said(errors, figures(0.012345678)), 'fail (beyond): 0.01235 is above the limit of 0.01')
  assert.match(said(errors, figures(0, 0.5, 0)), /^fail .*: 0\.5, the highest of 3 samples, is above/)
  const traffic = metricGate({ type: 'min', min: 10 })
  assert.equal(verdict(traffic, figures(10, 50)), 'pass')
  assert.match(said(traffic, figures(9.5, 50)), /^fail .*: 9\.5, the lowest of 2 samples, is below the limit of 10$/)
})

test('a ratio compares the new cohort with the old one, and with at least what the gate says', () => {
  const gate = metricGate(ratio(2))
  assert.equal(verdict(gate, figuresOf([0.02], [0.01])), 'pass')
  assert.match(said(gate, figuresOf([0.03], [0.01])), /^fail .*: 0\.03 is above 2 times the 0\.01 of the old cohort$/)
  assert.equal(verdict(gate, figuresOf([0], [0])), 'pass', 'neither has any')
  assert.equal(verdict(gate, figuresOf([0.0001], [0])), 'fail', 'the old cohort had none')
  assert.equal(verdict(metricGate(ratio(2, 0.001)), figuresOf([0.0001], [0])), 'pass', 'too few to count')
  assert.equal(verdict(gate, figuresOf([0.02], [0.005, 0.015])), 'pass', 'the mean of the old cohort counts')
  assert.match(said(gate, figuresOf([1], [])), /^inconclusive \(no-baseline\): the old cohort has no samples/)
  assert.match(said(gate, figuresOf([-1], [1])), /^inconclusive .*below zero/)
})

test('a z-score compares with the last good rollouts, newest first, and says when there are too few', () => {
  const gate = metricGate(zscore(3, 4))
  // Mean 10, deviation 2 of the newest four; the fifth is not looked at.
  const before = [8, 12, 8.267949192431123, 11.732050807568877, 1_000]
  assert.equal(verdict(gate, figures(16), before), 'pass')
  assert.match(
    said(gate, figures(17), before),
    /^fail .*: 17 is above 3 deviations \(of 2\.\d+\) over the 10 of 4 good roll/,
  )
  assert.match(said(gate, figures(1), [1, 1]), /^inconclusive \(no-baseline\): only 2 of the last good rollouts have/)
  assert.equal(verdict(gate, figures(0), [0, 0, 0]), 'pass')
  assert.equal(verdict(gate, figures(0.1), [0, 0, 0]), 'fail', 'what never was')
  assert.equal(verdict(metricGate(zscore(3, 4, 0.05)), figures(0.1), [0, 0, 0]), 'pass', 'a spread of at least 0.05')
})

test('no samples, too few, NaN and Inf are no verdict: it holds, and says why', () => {
  const gate = metricGate(atMost(1), { samples: 2 })
  assert.equal(said(gate, figuresOf([])), 'inconclusive (no-samples): the query has no samples')
  assert.match(said(gate, figuresOf([0])), /^inconclusive \(too-few\): the query has 1 sample, and 2 are needed$/)
  assert.match(said(gate, figuresOf([0, Number.NaN])), /^inconclusive \(not-a-number\): 1 of 2 samples is NaN/)
  assert.equal(verdict(gate, figuresOf([0, Number.NEGATIVE_INFINITY])), 'inconclusive')
  assert.equal(verdict(metricGate(ratio(2)), figuresOf([0], [Number.NaN, 1])), 'inconclusive')
  assert.match(said(gate, { type: 'nothing', reason: 'no-answer', message: 'it hangs' }), /^inconclusive .*: it hangs$/)
})

test('onNoData: fail fails without samples, pass passes without samples, and neither hides a Prometheus that is away', () => {
  const nothing = figuresOf([])
  const away: Reading = { type: 'nothing', reason: 'no-answer', message: 'away' }
  const fails = metricGate(atMost(1), { onNoData: 'fail' })
  const passes = metricGate(atMost(1), { onNoData: 'pass' })
  assert.deepEqual([verdict(fails, nothing), verdict(passes, nothing)], ['fail', 'pass'])
  assert.match(said(passes, nothing), /onNoData says that this passes$/)
  assert.deepEqual([verdict(fails, away), verdict(passes, away)], ['inconclusive', 'inconclusive'])
  const first = figuresOf([0.5], [])
  const compare = (onNoData: PrometheusGate['onNoData']) => verdict(metricGate(ratio(2), { onNoData }), first)
  assert.deepEqual([compare('hold'), compare('fail'), compare('pass')], ['inconclusive', 'inconclusive', 'pass'])
})

test('forSeconds: a broken limit fails once it lasted, a gap in the data does not heal it, a pass does', () => {
  const gate = metricGate(atMost(1), { forMs: 3_000 })
  const none: Reading = { type: 'nothing', reason: 'no-answer', message: '' }
  let memory = FRESH
  const at = (atMs: number, reading: Reading) => {
    const next = judge(gate, reading, [], memory, atMs)
    memory = next.memory
    return next
  }
  assert.equal(at(0, figures(2)).verdict, 'inconclusive')
  assert.match(
    at(1_000, figures(2)).message,
    /2 is above the limit of 1, for 1\.0 s of the 3\.0 s after which it fails/,
  )
  assert.equal(at(2_000, figures(1)).verdict, 'pass')
  assert.equal(at(3_000, figures(2)).reason, 'breaking')
  assert.equal(at(4_000, none).verdict, 'inconclusive')
  assert.equal(at(6_000, figures(2)).verdict, 'fail')
})

const value = fc.double({ min: 0, max: 1e6, noNaN: true })
const values = fc.array(value, { minLength: 1, maxLength: 8 })
const baseline = fc.array(value, { maxLength: 8 })
const limits = fc.constantFrom<'max' | 'ratio' | 'zscore'>('max', 'ratio', 'zscore')
const limitOf = (type: 'max' | 'ratio' | 'zscore', max: number): Limit =>
  type === 'max' ? atMost(max) : type === 'ratio' ? ratio(max) : zscore(max)

test('property: a higher limit never turns a pass into a failure, and a lower one never a failure into a pass', () => {
  fc.assert(
    fc.property(limits, value, value, values, values, baseline, (type, one, two, fresh, old, before) => {
      const [low, high] = [Math.min(one, two), Math.max(one, two)]
      const reading = figuresOf(fresh, old)
      const [strict, mild] = [low, high].map((max) => verdict(metricGate(limitOf(type, max)), reading, before))
      assert.ok(strict !== 'pass' || mild === 'pass')
      assert.ok(mild !== 'fail' || strict === 'fail')
    }),
  )
  fc.assert(
    fc.property(value, value, values, (one, two, fresh) => {
      const at = (min: number) => verdict(metricGate({ type: 'min', min }), figuresOf(fresh))
      assert.ok(at(Math.max(one, two)) !== 'pass' || at(Math.min(one, two)) === 'pass')
    }),
  )
})

test('property: the order of samples does not matter', () => {
  const pair = fc.tuple(values, values).chain(([fresh, old]) =>
    fc.record({
      reading: fc.constant(figuresOf(fresh, old)),
      fresh: fc.shuffledSubarray(fresh, { minLength: fresh.length }),
      old: fc.shuffledSubarray(old, { minLength: old.length }),
    }),
  )
  fc.assert(fc.property(pair, ({ reading, fresh, old }) => assert.deepEqual(figuresOf(fresh, old), reading)))
  const shuffled = baseline.chain((before) =>
    fc.tuple(fc.constant(before), fc.shuffledSubarray(before, { minLength: before.length })),
  )
  fc.assert(
    fc.property(shuffled, value, value, ([before, other], max, fresh) => {
      const gate = metricGate(zscore(max))
      assert.deepEqual(opinion(gate, figures(fresh), before), opinion(gate, figures(fresh), other))
    }),
  )
})

test('property: a sample that is no number never passes, whatever the limit and onNoData say', () => {
  const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)
  const mixed = fc.tuple(fc.array(value, { maxLength: 5 }), odd, fc.array(value, { maxLength: 5 }))
  const onNoData = fc.constantFrom<PrometheusGate['onNoData']>('hold', 'fail', 'pass')
  const kinds = fc.constantFrom<Limit>(atMost(1e9), { type: 'min', min: -1e9 }, ratio(1e9), zscore(1e9))
  fc.assert(
    fc.property(
      kinds,
      onNoData,
      mixed,
      values,
      fc.boolean(),
      baseline,
      (limit, lack, [a, bad, b], clean, swap, before) => {
        const spoilt = [...a, bad, ...b]
        const reading = swap && limit.type === 'ratio' ? figuresOf(clean, spoilt) : figuresOf(spoilt, clean)
        assert.notEqual(verdict(metricGate(limit, { onNoData: lack }), reading, before), 'pass')
      },
    ),
  )
})

test('property: without samples nothing passes that was not told to', () => {
  const kinds = fc.constantFrom<Limit>(atMost(1e9), { type: 'min', min: -1e9 }, ratio(1e9), zscore(1e9))
  fc.assert(
    fc.property(
      kinds,
      fc.constantFrom<'hold' | 'fail'>('hold', 'fail'),
      baseline,
      values,
      (limit, onNoData, before, old) => {
        assert.notEqual(verdict(metricGate(limit, { onNoData }), figuresOf([], old), before), 'pass')
      },
    ),
  )
})
