// Owns what the watch loop believes of a Consul that lies: nothing is lost, and nothing is believed too soon.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { targetFeed } from '#adapters/consul/feed.ts'
import { connect } from '#test/support/connect.ts'
import { kvAbsent, kvAnswer, type Lie, startLyingConsul } from '#test/support/lying-consul.ts'
import { until } from '#test/support/until.ts'
import { KEY, quiet, target, watching } from '#test/support/watching.ts'

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

/** What was asked and seen when Consul answers `script` and is mute from then on. */
async function blockedAfter(t: TestContext, script: readonly Lie[]) {
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it blocks on the index that is true now', () => lying.asked.length === script.length + 1)
  return { indices: lying.asked.map(({ query }) => query.get('index')), seen: watch.seen() }
}

test('A3: an index that goes backwards is read again from the start', async (t: TestContext) => {
  const { indices, seen } = await blockedAfter(t, [target('b1', 50), target('b0', 7), target('b0', 7)])
  assert.deepEqual(indices, [null, '50', null, '7'])
  assert.deepEqual(seen, ['b1', 'b0'])
})

test('A4: a watch that is woken by what it knows already looks again without waiting: so a restored Consul wakes it, once', async (t: TestContext) => {
  const { indices, seen } = await blockedAfter(t, [target('b1', 50), target('b1', 50), target('b0', 7)])
  assert.deepEqual(indices, [null, '50', null, '7'])
  assert.deepEqual(seen, ['b1', 'b0'])
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

test('A16: the same record under ever new indexes is told once, and the next record at once', async (t: TestContext) => {
  const script = [target('b1', 20), target('b1', 21, 20), target('b1', 22, 20), target('b2', 23)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it blocks on the last', () => lying.asked.length === 5)
  assert.deepEqual(watch.seen(), ['b1', 'b2'], 'an answer is no proof of a change')
})

test('A9: a deleted key is said once, asked for every 15 s without blocking, and seen when it is back', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => {
    if (nth === 0) return target('b1', 20)
    if (nth <= 6) return kvAbsent(30 + nth)
    return nth === 7 ? target('b1', 40) : { ending: 'mute' }
  })
  const watch = watching(t, lying.url, { factor: 100 })
  await until('it is back', () => watch.seen().length === 3)
  assert.deepEqual(watch.seen(), ['b1', 'absent', 'b1'])
  assert.equal(lying.asked[2]?.query.has('stale'), false, 'that it is gone is confirmed by the leader')
  const polls = lying.asked.slice(3, 8)
  assert.ok(polls.every(({ query }) => !query.has('index')))
  for (const [at, poll] of polls.entries()) {
    const gap = poll.atMs - (lying.asked[at + 2]?.atMs ?? 0)
    assert.ok(gap >= 100, `polled after ${gap} ms, which stand for ${gap * 100}`)
  }
})

test('A9: a key that was never there is asked for soon at first, without blocking, and ever less often', async (t: TestContext) => {
  const lying = await startLyingConsul(t, ({ nth }) => {
    return nth < 6 ? kvAbsent(30 + nth) : nth === 6 ? target('b1', 40) : { ending: 'mute' }
  })
  const watch = watching(t, lying.url, { factor: 20 })
  await until('it is there', () => watch.seen().length === 2)
  assert.deepEqual(watch.seen(), ['absent', 'b1'])
  assert.ok(lying.asked.slice(0, 7).every(({ query }) => !query.has('index')))
  // The first is asked twice: only the leader can say that there is none.
  const gaps = lying.asked.slice(2, 7).map(({ atMs }, i) => 20 * (atMs - (lying.asked[i + 1]?.atMs ?? 0)))
  const least = [900, 1_800, 3_600, 7_200, 13_500]
  assert.ok(
    gaps.every((gap, i) => gap >= (least[i] ?? 0)),
    `${gaps}`,
  )
  assert.ok((gaps[0] ?? 0) < 10_000, `${gaps}`)
})

test('A9: a server that is behind and has no key yet is not believed, and costs no time', async (t: TestContext) => {
  const script = [kvAbsent(5), target('b1', 20)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it blocks', () => lying.asked.length === 3)
  assert.deepEqual(watch.seen(), ['b1'])
  assert.equal(lying.asked[2]?.query.get('index'), '20')
})

test('A9: without a leader nobody can say that a key is gone', async (t: TestContext) => {
  const noLeader: Lie = { status: 500, headers: { 'content-type': 'text/plain' }, body: 'No cluster leader' }
  const lying = await startLyingConsul(t, ({ nth, query }) =>
    nth === 0 ? target('b1', 20) : query.has('stale') ? kvAbsent(30) : noLeader,
  )
  const watch = watching(t, lying.url, { factor: 100 })
  await until('it has been asked for some time', () => watch.events.length >= 4)
  assert.deepEqual([...new Set(watch.seen())], ['b1', '!CONSUL_NO_LEADER'])
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

test('one 400 does not end a watch; after an error it looks first, and then waits', async (t: TestContext) => {
  const script: readonly Lie[] = [target('b1', 20), { status: 400, body: 'Bad request' }, target('b0', 5)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url, { factor: 100 })
  await until('it waits again', () => lying.asked.length === 4)
  assert.deepEqual(watch.seen(), ['b1', '!CONSUL_BAD_ANSWER', 'b0'])
  // Whoever answers now may be another server, or a restored one, that would be silent until the wait is over.
  assert.deepEqual(
    lying.asked.map(({ query }) => query.get('index')),
    [null, '20', null, '5'],
  )
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

test('A1: an answer without a leader is handed on and said to be one; the same reading tells when it is over', async (t: TestContext) => {
  const alone = { 'x-consul-knownleader': 'false', 'x-consul-lastcontact': '25366' }
  const script = [kvAnswer(KEY, 'b1', 20, 20, alone), target('b1', 20)]
  const lying = await startLyingConsul(t, ({ nth }) => script[nth] ?? { ending: 'mute' })
  const watch = watching(t, lying.url)
  await until('it is over', () => watch.events.length === 3)
  assert.deepEqual(watch.seen(), ['b1', '!CONSUL_NO_LEADER', 'b1'])
  assert.match(watch.events[1]?.type === 'trouble' ? watch.events[1].error.message : '', /no leader \(25 s\)/)
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
