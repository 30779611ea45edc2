// Owns the promises of one request to Consul: it settles, it can be cancelled, and only an answer of the right shape is believed.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { connect } from '#test/support/connect.ts'
import { consulHeaders, kvAbsent, kvAnswer, type Lie, startLyingConsul } from '#test/support/lying-consul.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const code = (expected: ErrorCode) => (error: unknown) => error instanceof FleetError && error.code === expected
const bytes = (text: string) => Buffer.from(text)
const JSON_TYPE = consulHeaders(7)

test('A8: a server that takes the request and never answers is given up at the deadline, and its socket is destroyed', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ending: 'mute' }))
  const { client, signal } = connect(t, { url: lying.url, factor: 100 })
  await assert.rejects(client.get('k', signal), code('CONSUL_STALLED'))
  await until('no socket is left', () => lying.open === 0)
  assert.equal(lying.asked.length, 1, 'a stalled request is not sent again at once')
})

test('A8: an answer that stops in the middle of its body is given up at the deadline', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ...kvAnswer('k', 'v', 7), ending: 'hang' }))
  const { client, signal } = connect(t, { url: lying.url, factor: 100 })
  await assert.rejects(client.get('k', signal), code('CONSUL_STALLED'))
  await until('no socket is left', () => lying.open === 0)
})

test('A8: a blocking query is given its wait, the jitter Consul adds, and five seconds', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ending: 'mute' }))
  const { client, signal } = connect(t, { url: lying.url, factor: 100, waitMs: 16_000 })
  const began = client.clock.monotonic()
  await assert.rejects(client.get('k', signal, { index: 3 }), code('CONSUL_STALLED'))
  const took = client.clock.monotonic() - began
  assert.ok(took >= 22_000 && took < 40_000, `took ${took}`)
  assert.equal(lying.asked[0]?.query.get('wait'), '16000ms')
})

test('A12: an answer that breaks off fails at once and is asked for once more', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => ({
    ...kvAnswer('k', 'v', 7),
    ending: nth === 0 ? 'cut' : 'end',
  }))
  const { client, signal } = connect(t, { url: lying.url })
  assert.equal(Buffer.from((await client.get('k', signal)).value?.value ?? []).toString(), 'v')
  assert.equal(lying.asked.length, 2)
})

test('A12: an answer that breaks off twice is an error, within milliseconds', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ...kvAnswer('k', 'v', 7), ending: 'cut' }))
  const { client, signal } = connect(t, { url: lying.url })
  const began = performance.now()
  await assert.rejects(client.get('k', signal), code('CONSUL_UNREACHABLE'))
  assert.ok(performance.now() - began < 5_000)
  assert.equal(lying.asked.length, 2)
})

test('A12: a write whose connection breaks is never sent twice by itself', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ending: 'reset' }))
  const { client, signal } = connect(t, { url: lying.url })
  await assert.rejects(client.cas('k', bytes('v'), 3, signal), code('CONSUL_UNREACHABLE'))
  assert.equal(lying.asked.length, 1)
})

test('an aborted signal ends a request at once and destroys its socket', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ending: 'mute' }))
  const { client } = connect(t, { url: lying.url })
  const stop = new AbortController()
  const reason = new Error('enough')
  const reading = client.get('k', stop.signal, { index: 1 })
  await until('the query is out', () => lying.asked.length === 1)
  stop.abort(reason)
  await assert.rejects(reading, (error) => error === reason)
  await until('its socket is gone', () => lying.open === 0)
  await assert.rejects(client.get('k', stop.signal), (error) => error === reason)
  assert.equal(lying.asked.length, 1, 'an aborted signal sends nothing')
})

test('a request that is cancelled while its token is being read is never sent', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => kvAbsent(1))
  const tokenFile = join(await tmp(t, 'token'), 'token')
  await writeFile(tokenFile, 'secret')
  const { client, signal } = connect(t, { url: lying.url, tokenFile })
  const stop = new AbortController()
  const writing = client.put('k', bytes('v'), stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(writing, /enough/)
  await client.get('after', signal)
  assert.deepEqual(
    lying.asked.map((asked) => asked.path),
    ['/kv/after'],
  )
})

test('an answer that does not end is given up before it fills the memory', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ headers: JSON_TYPE, body: Buffer.alloc(70 * 1024 * 1024, ' ') }))
  const { client, signal } = connect(t, { url: lying.url })
  await assert.rejects(client.get('k', signal), code('CONSUL_UNREACHABLE'))
})

