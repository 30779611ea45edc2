// Owns the promises of the watch loop against a Consul that lies: nothing is lost, nothing is believed too soon, and nothing spins.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { targetFeed } from '#adapters/consul/feed.ts'
import type { FeedEvent } from '#fleet/ports.ts'
import { type Connected, connect } from '#test/support/connect.ts'
import { kvAbsent, kvAnswer, type Lie, type Script, startLyingConsul } from '#test/support/lying-consul.ts'
import { until } from '#test/support/until.ts'

const KEY = 'hotcold/v1/web/production/target'
const target = (value: string, index: number, modifyIndex = index): Lie => kvAnswer(KEY, value, index, modifyIndex)

interface Watching extends Connected {
  readonly events: readonly FeedEvent[]
  /** The values of the readings so far, `absent` for none, `!CODE` for a trouble. */
  seen(): readonly string[]
  readonly ended: Promise<void>
  stop(): void
}

/** Watches the target at `url` and keeps what the feed yields. */
function watching(t: TestContext, url: string, options: { factor?: number; waitMs?: number } = {}): Watching {
  const connected = connect(t, { url, waitMs: 60_000, ...options })
  const feed = targetFeed(connected.client, { app: 'web', ring: 'production' })
  const stop = new AbortController()
  const events: FeedEvent[] = []
  const ended = (async () => {
    for await (const event of feed.watch(AbortSignal.any([stop.signal, connected.signal]))) events.push(event)
  })()
  const wordFor = (event: FeedEvent) => {
    if (event.type === 'trouble') return `!${event.error.code}`
    return event.reading.kind === 'absent' ? 'absent' : Buffer.from(event.reading.raw).toString()
  }
  return { ...connected, events, ended, seen: () => events.map(wordFor), stop: () => stop.abort(new Error('enough')) }
}

/** Answers a read that does not block with `now`, and lets a blocking one wait for ever. */
function quiet(now: () => Lie): Script {
  return ({ query }) => (query.has('index') ? { ending: 'mute' } : now())
}

test('the first reading comes at once, from any server, and the next read blocks for 60 s on its index', async (t: TestContext) => {
  const lying = await startLyingConsul(
    t,
    quiet(() => target('b1', 41)),
  )
  const watch = watching(t, lying.url)
  await until('the blocking read is out', () => lying.asked.length === 2)
  assert.deepEqual(watch.seen(), ['b1'])
  assert.deepEqual(
    lying.asked.map(({ query }) => [query.has('stale'), query.get('index'), query.get('wait')]),
    [
      [true, null, null],
      [true, '41', '60000ms'],
    ],
  )
  const [first] = watch.events
  assert.ok(first?.type === 'reading' && first.reading.stale && first.reading.kind === 'value')
  assert.equal(first.reading.modifyIndex, 41)
})

test('an aborted watch ends without an error and leaves no socket', async (t: TestContext) => {
  const lying = await startLyingConsul(
    t,
    quiet(() => target('b1', 41)),
  )
  const watch = watching(t, lying.url)
  await until('the blocking read is out', () => lying.asked.length === 2)
  watch.stop()
  await watch.ended
  await until('no socket is left', () => lying.open <= 1)
  assert.equal(lying.asked.length, 2)
})

test('A3: an index that goes backwards is read again from the start', async (t: TestContext) => {
  const script = [target('b1', 50), target('b0', 7), target('b0', 7)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it blocks on the index that is true now', () => lying.asked.length === 4)
  assert.deepEqual(
    lying.asked.map(({ query }) => query.get('index')),
    [null, '50', null, '7'],
  )
  assert.deepEqual(watch.seen(), ['b1', 'b0'])
})

for (const header of ['0', '', 'none']) {
  test(`A5: an index of "${header}" counts as 1, is said once, and does not make the loop spin`, async (t: TestContext) => {
    const lying = await startLyingConsul(t, () => kvAnswer(KEY, 'b1', 9, 9, { 'x-consul-index': header }))
    const watch = watching(t, lying.url, { factor: 100 })
    // The first, two for free, then one every 15 s, which are 150 ms here.
    await until('the bucket has run dry', () => lying.asked.length >= 5)
    assert.ok((lying.asked[4]?.atMs ?? 0) - (lying.asked[3]?.atMs ?? 0) >= 140)
    assert.equal(lying.asked[1]?.query.get('index'), '1')
    assert.equal(watch.log.lines.filter((line) => line.message === 'consul sent no index').length, 1)
    assert.deepEqual(watch.seen(), ['b1'])
  })
}

test('A6: an index that flaps is asked a few times and then once in 15 s, and the newest record wins', async (t: TestContext) => {
  let newest = 'b1'
  const lying = await startLyingConsul(t, ({ nth }) => target(newest, nth % 2 === 0 ? 10 : 9, newest === 'b1' ? 8 : 9))
  const watch = watching(t, lying.url, { factor: 50 })
  await until('the burst is over', () => lying.asked.length === 4)
  newest = 'b2'
  const before = performance.now()
  await until('the new record is seen', () => watch.seen().includes('b2'))
  const took = (performance.now() - before) * 50
  assert.ok(lying.asked.length <= 4 + 2 + took / 15_000, `${lying.asked.length} requests in ${took} ms`)
  assert.deepEqual(watch.seen(), ['b1', 'b2'])
})

test('A6: a record that changes with each answer is followed at two a second, not at thousands', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => target(`b${nth}`, nth + 1))
  const watch = watching(t, lying.url, { factor: 10 })
  await until('the burst is well over', () => lying.asked.length >= 40)
  const took = ((lying.asked[39]?.atMs ?? 0) - (lying.asked[0]?.atMs ?? 0)) * 10
  // Twenty come at once, the others one every half second.
  assert.ok(took >= 18 * 500, `forty answers in ${took} ms`)
  assert.equal(watch.seen().at(-1)?.startsWith('b'), true)
})

