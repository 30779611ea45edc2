// Owns how fast the watch loop asks a Consul that lies: a change gets through at once, and nothing spins.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { targetFeed } from '#adapters/consul/feed.ts'
import { kvAnswer, type Lie, startLyingConsul } from '#test/support/lying-consul.ts'
import { until } from '#test/support/until.ts'
import { KEY, quiet, target, watching } from '#test/support/watching.ts'

for (const header of ['0', '', 'none']) {
  test(`A5: an index of "${header}" counts as 1, is said once, and does not make the loop spin`, async (t: TestContext) => {
    const lying = await startLyingConsul(t, () => kvAnswer(KEY, 'b1', 9, 9, { 'x-consul-index': header }))
    const watch = watching(t, lying.url, { factor: 25 })
    // The first, two for free, then one every 15 s, which are 600 ms here.
    await until('the bucket has run dry', () => lying.asked.length >= 5)
    assert.ok((lying.asked[4]?.atMs ?? 0) - (lying.asked[3]?.atMs ?? 0) >= 400)
    assert.equal(lying.asked[1]?.query.get('index'), '1')
    assert.equal(watch.log.lines.filter((line) => line.message === 'consul sent no index').length, 1)
    assert.deepEqual(watch.seen(), ['b1'])
  })
}

test('A6: an index that flaps is asked a few times and then once in 15 s, and the newest record wins', async (t: TestContext) => {
  let newest = 'b1'
  const lying = await startLyingConsul(t, ({ nth }) => target(newest, nth % 2 === 0 ? 10 : 9, newest === 'b1' ? 8 : 9))
  const watch = watching(t, lying.url, { factor: 50 })
  await until('the burst is over', () => lying.asked.length >= 4)
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
  assert.ok(performance.now() - began < 3_000)
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
  const took = ((lying.asked[6]?.atMs ?? 0) - (lying.asked[3]?.atMs ?? 0)) * 100
  assert.ok(took >= 35_000, `three answers in ${took} ms`)
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
  // Without jitter each pause is at its top; with it, one of thirty lies in the lower half, or the dice are loaded.
  const shares = sinces.flatMap((since) =>
    since.slice(1).map((at, turn) => (at - (since[turn] ?? 0)) / Math.min(30_000, 400 * 2 ** turn)),
  )
  assert.ok(Math.min(...shares.filter((_, at) => at % 6 >= 2)) < 0.6, `${shares}`)
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