const NOT_CONSUL: Readonly<Record<string, Lie>> = {
  'a page with 200': { headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' },
  'a page that claims to be JSON': { headers: JSON_TYPE, body: '<html>sign in</html>' },
  'an empty 200': { headers: JSON_TYPE },
  'an empty 200 without a type': {},
  'JSON without its type': { headers: { 'content-type': 'text/plain' }, body: kvAnswer('k', 'v', 7).body ?? '' },
  "JSON of a type that is not Consul's": {
    headers: { 'content-type': 'text/json' },
    body: kvAnswer('k', 'v', 7).body ?? '',
  },
  'a 204': { status: 204, headers: JSON_TYPE },
  'an empty list': { headers: JSON_TYPE, body: '[]' },
  'a null': { headers: JSON_TYPE, body: 'null' },
  'an object': { headers: JSON_TYPE, body: '{"Key":"k"}' },
  'an entry of nothing': { headers: JSON_TYPE, body: '[{}]' },
  'an entry without an index': { headers: JSON_TYPE, body: '[{"Key":"k","Value":"dg==","Flags":0}]' },
  'an entry of another key': kvAnswer('other', 'v', 7),
  'a value that is no base64': {
    headers: JSON_TYPE,
    body: (kvAnswer('k', 'vvv', 7).body ?? '').toString().replace('dnZ2', 'd&Z2'),
  },
  'a list of nothing': { headers: JSON_TYPE, body: '[null]' },
  'an entry that hides what it has': { headers: JSON_TYPE, body: '[{"Key":"k","hasOwnProperty":1}]' },
  'half a JSON': { headers: JSON_TYPE, body: '[{"Key":"k","Val' },
  'a 404 page': { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>no such backend</html>' },
  'a 404 page with headers of Consul': { status: 404, headers: JSON_TYPE, body: '<html>no such backend</html>' },
  'a bare 404': { status: 404 },
  'a redirect': { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
  'a 400': { status: 400, body: 'Bad request' },
  'a 502 page': { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>bad gateway</html>' },
}
for (const [name, lie] of Object.entries(NOT_CONSUL)) {
  test(`A11: ${name} is an error and never "no such key"`, async (t: TestContext) => {
    const lying = await startLyingConsul(t, () => lie)
    const { client, signal } = connect(t, { url: lying.url })
    await assert.rejects(client.get('k', signal), code('CONSUL_BAD_ANSWER'))
    await assert.rejects(
      client.list('k', signal),
      name === 'an entry of another key' ? code('CONSUL_BAD_ANSWER') : FleetError,
    )
  })
}

test('A9: only Consul itself can say that a key is gone', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => kvAbsent(9))
  const { client, signal } = connect(t, { url: lying.url })
  const answer = await client.get('k', signal)
  assert.deepEqual(answer, { value: null, meta: { index: 9, knownLeader: true, lastContactMs: 0 } })
  assert.deepEqual((await client.list('k/', signal)).value, [])
})

test('a compare-and-set that lost says false, and no page says true', async (t: TestContext) => {
  const script = ['false', 'true', '<html>', '', '"true"']
  const lying = await startLyingConsul(t, ({ nth }) => ({ headers: JSON_TYPE, body: script[nth] ?? '' }))
  const { client, signal } = connect(t, { url: lying.url })
  assert.equal(await client.cas('k', bytes('v'), 3, signal), false)
  assert.equal(await client.cas('k', bytes('v'), 3, signal), true)
  for (let lie = 2; lie < script.length; lie += 1) {
    await assert.rejects(client.cas('k', bytes('v'), 3, signal), code('CONSUL_BAD_ANSWER'))
  }
  assert.equal(lying.asked[0]?.query.get('cas'), '3')
})

test('a plain write that Consul says false to is an error', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ headers: JSON_TYPE, body: 'false' }))
  const { client, signal } = connect(t, { url: lying.url })
  await assert.rejects(client.put('k', bytes('v'), signal), code('CONSUL_BAD_ANSWER'))
})

