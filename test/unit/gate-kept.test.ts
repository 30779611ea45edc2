// Owns the proof of what is kept of gates: marks on the record, entries of the history, within their room, and old records still read.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gather } from '#conductor/core/cohort.ts'
import type { Judged } from '#conductor/core/gates.ts'
import { closingFacts, cutTo, newVerdicts } from '#conductor/core/judged.ts'
import { baselineOf, pastRollouts } from '#conductor/core/past.ts'
import { reduce } from '#conductor/core/reduce.ts'
import { GATES_MOST, ROWS_MOST, type Row, thinned } from '#fleet/gate.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { readHistoryEntry, readRollout, writeHistoryEntry, writeRollout } from '#fleet/wire.ts'
import { judged } from '#test/support/gates.ts'
import { rolloutOf } from '#test/support/ports.ts'
import { fc } from '#test/support/properties.ts'
import { A, B, C, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const AT = '2026-11-22T16:04:30.120Z'

test('a verdict is written down when it changes, also from one lack of data to another; that nobody read yet is no news', () => {
  let rollout = rolloutOf({ phase: 'advancing' })
  const hear = (...said: readonly Judged[]) => {
    const events = newVerdicts(rollout, said, AT)
    rollout = events.reduce(reduce, rollout)
    return events.length
  }
  assert.equal(hear(judged({ verdict: 'inconclusive', reason: 'unread' })), 0)
  assert.equal(hear(judged({ verdict: 'inconclusive', reason: 'no-samples', message: 'none' })), 1)
  assert.equal(hear(judged({ verdict: 'inconclusive', reason: 'no-samples', message: 'still none' })), 0)
  assert.equal(
    hear(judged({ verdict: 'inconclusive', reason: 'no-answer', message: 'away' }), judged({ gate: 'a' })),
    2,
  )
  assert.deepEqual(
    rollout.verdicts?.map(({ gate, verdict, message }) => [gate, verdict, message]),
    [
      ['a', 'pass', ''],
      ['errors', 'inconclusive', 'away'],
    ],
  )
  assert.equal(hear(judged()), 1)
  const two = [
    { ring: rollout.stages[0]?.ring ?? ('x' as never), share: 10 },
    { ring: rollout.stages[0]?.ring ?? ('x' as never), share: 100 },
  ]
  assert.deepEqual(
    reduce({ ...rollout, stages: two }, { type: 'stagePassed', at: '1970-01-01T00:00:00.000Z' }).verdicts,
    [],
    'the next stage begins anew',
  )
})

test('a rollout record from before there were verdicts is still read', () => {
  const { verdicts: _verdicts, ...old } = rolloutOf()
  const raw = new TextEncoder().encode(JSON.stringify({ v: 1, ...old }))
  assert.deepEqual(readRollout(raw).verdicts, [])
  const mark = { gate: 'errors', verdict: 'fail', reason: 'beyond', message: '3 is above 1', at: AT } as const
  assert.deepEqual(readRollout(writeRollout({ ...old, verdicts: [mark] })).verdicts, [mark])
})

test('with all gates there may be, each with the longest words, a rollout record keeps room for the rest', () => {
  const many = Array.from({ length: GATES_MOST }, (_, i) =>
    judged({
      gate: `${i}`.padEnd(32, 'x'),
      verdict: 'inconclusive',
      reason: 'not-a-number',
      message: '\u0007ü'.repeat(400),
    }),
  )
  const rollout = newVerdicts(rolloutOf({ phase: 'advancing' }), many, AT).reduce(
    reduce,
    rolloutOf({ phase: 'advancing' }),
  )
  assert.equal(rollout.verdicts?.length, GATES_MOST)
  const without = writeRollout({ ...rollout, verdicts: [] }).byteLength
  assert.ok(writeRollout(rollout).byteLength - without < 4_096)
})

const figure = fc.double({ noNaN: true, noDefaultInfinity: true })
const row = fc.oneof(
  fc.tuple(fc.nat(99_999), fc.nat(9_999), figure, figure),
  fc.tuple(fc.nat(99_999), fc.nat(9_999), figure, figure, fc.option(figure)),
  fc.tuple(fc.nat(99_999), fc.constantFrom('no-samples' as const, 'pass' as const, 'fail' as const)),
)

test('property: readings of a whole day fit an entry of the history, their extremes are kept, and they are read back', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(row, { minLength: 1, maxLength: 9 }),
        fc.array(row, { minLength: 150, maxLength: 400, size: 'max' }),
      ),
      (all: readonly Row[]) => {
        let kept: readonly Row[] = []
        for (const one of all) kept = thinned(kept.concat([one]))
        assert.ok(kept.length <= ROWS_MOST)
        const highs = (rows: readonly Row[]) => rows.flatMap((one) => (one.length === 2 ? [] : [one[3]]))
        const lows = (rows: readonly Row[]) => rows.flatMap((one) => (one.length === 2 ? [] : [one[2]]))
        assert.equal(Math.max(...highs(kept)), Math.max(...highs(all)))
        assert.equal(Math.min(...lows(kept)), Math.min(...lows(all)))
        const words = { message: 'ä"\n'.repeat(500), output: '\u0000'.repeat(9_999) }
        const entry = closed('r-1', judged({ ...words, samples: kept, reads: all.length, gate: 'x'.repeat(32) }))
        const read = readHistoryEntry(writeHistoryEntry(entry))
        const [past] = pastRollouts([read], [])
        assert.deepEqual(past?.stages[0]?.rows, JSON.parse(JSON.stringify(kept)), 'as JSON knows them: without -0')
      },
    ),
    { numRuns: 30 },
  )
})

