// Owns the proof that the demo says 1 for each promise it can break, and reads builds out of answers only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arrivalOf, broken, type Findings, type Totals, totalsOf } from '#conductor/demo/score.ts'
import { judge, type NodeLoad } from '#conductor/demo/traffic.ts'

const totals: Totals = {
  sent: 100,
  served: 100,
  failed: 0,
  mixed: 0,
  longestMs: 12,
  leastPerSecond: 60,
  why: { failed: [], mixed: [] },
}
const kept: Findings = {
  totals,
  acts: [],
  reverted: ['node-1'],
  rollback: { fetchedBytes: 0, keyBuild: 'one', previous: 'one' },
  surprises: [],
}

test('a demo that kept its promises has nothing to say', () => {
  assert.deepEqual(broken(kept), [])
})

test('each promise that was broken is a sentence and so an exit of 1', () => {
  const cases: readonly [Findings, RegExp][] = [
    [
      { ...kept, totals: { ...totals, served: 99, failed: 1, why: { failed: ['node-1: socket'], mixed: [] } } },
      /1 requests failed .*socket/,
    ],
    [{ ...kept, totals: { ...totals, served: 99, mixed: 1 } }, /mixed two builds/],
    [{ ...kept, totals: { ...totals, served: 99 } }, /never answered/],
    [{ ...kept, totals: { ...totals, sent: 0, served: 0 } }, /no request was served/],
    [{ ...kept, totals: { ...totals, leastPerSecond: 49.9 } }, /only 49.9 times a second/],
    [{ ...kept, reverted: [] }, /no node reverted/],
    [{ ...kept, rollback: { ...kept.rollback, fetchedBytes: 1 } }, /the rollback fetched 1 bytes/],
    [{ ...kept, rollback: { ...kept.rollback, keyBuild: 'two' } }, /names two, not the previous one, one/],
    [{ ...kept, rollback: { ...kept.rollback, keyBuild: null } }, /names no build/],
    [{ ...kept, surprises: ['the release of two failed'] }, /the release of two failed/],
  ]
  for (const [findings, said] of cases) {
    assert.equal(broken(findings).length, 1)
    assert.match(broken(findings)[0] ?? '', said)
  }
})

test('an answer is served only as a whole page of one build', () => {
  const page = (layout: string, content: string) => `<html data-layout="${layout}"><main data-content="${content}">`
  assert.deepEqual(judge(200, page('a', 'a')), { verdict: 'served', build: 'a' })
  assert.equal(judge(200, page('a', 'b')).verdict, 'mixed')
  assert.equal(judge(200, '<html data-layout="a">').verdict, 'failed')
  assert.equal(judge(200, '').verdict, 'failed')
  assert.equal(judge(500, page('a', 'a')).verdict, 'failed')
})

test('arrival counts each node once, from the write on, and names who is missing', () => {
  const seen = [
    { node: 'a', build: 'two', atMs: 900 },
    { node: 'a', build: 'two', atMs: 1_050 },
    { node: 'a', build: 'two', atMs: 1_900 },
    { node: 'b', build: 'one', atMs: 1_060 },
    { node: 'b', build: 'two', atMs: 1_400 },
  ]
  assert.deepEqual(arrivalOf('two', 1_000, ['a', 'b'], seen), { firstMs: 50, lastMs: 400, missing: [] })
  assert.deepEqual(arrivalOf('two', 1_000, ['a', 'b', 'c'], seen), { firstMs: 50, lastMs: null, missing: ['c'] })
  assert.deepEqual(arrivalOf('two', 5_000, ['a'], seen), { firstMs: null, lastMs: null, missing: ['a'] })
})

test('totals sum the nodes and name the one that was asked least', () => {
  const load = (sent: number): NodeLoad => ({
    sent,
    served: sent,
    failed: 0,
    mixed: 0,
    open: 0,
    longestMs: sent,
    build: 'one',
    why: { failed: [], mixed: [] },
  })
  const report = { nodes: { a: load(600), b: load(500) }, sightings: [], over: true }
  const summed = totalsOf(report, 10_000)
  assert.deepEqual([summed.sent, summed.longestMs, summed.leastPerSecond], [1_100, 600, 50])
})
