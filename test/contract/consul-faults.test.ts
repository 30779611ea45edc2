// Owns what becomes of our Consul ports when the network before a real Consul fails.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { APP, code, event, note, nothing, RING, shelf, statusOf } from '#test/support/ports.ts'
import { startProxy } from '#test/support/proxy.ts'
import { until } from '#test/support/until.ts'
import { KEY, watching } from '#test/support/watching.ts'

const of = { app: APP, ring: RING }

test('A27: a commit whose reply was lost is found written, and is written once', async (t: TestContext) => {
  const consul = await startConsul(t)
  const proxy = await startProxy(t, consul.url)
  const { client, signal, log } = connect(t, { url: proxy.url })
  const book = ledger(client, of)
  await book.init([RING], signal)
  await using lease = await locks(client, of).acquire(note('ana'), signal)
  const seen = await book.view([RING], signal)
  proxy.set({ kind: 'loseReply' })
  const targets = { [RING]: Buffer.from('b2') }
  const committed = book.commit(lease, seen, { ...nothing, targets, events: [event('one')] }, signal)
  await until('it arrived', async () => (await consul.kv.get(KEY)) === 'b2')
  proxy.set({ kind: 'none' })
  await committed
  assert.deepEqual(
    (await book.history(9, signal)).map((each) => each.event),
    ['one'],
  )
  assert.ok(log.lines.some((line) => line.message === 'reply to a write was lost'))
})

test('A27: a commit that never arrived is sent again, and when it stays unknown it says so', async (t: TestContext) => {
  const consul = await startConsul(t)
  const proxy = await startProxy(t, consul.url)
  const { client, signal, requests } = connect(t, { url: proxy.url })
  const book = ledger(client, of)
  await book.init([RING], signal)
  await using lease = await locks(client, of).acquire(note('ana'), signal)
  const seen = await book.view([RING], signal)
  const change = { ...nothing, targets: { [RING]: Buffer.from('b2') } }
  proxy.set({ kind: 'reset' })
  const asked = requests.length
  const committed = book.commit(lease, seen, change, signal)
  await until('the first try failed', () => requests.length > asked)
  proxy.set({ kind: 'none' })
  await committed
  assert.equal(await consul.kv.get(KEY), 'b2')

  const later = await book.view([RING], signal)
  proxy.set({ kind: 'reset' })
  await assert.rejects(book.commit(lease, later, change, signal), code('CONSUL_UNREACHABLE'))
  proxy.set({ kind: 'none' })
})

test('A21: a lease that cannot be renewed is given up on our own clock before anyone else could hold it', async (t: TestContext) => {
  const consul = await startConsul(t)
  const proxy = await startProxy(t, consul.url)
  const cutOff = connect(t, { url: proxy.url, factor: 4 })
  const other = connect(t, { url: consul.url })
  const lease = await locks(cutOff.client, of).acquire(note('ana'), cutOff.signal)
  const began = cutOff.client.clock.monotonic()
  proxy.set({ kind: 'mute' })
  await until('it is lost', () => lease.lost.aborted)
  const took = cutOff.client.clock.monotonic() - began
  assert.ok(took < 7_000, `given up after ${took} ms of a TTL of 10 s`)
  assert.match(String(lease.lost.reason), /could not be renewed in time/)
  await assert.rejects(locks(other.client, of).acquire(note('ben'), other.signal), code('LEASE_HELD'))
  await assert.rejects(
    ledger(cutOff.client, of).commit(lease, await emptyView(), nothing, cutOff.signal),
    code('LEASE_LOST'),
  )
})

async function emptyView() {
  return { targets: {}, rollout: null, tail: null, requests: [] }
}

test('a lease that is renewed is kept, and is lost at the next renewal when its session was destroyed', async (t: TestContext) => {
  const consul = await startConsul(t)
  const { client, signal } = connect(t, { url: consul.url, factor: 20 })
  await using lease = await locks(client, of).acquire(note('ana'), signal)
  const began = client.clock.monotonic()
  await until('three TTLs have passed on its clock', () => client.clock.monotonic() - began > 30_000)
  assert.equal(lease.lost.aborted, false)
  await client.destroySession(lease.session, signal)
  await until('it is lost', () => lease.lost.aborted)
  assert.match(String(lease.lost.reason), /session is gone/)
})

