// Owns the proof that the load proof can fail: each way in which a run may break its promise is a sentence, and a page is judged by the byte.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replyIn } from '#test/load/connection.ts'
import type { Findings } from '#test/load/course.ts'
import { judgeOf, pageFile } from '#test/load/page.ts'
import { type LoadReport, Tally, tookAt } from '#test/load/tally.ts'
import { broken, figures, toothless } from '#test/load/verdict.ts'

const LOAD: LoadReport = {
  sent: 1_000,
  served: 1_000,
  mixed: 0,
  failed: 0,
  open: 0,
  met: 0,
  why: [],
  nodes: { 'node-1': { answered: 500, turns: 1, build: 'b' }, 'node-2': { answered: 500, turns: 1, build: 'b' } },
  seconds: [500, 500],
  sendingMs: 2_000,
  took: [0, 1_000],
  connections: 10,
}
const BALANCER: Findings['balancer'] = {
  answers: { '1xx': 0, '2xx': 1_000, '3xx': 0, '4xx': 0, '5xx': 0, other: 0 },
  refused: 0,
  broken: 0,
  retried: 0,
  failedChecks: 0,
}
/** Two swaps that kept the promise. */
const WELL: Findings = {
  course: { swaps: 2, perSecond: 500, nodes: 2, drained: true },
  load: LOAD,
  ms: 2_100,
  swaps: [
    { node: 'node-1', ms: 900, answered: 400 },
    { node: 'node-2', ms: 800, answered: 400 },
  ],
  counted: { swapped: 2, reverted: 0, failed: 0 },
  waited: 2,
  balancer: BALANCER,
}
const withLoad = (load: Partial<LoadReport>): Findings => ({ ...WELL, load: { ...LOAD, ...load } })

test('a run that kept its promise breaks nothing', () => {
  assert.deepEqual(broken(WELL), [])
})

for (const [what, findings, sentence] of [
  [
    'a failed request',
    withLoad({ served: 999, failed: 1, why: ['node-1: status 503'] }),
    /^1 requests failed \(node-1: /,
  ],
  ['a mixed page', withLoad({ served: 999, mixed: 1, met: 1 }), /^1 pages mixed two builds/],
  ['a page in work while the link moved', withLoad({ met: 1 }), /^1 pages were in work while the link moved$/],
  ['a request without an answer', withLoad({ served: 999, open: 1 }), /^1 requests were never answered$/],
  ['a request that nobody counted', withLoad({ served: 999 }), /^the counts do not add up$/],
  ['a swap that no page shows', withLoad({ nodes: {} }), /^the pages changed their build 0 times in 2 swaps$/],
  ['a swap too few', { ...WELL, swaps: WELL.swaps.slice(1) }, /^1 swaps were seen, not 2$/],
  [
    'a swap that no puller counted',
    { ...WELL, counted: { swapped: 1, reverted: 0, failed: 0 } },
    /^the pullers counted 1 /,
  ],
  [
    'a swap taken back',
    { ...WELL, counted: { swapped: 2, reverted: 1, failed: 0 } },
    /^1 swaps were reverted, 0 failed$/,
  ],
  [
    'a swap without traffic',
    { ...WELL, swaps: WELL.swaps.map((swap) => ({ ...swap, answered: 0 })) },
    /^no request was /,
  ],
  ['drains that never waited', { ...WELL, waited: 0 }, /^no drain ever found a request in work/],
  ['a retry', { ...WELL, balancer: { ...BALANCER, retried: 1 } }, /^HAProxy sent 1 requests once more$/],
  ['a broken connection', { ...WELL, balancer: { ...BALANCER, broken: 1 } }, /^HAProxy counted 1 broken/],
  ['counts of HAProxy that differ', withLoad({ sent: 999, served: 999 }), /^HAProxy gave 1000 .* the load got 999$/],
] as const) {
  test(`told: ${what}`, () => {
    assert.ok(
      broken(findings).some((said) => sentence.test(said)),
      JSON.stringify(broken(findings)),
    )
  })
}

test('a control is worth something only when more than 1 % of its pages are mixed', () => {
  assert.deepEqual(toothless(withLoad({ served: 990, mixed: 10, met: 12 })), [])
  assert.deepEqual(toothless(withLoad({ served: 991, mixed: 9, met: 12 })), ['only 0.90 % of the pages were mixed'])
  assert.deepEqual(toothless(WELL, 0), ['only 0.00 % of the pages were mixed'])
})

test('a page is served when it is whole and of one build, mixed when it is of two, and anything else has failed', () => {
  const judge = judgeOf(['a', 'b'])
  const page = (first: string, second: string) => pageFile('layout.html', first) + pageFile('content.html', second)
  assert.deepEqual(judge(200, page('a', 'a')), { kind: 'served', build: 'a' })
  assert.deepEqual(judge(200, page('a', 'b')), { kind: 'mixed', why: 'layout of a, content of b' })
  for (const [status, body] of [
    [500, page('a', 'a')],
    [200, page('a', 'a').slice(0, -1)],
    [200, page('c', 'c')],
    [200, ''],
  ] as const) {
    assert.equal(judge(status, body).kind, 'failed', `${status} ${body.length}`)
  }
})

test('an answer is read when all of it has come, and by its length', () => {
  const whole = 'HTTP/1.1 200 OK\r\nX-Node: node-1\r\nContent-Length: 4\r\n\r\nbody'
  for (let bytes = 0; bytes < whole.length; bytes += 1) assert.equal(replyIn(whole.slice(0, bytes)), null)
  const found = replyIn(`${whole}HTTP/1.1`)
  assert.equal(found?.length, whole.length)
  assert.equal(found.reply.status, 200)
  assert.equal(found.reply.body, 'body')
  assert.equal(found.reply.header('x-node'), 'node-1')
  assert.equal(found.reply.header('x-met'), '')
  assert.throws(() => replyIn('HTTP/1.1 200 OK\r\n\r\n'), /not an answer/)
})

test('times are counted to the millisecond, answers to the second, and turns by node', () => {
  const tally = new Tally()
  tally.sent = 101
  for (let ms = 1; ms <= 100; ms += 1) {
    const build = ms <= 50 ? 'a' : 'b'
    tally.settle({ kind: 'served', build }, { node: 'node-1', met: false, atMs: ms * 20, tookMs: ms })
  }
  const report = tally.report({ atEnd: true })
  assert.deepEqual([tookAt(report, 0.5), tookAt(report, 0.99), tookAt(report, 1)], [50, 99, 100])
  assert.deepEqual(report.nodes, { 'node-1': { answered: 100, turns: 1, build: 'b' } })
  assert.deepEqual(report.seconds, [49, 50, 1])
  assert.equal(report.open, 1)
})

test('the figures name the average and the lowest second, and say when the rate was not reached', () => {
  const of = (...seconds: readonly number[]) => figures(withLoad({ seconds: [...seconds, 3] })).join('\n')
  assert.match(of(600, 400), /answered a second: 500 on the average, 400 in the lowest;/)
  assert.match(of(500, 400), /450 on the average, 400 in the lowest \(the rate of 500 WAS NOT REACHED\);/)
})