test('a session is gone only when Consul itself says so', async (t: TestContext) => {
  const id = 'c46f5c6d-fd3b-17e3-532b-174f2bf4851f'
  const script: readonly Lie[] = [
    { status: 404, headers: { 'content-type': 'text/plain' }, body: `Session id '${id}' not found` },
    { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>no such backend</html>' },
    { headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' },
    { headers: JSON_TYPE, body: JSON.stringify([{ ID: id }]) },
  ]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? {})
  const { client, signal } = connect(t, { url: lying.url })
  assert.equal(await client.renewSession(id, signal), false)
  await assert.rejects(client.renewSession(id, signal), code('CONSUL_BAD_ANSWER'))
  await assert.rejects(client.renewSession(id, signal), code('CONSUL_BAD_ANSWER'))
  assert.equal(await client.renewSession(id, signal), true)
})

const REFUSALS: readonly (readonly [string, Lie, ErrorCode])[] = [
  ['A13: a refused token', { status: 403, body: 'Permission denied' }, 'CONSUL_DENIED'],
  ['A13: an unknown token', { status: 403, body: 'ACL not found' }, 'CONSUL_DENIED'],
  ['A19: a rate limit', { status: 429, body: 'Too Many Requests' }, 'CONSUL_LIMITED'],
  ['A19: an exhausted server', { status: 500, body: 'rpc error: code = RESOURCE_EXHAUSTED' }, 'CONSUL_LIMITED'],
  ['A1: no leader', { status: 500, body: 'No cluster leader' }, 'CONSUL_NO_LEADER'],
  ['A1: a leader that dies', { status: 500, body: 'rpc error making call: EOF' }, 'CONSUL_UNREACHABLE'],
  ['A20: a value that is too large', { status: 413, body: 'Request body too large' }, 'CONSUL_TOO_LARGE'],
  ['A18: a connection that is closed at once', { ending: 'reset' }, 'CONSUL_UNREACHABLE'],
]
for (const [name, lie, expected] of REFUSALS) {
  test(`${name} is ${expected}`, async (t: TestContext) => {
    const lying = await startLyingConsul(t, () => ({ headers: { 'content-type': 'text/plain' }, ...lie }))
    const { client, signal, requests } = connect(t, { url: lying.url })
    await assert.rejects(client.get('k', signal), code(expected))
    await assert.rejects(client.cas('k', bytes('v'), 1, signal), code(expected))
    assert.equal(requests.at(-1)?.outcome, expected)
    assert.equal(requests.at(-1)?.kind, 'writing')
  })
}

test('A17: a Consul that is not there is said to be so', async (t: TestContext) => {
  const { client, signal } = connect(t, { url: 'http://127.0.0.1:1' })
  await assert.rejects(client.get('k', signal), (error) => {
    assert.ok(code('CONSUL_UNREACHABLE')(error))
    assert.match(String(error), /Consul at 127\.0\.0\.1:1 refuses connections/)
    return true
  })
})

test('A13: the token file is read again when it changes, and the last good token outlives a moment without it', async (t: TestContext) => {
  const dir = await tmp(t, 'token')
  const tokenFile = join(dir, 'token')
  await writeFile(tokenFile, 'first\n')
  const lying = await startLyingConsul(t, () => kvAbsent(1))
  const { client, signal } = connect(t, { url: lying.url, tokenFile })
  await client.get('k', signal)
  await writeFile(tokenFile, 'the second\n')
  await client.get('k', signal)
  assert.deepEqual(
    lying.asked.map((asked) => asked.headers['x-consul-token']),
    ['first', 'the second'],
  )
  const missing = connect(t, { url: lying.url, tokenFile: join(dir, 'none') })
  await assert.rejects(missing.client.get('k', signal), code('CONSUL_DENIED'))
})

test('H9: no error of a request shows the token, however deep it is printed', async (t: TestContext) => {
  const script: readonly Lie[] = [
    { status: 403, body: 'Permission denied' },
    { status: 500 },
    { ending: 'cut' },
    { ending: 'reset' },
  ]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? {})
  const { client, signal } = connect(t, { url: lying.url, token: 'canary-7f3e' })
  for (const _ of script) {
    const error = await client.put('k', bytes('v'), signal).catch((caught: unknown) => caught)
    assert.ok(error instanceof FleetError)
    assert.doesNotMatch(inspect(error, { depth: 20 }), /canary-7f3e/)
  }
})

test('A20: a transaction of more than 64 operations is refused before it is sent', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({}))
  const { client, signal } = connect(t, { url: lying.url })
  const operations = Array.from({ length: 65 }, (_, at) => ({ verb: 'check-not-exists', key: `k${at}` }) as const)
  await assert.rejects(client.transact(operations, signal), code('CONSUL_TOO_LARGE'))
  assert.equal(lying.asked.length, 0)
})

test('a transaction answered 409 without reasons, or 200 without results, is no answer', async (t: TestContext) => {
  const script: readonly Lie[] = [
    { status: 409, headers: { 'content-type': 'text/html' }, body: '<html>conflict</html>' },
    { status: 409, headers: JSON_TYPE, body: '{"Results":null,"Errors":[]}' },
    { headers: JSON_TYPE, body: '[]' },
    { headers: JSON_TYPE, body: '{"Results":[{"Node":{}}]}' },
    { headers: { 'content-type': 'text/html' }, body: '<html>' },
  ]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? {})
  const { client, signal } = connect(t, { url: lying.url })
  for (const _ of script) {
    await assert.rejects(client.transact([{ verb: 'get', key: 'k' }], signal), code('CONSUL_BAD_ANSWER'))
  }
})

test('A5: an index that is missing, doubled, negative or beyond counting is read as none', async (t: TestContext) => {
  const script = ['', '7, 8', '-1', '99999999999999999999', '0x10', '12']
  const lying = await startLyingConsul(t, ({ nth }) =>
    kvAnswer('k', 'v', 1, 1, { 'x-consul-index': script[nth] ?? '' }),
  )
  const { client, signal } = connect(t, { url: lying.url })
  const seen: number[] = []
  for (const _ of script) seen.push((await client.get('k', signal)).meta.index)
  assert.deepEqual(seen, [0, 0, 0, 0, 0, 12])
})

test('a hundred requests one after the other use one connection', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => kvAbsent(1))
  const { client, signal } = connect(t, { url: lying.url })
  for (let turn = 0; turn < 100; turn += 1) await client.get('k', signal)
  assert.equal(lying.accepted, 1)
})

test('the address of Consul must be a URL of http or https', () => {
  for (const url of ['127.0.0.1:8500', 'unix:///run/consul.sock', '']) {
    assert.throws(() => connect({ after: () => undefined }, { url }), code('CONFIG_INVALID'))
  }
})
