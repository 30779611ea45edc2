// Owns the contract of the metrics port, on a real Prometheus that scrapes a real exporter, and on servers that lie.
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { prometheus } from '#adapters/prometheus/metrics.ts'
import { type ErrorCode, isFleetError } from '#fleet/errors.ts'
import { listen } from '#test/support/listen.ts'
import { startExporter, startPrometheus } from '#test/support/prometheus.ts'
import { until } from '#test/support/until.ts'

const NEVER = new AbortController().signal
const now = { atMs: null, timeoutMs: 5_000 }

const is = (code: ErrorCode, text: RegExp) => (error: unknown) => {
  assert.ok(isFleetError(error, code), `${code} was expected, not ${error}`)
  assert.match(error.message, text)
  return true
}

test('a real Prometheus: values now and before, a range, no samples, NaN and Inf, and a query that it refuses', async (t) => {
  const exporter = await startExporter(t)
  await exporter.say({
    gauges: { 'load{node="a.b"}': '0.25', 'load{node="c"}': '0.75', odd: 'NaN', endless: '+Inf', down: '-Inf' },
  })
  const beforeMs = Date.now() - 60_000
  const { url } = await startPrometheus(t, [exporter])
  const metrics = prometheus({ url })
  const values = await until('it was scraped', async () => {
    const found = await metrics.instant('load', now, NEVER)
    return found.length === 2 ? found : null
  })
  assert.deepEqual([...values].sort(), [0.25, 0.75])
  assert.deepEqual(await metrics.instant('load{node=~"a[.]b"}', now, NEVER), [0.25])
  assert.deepEqual(await metrics.instant('scalar(sum(load)) + 1', now, NEVER), [2], 'a scalar is one value')
  assert.deepEqual(await metrics.instant('nothing_of_the_kind', now, NEVER), [])
  assert.deepEqual(await metrics.instant('load', { ...now, atMs: beforeMs }, NEVER), [], 'nothing was known then')
  assert.deepEqual(await metrics.instant('odd', now, NEVER), [Number.NaN])
  assert.deepEqual(await metrics.instant('endless', now, NEVER), [Number.POSITIVE_INFINITY])
  assert.deepEqual(await metrics.instant('down', now, NEVER), [Number.NEGATIVE_INFINITY])
  assert.deepEqual(await metrics.instant('sum(load) / 0 * 0', now, NEVER), [Number.NaN])

  const toMs = Date.now()
  const span = { fromMs: toMs - 5_000, toMs, stepMs: 1_000, timeoutMs: 5_000 }
  const [points = []] = await metrics.range('load{node="c"}', span, NEVER)
  assert.ok(points.length > 0 && points.every(({ atMs, value }) => value === 0.75 && atMs <= toMs))
  assert.deepEqual(await metrics.range('nothing_of_the_kind', span, NEVER), [])

  await assert.rejects(metrics.instant('sum(', now, NEVER), is('METRICS_BAD_QUERY', /bad_data.*parse error/))
  await assert.rejects(metrics.instant('load[5s]', now, NEVER), is('METRICS_BAD_QUERY', /a range of values/))
  const twice = 'load * on() group_left() load'
  await assert.rejects(metrics.instant(twice, now, NEVER), is('METRICS_BAD_QUERY', /execution/))
})