test('twelve changes in a row get through at once', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => (nth < 12 ? target(`b${nth}`, nth + 1) : { ending: 'mute' }))
  const began = performance.now()
  const watch = watching(t, lying.url)
  await until('all were seen', () => watch.events.length === 12)
  assert.ok(performance.now() - began < 1_000)
})

test('A7: a stale answer of a server that is behind is handed on with its index, for the ratchet to refuse', async (t: TestContext) => {
  const script = [target('b2', 60), target('b1', 60, 50)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('both were seen', () => watch.events.length === 2)
  const marks = watch.events.map((event) => event.type === 'reading' && event.reading.kind === 'value' && event.reading)
  assert.deepEqual(
    marks.map((mark) => mark && [mark.modifyIndex, mark.stale]),
    [
      [60, true],
      [50, true],
    ],
  )
})

test('A9: a deleted key is said once, asked for every 15 s without blocking, and seen when it is back', async (t: TestContext) => {
  let there = true
  const lying = await startLyingConsul(t, ({ nth }) => {
    if (nth === 0) return target('b1', 20)
    if (nth > 5) there = true
    return nth === 1 || !there ? kvAbsent(30 + nth) : nth > 6 ? { ending: 'mute' } : target('b1', 40)
  })
  there = false
  const watch = watching(t, lying.url, { factor: 100 })
  await until('it is back', () => watch.seen().length === 3)
  assert.deepEqual(watch.seen(), ['b1', 'absent', 'b1'])
  const polls = lying.asked.slice(2, 6)
  assert.ok(polls.every(({ query }) => !query.has('index')))
  for (const [at, poll] of polls.entries()) {
    const gap = poll.atMs - (lying.asked[at + 1]?.atMs ?? 0)
    assert.ok(gap >= 130 && gap < 300, `polled after ${gap} ms, which stand for ${gap * 100}`)
  }
})

test('A11: pages, empty answers and broken ones are troubles; the last reading stands and is told again when they are over', async (t: TestContext) => {
  const script: readonly Lie[] = [
    target('b1', 20),
    { headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' },
    { headers: { 'content-type': 'application/json' } },
    { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' },
    target('b1', 20),
  ]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url, { factor: 100 })
  await until('it is over', () => watch.events.length === 5)
  const bad = '!CONSUL_BAD_ANSWER'
  assert.deepEqual(watch.seen(), ['b1', bad, bad, bad, 'b1'])
  const since = watch.events.map((event) => (event.type === 'trouble' ? event.sinceMs : 0))
  assert.ok((since[3] ?? 0) > (since[2] ?? 0) && (since[2] ?? 0) > 0, 'it says for how long')
})

test('one 400 does not end a watch', async (t: TestContext) => {
  const script: readonly Lie[] = [{ status: 400, body: 'Bad request' }, target('b1', 20)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url, { factor: 100 })
  await until('the value is seen', () => watch.seen().at(-1) === 'b1')
})

test('A12: a watch whose answers break off goes on when they are whole again', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => {
    if (nth < 4) return { ...target('b1', 20), ending: 'cut' }
    return nth === 4 ? target('b1', 20) : { ending: 'mute' }
  })
  const watch = watching(t, lying.url, { factor: 100 })
  await until('the value is seen', () => watch.seen().at(-1) === 'b1')
  assert.deepEqual(watch.seen(), ['!CONSUL_UNREACHABLE', '!CONSUL_UNREACHABLE', 'b1'])
})