test('A28: a status whose session died comes back under a new one by itself, also after Consul was away', async (t: TestContext) => {
  const consul = await startConsul(t)
  const proxy = await startProxy(t, consul.url)
  const { client, signal } = connect(t, { url: proxy.url, factor: 20 })
  const direct = connect(t, { url: consul.url })
  const board = statusBoard(direct.client, of)
  const kept = shelf()
  const sink = statusSink(client, { ...of, node: 'n1', shelf: kept })
  t.after(() => sink.close())
  await sink.publish(statusOf('n1'), signal)
  const first = kept.id ?? ''
  proxy.set({ kind: 'reset' })
  await direct.client.destroySession(first, direct.signal)
  await until('it is silent', async () => (await board.roster(RING, direct.signal))[0]?.silent)
  await assert.rejects(sink.publish(statusOf('n1', { generation: 8 }), signal), code('CONSUL_UNREACHABLE'))
  proxy.set({ kind: 'none' })
  const node = await until('it speaks again', async () => {
    const [one] = await board.roster(RING, direct.signal)
    return one?.silent === false && one
  })
  assert.equal(node.status.generation, 8, 'with what was said last, though that write had failed')
  assert.notEqual(kept.id, first)
})

test('A8: a Consul that is stopped is noticed by the deadline; what changed meanwhile is watch.seen() when it goes on', async (t: TestContext) => {
  const consul = await startConsul(t)
  await consul.kv.put(KEY, 'b1')
  const watch = watching(t, consul.url, { waitMs: 500, factor: 5 })
  await until('the first reading', () => watch.seen().length === 1)
  await consul.pause()
  await until('the stall', () => watch.seen().includes('!CONSUL_STALLED'))
  consul.resume()
  await consul.kv.put(KEY, 'b2')
  await until('the change', () => watch.seen().at(-1) === 'b2')
})

test('A8: a half-open connection is given up and the watch begins again on a new one', async (t: TestContext) => {
  const consul = await startConsul(t)
  await consul.kv.put(KEY, 'b1')
  const proxy = await startProxy(t, consul.url)
  const watch = watching(t, proxy.url, { waitMs: 500, factor: 5 })
  await until('the first reading', () => watch.seen().length === 1)
  proxy.set({ kind: 'mute' })
  await consul.kv.put(KEY, 'b2')
  await until('the stall', () => watch.seen().includes('!CONSUL_STALLED'))
  proxy.set({ kind: 'none' })
  await until('the change', () => watch.seen().at(-1) === 'b2')
  await until('the dead connection is gone', () => proxy.open <= 2)
})

test('A12: answers cut, corrupted or slowed down on the way never become a reading of their own', async (t: TestContext) => {
  const consul = await startConsul(t)
  await consul.kv.put(KEY, 'b1'.repeat(500))
  const proxy = await startProxy(t, consul.url)
  const watch = watching(t, proxy.url, { waitMs: 500, factor: 5 })
  await until('the first reading', () => watch.seen().length === 1)
  for (const fault of [
    { kind: 'cut', afterBytes: 300 },
    { kind: 'corrupt', atByte: 2 },
  ] as const) {
    const before = watch.seen().length
    proxy.set(fault)
    await until(`a trouble by ${fault.kind}`, () =>
      watch
        .seen()
        .slice(before)
        .some((each) => each.startsWith('!')),
    )
  }
  proxy.set({ kind: 'throttle', bytesPerSecond: 20_000 })
  await consul.kv.put(KEY, 'b2'.repeat(500))
  await until('the change', () => watch.seen().at(-1) === 'b2'.repeat(500))
  const values = new Set(watch.seen().filter((each) => !each.startsWith('!')))
  assert.deepEqual([...values], ['b1'.repeat(500), 'b2'.repeat(500)])
})