test('a real Prometheus that hangs, and one that is gone, are told apart, and a signal ends the question', async (t) => {
  const server = await startPrometheus(t, [])
  const metrics = prometheus({ url: server.url })
  await server.pause()
  const hanging = metrics.instant('up', { ...now, timeoutMs: 200 }, NEVER)
  await assert.rejects(hanging, is('METRICS_STALLED', /gave no whole answer within 200 ms/))
  const stop = new AbortController()
  const asked = metrics.instant('up', now, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
  server.resume()
  await server.stop()
  await assert.rejects(metrics.instant('up', now, NEVER), is('METRICS_UNREACHABLE', /cannot be reached/))
})

/** A server that answers each request by `answer`. */
async function lying(t: TestContext, answer: (response: ServerResponse, authorization: string) => void) {
  const server = createServer((request, response) => {
    request.resume()
    answer(response, request.headers.authorization ?? '')
  })
  return await listen(t, server)
}

const says = (status: number, body: string) => (response: ServerResponse) => {
  response.writeHead(status).end(body)
}
const sample = (value: string) =>
  `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,${value}]}]}}`
const result = (data: string) => `{"status":"success","data":${data}}`

const LIES: readonly [string, ReturnType<typeof says>, ErrorCode, RegExp][] = [
  ['a page with status 200', says(200, '<html>welcome</html>'), 'METRICS_BAD_ANSWER', /200 and no JSON/],
  ['JSON of another kind', says(200, '{"status":"ok"}'), 'METRICS_BAD_ANSWER', /something else than a result/],
  ['a result under a wrong status', says(500, sample('"1"')), 'METRICS_BAD_ANSWER', /500 and something else/],
  ['a value that is no number', says(200, sample('"much"')), 'METRICS_BAD_ANSWER', /"much" where a number/],
  ['an empty value', says(200, sample('""')), 'METRICS_BAD_ANSWER', /"" where a number/],
  [
    'a histogram',
    says(200, result('{"resultType":"vector","result":[{"histogram":[1,{}]}]}')),
    'METRICS_BAD_QUERY',
    /histograms/,
  ],
  ['a string', says(200, result('{"resultType":"string","result":[1,"2"]}')), 'METRICS_BAD_ANSWER', /something else/],
  [
    'a redirect',
    (response) => response.writeHead(302, { location: '/' }).end(),
    'METRICS_BAD_ANSWER',
    /302, a redirect/,
  ],
  ['a broken proxy', says(502, 'bad gateway'), 'METRICS_UNREACHABLE', /502: it is overloaded or broken/],
  ['a login', says(401, ''), 'METRICS_DENIED', /401/],
  [
    'a query that took too long',
    says(503, '{"status":"error","errorType":"timeout","error":"slow"}'),
    'METRICS_STALLED',
    /timeout: slow/,
  ],
  [
    'warnings: a part is missing',
    says(200, sample('"1"').replace('{"status"', '{"warnings":["store-2 is away"],"status"')),
    'METRICS_PARTIAL',
    /store-2 is away/,
  ],
  [
    'an answer without end',
    (response) => response.end(Buffer.alloc(5 * 1024 * 1024, ' ')),
    'METRICS_BAD_ANSWER',
    /more than 4194304 bytes/,
  ],
]

test('nothing is believed that is not a whole answer of a Prometheus', async (t) => {
  let lie: ReturnType<typeof says> = says(200, '')
  const host = await lying(t, (response) => lie(response))
  const metrics = prometheus({ url: `http://${host}/prom` })
  for (const [what, how, code, text] of LIES) {
    lie = how
    await assert.rejects(metrics.instant('up', now, NEVER), is(code, text), what)
  }
  lie = (response) => void response.writeHead(200).write(sample('"1"').slice(0, 20))
  await assert.rejects(
    metrics.instant('up', { ...now, timeoutMs: 100 }, NEVER),
    is('METRICS_STALLED', /no whole answer/),
  )
  lie = says(200, result('{"resultType":"matrix","result":[{"values":[[1,"2"],[2,"NaN"]]}]}'))
  const span = { fromMs: 0, toMs: 2_000, stepMs: 1_000, timeoutMs: 1_000 }
  assert.deepEqual(await metrics.range('up', span, NEVER), [
    [
      { atMs: 1_000, value: 2 },
      { atMs: 2_000, value: Number.NaN },
    ],
  ])
  lie = says(200, sample('"1"'))
  await assert.rejects(metrics.range('up', span, NEVER), is('METRICS_BAD_ANSWER', /a vector where a matrix/))
})

test('a user in the URL and headers are sent, and never shown', async (t) => {
  const host = await lying(t, (response, authorization) =>
    says(authorization === 'Basic YW5hOmxldCBtZQ==' ? 200 : 403, sample('"3"'))(response),
  )
  assert.deepEqual(await prometheus({ url: `http://ana:let%20me@${host}` }).instant('up', now, NEVER), [3])
  const wrong = prometheus({ url: `http://ana:secret@${host}`, headers: { 'x-scope': 'secret' } })
  await assert.rejects(wrong.instant('up', now, NEVER), (error) => {
    assert.ok(isFleetError(error, 'METRICS_DENIED'))
    assert.doesNotMatch(error.message, /secret/)
    return true
  })
})
