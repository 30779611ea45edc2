// Owns the proof of the small things all faces share: names, durations, waits, errors and their exit codes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, takeToken } from '#fleet/backoff.ts'
import { buildIdFor, isBuildId, isName } from '#fleet/build.ts'
import { formatBytes, formatDuration, formatRate } from '#fleet/duration.ts'
import { describeError, ERRORS, exitCodeOf, FleetError } from '#fleet/errors.ts'
import { keysOf } from '#fleet/keys.ts'
import { fc } from '#test/support/properties.ts'

test('H3: build ids and names have one grammar, and no path gets through it', () => {
  for (const id of ['20261122T160412-3f2a9c1', 'a', 'A.b_c-d', 'x'.repeat(128)]) assert.ok(isBuildId(id), id)
  for (const id of ['', '.a', '../../etc', 'a..b', 'a/b', 'a%2e', 'ä', 'x'.repeat(129), 'a\n'])
    assert.ok(!isBuildId(id), JSON.stringify(id))
  for (const name of ['web', 'node-1.example.org', '7']) assert.ok(isName(name), name)
  for (const name of ['', 'Web', '-a', 'a_b', 'a/b', 'x'.repeat(64), 'a\n'])
    assert.ok(!isName(name), JSON.stringify(name))
  assert.equal(buildIdFor(new Date('2026-11-22T16:04:12.345Z'), '3f2a9c1'), '20261122T160412-3f2a9c1')
})

test('keys are spelled as the contract spells them', () => {
  const keys = keysOf('hotcold/v1', 'web')
  assert.equal(keys.target('production'), 'hotcold/v1/web/production/target')
  assert.equal(keys.node('production', 'n1'), 'hotcold/v1/web/production/nodes/n1')
  assert.equal(keys.historyEntry(7), 'hotcold/v1/web/history/000000000007')
})

test('durations, sizes and rates read as people say them', () => {
  assert.deepEqual([850, 4_200, 200_000, 7_500_000, -5].map(formatDuration), [
    '850 ms',
    '4.2 s',
    '3 min 20 s',
    '2 h 5 min',
    '0 ms',
  ])
  assert.deepEqual([512, 1_468_006, 0].map(formatBytes), ['512 B', '1.4 MiB', '0 B'])
  assert.equal(formatRate(1_048_576, 500), '2.0 MiB/s')
  assert.equal(formatRate(5, 0), '')
})

test('A1: a wait is fully jittered between its floor and its ceiling, and grows', () => {
  const bounds = { floorMs: 200, ceilingMs: 30_000 }
  fc.assert(
    fc.property(fc.nat({ max: 99 }), fc.double({ min: 0, max: 0.999999, noNaN: true }), (attempt, random) => {
      const wait = backoffMs(bounds, attempt, random)
      assert.ok(wait >= 200 && wait <= 30_000)
    }),
  )
  assert.equal(backoffMs(bounds, 3, 0.999999), 1_600)
})

test('A6: a bucket of two lets two through at once and then one for each refill', () => {
  let level = { tokens: 2, atMs: 0 }
  const waits = [0, 0, 0, 0].map((nowMs) => {
    const taken = takeToken({ burst: 2, refillMs: 1_000 }, level, nowMs)
    level = taken.level
    return taken.waitMs
  })
  assert.deepEqual(waits, [0, 0, 1_000, 2_000])
  assert.equal(takeToken({ burst: 2, refillMs: 1_000 }, level, 60_000).waitMs, 0)
})

test('every error has a title and an exit code that says what to do; its causes are told on one line', () => {
  for (const [code, spec] of Object.entries(ERRORS)) assert.ok(spec.title.length > 8, code)
  const codes = (['USAGE', 'LEASE_HELD', 'CONSUL_UNREACHABLE', 'VERIFY_FAILED'] as const).map((code) =>
    exitCodeOf(new FleetError(code, '')),
  )
  assert.deepEqual(codes, [2, 3, 4, 1])
  assert.equal(exitCodeOf(new Error('a bug')), 70)
  const error = new FleetError('DISK_ERROR', 'cannot seal', { cause: new Error('EIO:\n i/o error') })
  assert.equal(describeError(error), 'cannot seal: EIO: i/o error')
})