/** The entry that the end of a stage leaves of a gate. */
function closed(rollout: string, said: Judged, seq = 1): HistoryEntry {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  for (let turn = 0; turn < 20; turn += 1) {
    sim.everybody()
    sim.conduct()
    const gathering = gather(sim.rollout, sim.view())
    if (gathering === null) continue
    const facts = closingFacts({ ...sim.rollout, id: rollout }, gathering, said)
    return { seq, prev: 'f'.repeat(64), at: AT, by: 'ana', event: 'gate-judged', facts }
  }
  throw new Error('no node ever ran the build')
}

function ended(rollout: string, phase: string, build: string): HistoryEntry {
  return { seq: 1, prev: '', at: AT, by: 'ana', event: 'ended', facts: { rollout, phase, build, outcome: '' } }
}

test('baselines are of good rollouts alone, newest first, and of one that was quarantined since no more', () => {
  const of = (rollout: string, ...highs: readonly number[]) =>
    closed(rollout, judged({ samples: highs.map((hi, i): Row => [i, 1, 0, hi]) }))
  const history = [
    ended('r-5', 'done', 'e'),
    closed('r-5', judged({ samples: [[0, 'no-samples']] })),
    ended('r-4', 'done', 'd'),
    of('r-4', 3, 5),
    ended('r-3', 'rolledBack', C),
    of('r-3', 900),
    ended('r-2', 'done', 'bad'),
    of('r-2', 700),
    ended('r-1', 'done', C),
    of('r-1', 2),
  ].map((entry) => (entry.event === 'ended' ? entry : { ...entry, facts: { ...entry.facts, build: undefined } }))
  const quarantine = { by: 'ana', reason: 'slow', at: AT }
  const past = pastRollouts(history, [{ build: 'bad', quarantine } as never])
  assert.deepEqual(
    past.map(({ rollout, good }) => [rollout, good]),
    [
      ['r-5', true],
      ['r-4', true],
      ['r-3', false],
      ['r-2', false],
      ['r-1', true],
    ],
  )
  const errors = { gate: 'errors', ring: 'production', before: null }
  assert.deepEqual(baselineOf(past, errors), [4, 2])
  assert.deepEqual(baselineOf(past, { ...errors, before: 'r-4' }), [2])
  assert.deepEqual(baselineOf(past, { ...errors, ring: 'canary' }), [])
})

test('whom gates are about: nobody before the first raise, nobody in a recall, then those who run it', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  assert.equal(gather(sim.rollout, sim.view()), null)
  const seen: (readonly [number, number, boolean])[] = []
  for (let turn = 0; turn < 100 && sim.rollout.phase !== 'done'; turn += 1) {
    sim.everybody()
    sim.conduct()
    const found = gather(sim.rollout, sim.view())
    if (found === null) continue
    const { nodes, oldNodes } = found.cohort
    assert.ok(nodes.every((node) => sim.nodes.some(({ name, said }) => name === node && said.hot === C)))
    assert.ok(nodes.length + oldNodes.length <= 10)
    seen.push([nodes.length, oldNodes.length, found.whole])
  }
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(seen.some(([fresh, old, whole]) => fresh > 0 && old > 0 && !whole))
  assert.ok(seen.filter(([, , whole]) => whole).every(([fresh]) => fresh === 10))
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  assert.equal(gather(sim.rollout, sim.view()), null)
})

test('a text is cut by the bytes that it has as JSON', () => {
  assert.equal(cutTo('short', 5), 'short')
  for (const text of ['ü'.repeat(50), '\u0000'.repeat(50), '"'.repeat(50)]) {
    assert.ok(Buffer.byteLength(JSON.stringify(cutTo(text, 20))) - 2 <= 20)
  }
})