test('A8: a watch that hangs is given up after 69 s and begun again on a new connection', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => {
    if (nth === 0) return target('b1', 20)
    return nth === 2 ? target('b2', 21) : { ending: 'mute' }
  })
  const watch = watching(t, lying.url, { factor: 200 })
  await until('it is over the stall', () => watch.seen().at(-1) === 'b2')
  assert.deepEqual(watch.seen(), ['b1', '!CONSUL_STALLED', 'b2'])
  const [, stall] = watch.events
  assert.match(stall?.type === 'trouble' ? stall.error.message : '', /stalled for (69|7\d) s/)
  assert.equal(lying.accepted, 2)
})

test('A13: a refused token is asked about again after 15 to 30 s, not sooner, and the watch goes on', async (t: TestContext) => {
  const denied: Lie = { status: 403, headers: { 'content-type': 'text/plain' }, body: 'Permission denied' }
  const lying = await startLyingConsul(t, ({ nth }) =>
    nth < 3 ? denied : nth === 3 ? target('b1', 20) : { ending: 'mute' },
  )
  const watch = watching(t, lying.url, { factor: 100 })
  await until('the token is good', () => watch.seen().at(-1) === 'b1')
  assert.deepEqual(watch.seen(), ['!CONSUL_DENIED', '!CONSUL_DENIED', '!CONSUL_DENIED', 'b1'])
  for (let at = 1; at <= 3; at += 1) {
    const gap = ((lying.asked[at]?.atMs ?? 0) - (lying.asked[at - 1]?.atMs ?? 0)) * 100
    assert.ok(gap >= 14_500, `asked again after ${gap} ms`)
  }
})

test('A16: an agent that answers with the same index again and again does not make the loop spin', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => target('b1', 20))
  const watch = watching(t, lying.url, { factor: 100 })
  await until('the bucket has run dry', () => lying.asked.length >= 7)
  const gaps = lying.asked.slice(4, 7).map((asked, at) => asked.atMs - (lying.asked[at + 3]?.atMs ?? 0))
  assert.ok(
    gaps.every((gap) => gap >= 140),
    `${gaps}`,
  )
  assert.deepEqual(watch.seen(), ['b1'])
})

test('A1: watches that fail together come back apart: full jitter between 0.2 and 30 s', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({
    status: 500,
    headers: { 'content-type': 'text/plain' },
    body: 'No cluster leader',
  }))
  const watches = Array.from({ length: 5 }, () => watching(t, lying.url, { factor: 40 }))
  await until('each has failed seven times', () => watches.every((watch) => watch.events.length >= 7))
  const sinces = watches.map((watch) => watch.events.map((event) => (event.type === 'trouble' ? event.sinceMs : 0)))
  const gaps = sinces.flatMap((since) => since.slice(1).map((at, turn) => at - (since[turn] ?? 0)))
  assert.ok(Math.max(...gaps) < 31_500 && Math.min(...gaps) >= 180, `${gaps}`)
  const fourth = sinces.map((since) => Math.round(since[4] ?? 0))
  assert.ok(new Set(fourth).size === 5, `in step at ${fourth}`)
})

test('A1: an answer without a leader is handed on and said to be one; the same reading tells when it is over', async (t: TestContext) => {
  const alone = { 'x-consul-knownleader': 'false', 'x-consul-lastcontact': '25366' }
  const script = [kvAnswer(KEY, 'b1', 20, 20, alone), target('b1', 20)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it is over', () => watch.events.length === 3)
  assert.deepEqual(watch.seen(), ['b1', '!CONSUL_NO_LEADER', 'b1'])
  assert.match(watch.events[1]?.type === 'trouble' ? watch.events[1].error.message : '', /no leader \(25 s\)/)
})

test('A18: a watch and the requests beside it hold two connections, however long they go on', async (t: TestContext) => {
  const lying = await startLyingConsul(
    t,
    quiet(() => target('b1', 41)),
  )
  const watch = watching(t, lying.url)
  await until('the blocking read is out', () => lying.asked.length === 2)
  const feed = targetFeed(watch.client, { app: 'web', ring: 'production' })
  for (let turn = 0; turn < 20; turn += 1) await feed.read(watch.signal)
  assert.equal(lying.accepted, 2)
})

test('a confirming read is never stale, and refuses an answer that no leader vouches for', async (t: TestContext) => {
  const script = [
    target('b1', 20),
    kvAnswer(KEY, 'b1', 20, 20, { 'x-consul-knownleader': 'false' }),
    kvAnswer(KEY, 'b1', 20, 20, { 'x-consul-lastcontact': '900' }),
  ]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? {})
  const { client, signal } = connect(t, { url: lying.url })
  const feed = targetFeed(client, { app: 'web', ring: 'production' })
  const reading = await feed.read(signal)
  assert.equal(reading.stale, false)
  assert.equal(lying.asked[0]?.query.has('stale'), false)
  await assert.rejects(feed.read(signal), { code: 'CONSUL_NO_LEADER' })
  await assert.rejects(feed.read(signal), { code: 'CONSUL_NO_LEADER' })
})
