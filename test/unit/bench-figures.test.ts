// Owns the proof of how benches count: medians and percentiles, turns, quotients, and a page that says plainly what does not hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { performancePage } from '#bench/doc/page.ts'
import { choose, seeded } from '#bench/kit/random.ts'
import { type Result, ratio } from '#bench/kit/result.ts'
import { type Contestant, compare, latencies, percentile } from '#bench/kit/rounds.ts'
import { heading, shown } from '#bench/kit/table.ts'

const values = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

test('a percentile lies between its neighbours, whatever the order of what was measured', () => {
  assert.equal(percentile([5, 1, 3], 0.5), 3)
  assert.equal(percentile([4, 1, 2, 3], 0.5), 2.5)
  assert.equal(percentile(values(101), 0.99), 100)
  assert.throws(() => percentile([], 0.5), RangeError)
})

test('contestants take turns, each prepared and settled before and restored after its timed part', async () => {
  const done: string[] = []
  const one = (name: string): Contestant => ({
    name,
    what: '',
    prepare: () => void done.push(`${name} prepares`),
    run: async (round) => {
      done.push(`${name} runs`)
      return { ms: 10 * round + 1 }
    },
    restore: () => void done.push(`${name} restores`),
  })
  const settle = async () => void done.push('settled')
  const measured = await compare([one('a'), one('b')], 3, settle, () => undefined)
  const turn = (name: string) => [`${name} prepares`, 'settled', `${name} runs`, `${name} restores`]
  const round = [...turn('a'), ...turn('b')]
  assert.deepEqual(done, [...round, ...round, ...round])
  assert.deepEqual(
    measured.map(({ medians }) => medians),
    [{ ms: 11 }, { ms: 11 }],
  )
})

test('a contestant that fails is cleaned up after, and its own error is told', async () => {
  const done: string[] = []
  const broken: Contestant = {
    name: 'a',
    what: '',
    run: () => Promise.reject(new Error('the disk is full')),
    restore: async () => {
      done.push('restored')
      throw new Error('nothing to restore')
    },
  }
  const settle = () => Promise.resolve()
  await assert.rejects(() => compare([broken], 2, settle, () => undefined), /the disk is full/)
  assert.deepEqual(done, ['restored'])
})

test('a quotient names both sides, and one of a figure that was not measured is an error', () => {
  const measured = [latencies('ours', '', [2, 2, 2]), latencies('theirs', '', [8, 8, 8])]
  assert.deepEqual(ratio(measured, ['ours'], ['theirs', 'p99Ms']), { name: 'ours ms ÷ theirs p99Ms', value: 0.25 })
  assert.throws(() => ratio(measured, ['ours'], ['theirs', 'durableMs']), /theirs has no durableMs/)
})

test('a choice of many takes each as often as any other, and none twice', () => {
  const random = seeded(3)
  const times = new Map(values(10).map((value) => [value, 0]))
  for (let turn = 0; turn < 4_000; turn += 1) {
    const chosen = choose(random, values(10), 3)
    assert.equal(new Set(chosen).size, 3)
    for (const value of chosen) times.set(value, (times.get(value) ?? 0) + 1)
  }
  // 1,200 expected of each; 29 is the deviation.
  for (const [value, count] of times) assert.ok(Math.abs(count - 1_200) < 150, `${value} was chosen ${count} times`)
})

test('headings carry the unit, figures are in it', () => {
  assert.deepEqual(['ms', 'durableMs', 'fetchedBytes', 'peakMiB', 'cpuPercent'].map(heading), [
    'ms',
    'durable ms',
    'fetched MB',
    'peak MiB',
    'cpu %',
  ])
  assert.deepEqual(
    [shown(1_400_000, 'fetchedBytes'), shown(1_234.5, 'ms'), shown(0.061, 'ms')],
    ['1.40', '1,235', '0.061'],
  )
})

test('what does not hold is said plainly at the top of the page', () => {
  const promised = { text: 'half the time', unit: '×', measured: 0.7, most: 0.5 } as const
  const result: Result = {
    v: 1,
    bench: 'full-20k',
    title: 'First full staging',
    at: '2026-11-25T12:00:00.000Z',
    seconds: 1,
    rounds: 5,
    machine: { cores: 2 },
    versions: { node: 'v26' },
    notes: ['A note.'],
    parameters: {},
    measured: [latencies('ours', 'our way', [1, 2, 3])],
    ratios: [],
    promises: [
      { ...promised, order: 999 },
      { ...promised, order: 2, text: 'all of the time', most: 1 },
    ],
  }
  const page = performancePage([result])
  assert.match(
    page,
    /\| all of the time \| 0\.70 × \| 1 × \| yes \|\n\| half the time \| 0\.70 × \| 0\.5 × \| \*\*no\*\* \|/,
  )
  assert.match(page, /1 of 2 do not hold on this machine/)
  assert.match(page, /npm run bench -- full-20k`, 2026-11-25, medians and 99th percentiles over `count`/)
  assert.match(performancePage([]), /Nothing was measured yet/)
})
