// Owns what becomes of our Consul ports when a real Consul fails, forgets, or refuses.
import assert from 'node:assert/strict'
import { connect as connectTo, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { connect } from '#test/support/connect.ts'
import { startCluster, startConsul } from '#test/support/consul.ts'
import { APP, code, RING, shelf, statusOf } from '#test/support/ports.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'
import { KEY, watching } from '#test/support/watching.ts'

const of = { app: APP, ring: RING }

test('A9: a deleted key is told once, and writes elsewhere in the datacenter do not wake us for it', async (t: TestContext) => {
  const consul = await startConsul(t)
  await consul.kv.put(KEY, 'b1')
  const watch = watching(t, consul.url, {})
  await until('the first reading', () => watch.seen().length === 1)
  await consul.kv.delete(KEY)
  await until('that it is gone', () => watch.seen().at(-1) === 'absent')
  const asked = watch.requests.length
  for (let turn = 0; turn < 50; turn += 1) await consul.kv.put('elsewhere', String(turn))
  assert.equal(watch.requests.length, asked)
  assert.deepEqual(watch.seen(), ['b1', 'absent'])
})

test('A4: a restored snapshot is told as what stands there now, with an older record, and later writes are watch.seen()', async (t: TestContext) => {
  const consul = await startConsul(t)
  const snapshot = join(await tmp(t), 'snapshot')
  await consul.kv.put(KEY, 'b1')
  await consul.cli('snapshot', 'save', snapshot)
  await consul.kv.put(KEY, 'b2')
  const watch = watching(t, consul.url, { waitMs: 1_000 })
  await until('the first reading', () => watch.seen().at(-1) === 'b2')
  await consul.cli('snapshot', 'restore', snapshot)
  await until('the old record', () => watch.seen().at(-1) === 'b1')
  await consul.kv.put(KEY, 'b3')
  await until('the next write', () => watch.seen().at(-1) === 'b3')
})

test('A4: a status written by a former process of this node, back from a snapshot, is no second puller', async (t: TestContext) => {
  const consul = await startConsul(t)
  const snapshot = join(await tmp(t), 'snapshot')
  const { client, signal } = connect(t, { url: consul.url })
  const kept = shelf()
  const sinks = [1, 2].map(() => statusSink(client, { app: APP, ring: RING, node: 'n1', shelf: kept }))
  const [before, after] = sinks
  t.after(() => Promise.all(sinks.map((sink) => sink.close())))
  await before?.publish(statusOf('n1'), signal)
  await consul.cli('snapshot', 'save', snapshot)
  await after?.publish(statusOf('n1', { generation: 8 }), signal)
  await consul.cli('snapshot', 'restore', snapshot)
  await after?.publish(statusOf('n1', { generation: 9 }), signal)
  const [node] = await statusBoard(client, { app: APP }).roster(RING, signal)
  assert.deepEqual([node?.status.generation, node?.silent], [9, false])
})

test('A16: a watch goes on over the restart of its agent', async (t: TestContext) => {
  const consul = await startConsul(t, { persistent: true })
  await consul.kv.put(KEY, 'b1')
  const watch = watching(t, consul.url, { waitMs: 1_000 })
  await until('the first reading', () => watch.seen().length === 1)
  await consul.stop()
  await until('a trouble', () => watch.seen().at(-1)?.startsWith('!'))
  await consul.start()
  await consul.kv.put(KEY, 'b2')
  await until('the change', () => watch.seen().at(-1) === 'b2')
  assert.deepEqual([...new Set(watch.seen().filter((each) => !each.startsWith('!')))], ['b1', 'b2'])
})

test('A1: a stale watch outlives the death of the leader, and the next write reaches it', async (t: TestContext) => {
  const cluster = await startCluster(t)
  const leader = await until('a leader', () => cluster.leader())
  const follower = cluster.servers.find((server) => server !== leader) ?? leader
  await follower.kv.put(KEY, 'b1')
  const watch = watching(t, follower.url, { waitMs: 5_000 })
  await until('the first reading', () => watch.seen().length === 1)
  await leader.kill()
  await until('the next write', () => follower.kv.put(KEY, 'b2').then(() => true))
  await until('that it is watch.seen()', () => watch.seen().includes('b2'))
  assert.deepEqual(
    watch
      .seen()
      .filter((each) => !each.startsWith('!'))
      .filter((each, at, all) => each !== all[at - 1]),
    ['b1', 'b2'],
  )
})

test('A13, A14: a token that may not read is refused; one that is revoked is noticed within the wait', async (t: TestContext) => {
  const consul = await startConsul(t, { acl: true })
  await consul.kv.put(KEY, 'b1')
  const blind = connect(t, { url: consul.url, token: await consul.tokenFor('key_prefix "other/" { policy = "read" }') })
  await assert.rejects(blind.client.get(KEY, blind.signal), code('CONSUL_DENIED'))
  const token = await consul.tokenFor('key_prefix "hotcold/" { policy = "read" }')
  const watch = watching(t, consul.url, { token, waitMs: 500 })
  await until('the first reading', () => watch.seen().length === 1)
  const tokens = JSON.parse(await consul.cli('acl', 'token', 'list', '-format=json'))
  for (const each of tokens) {
    const { SecretID: secret } = JSON.parse(
      await consul.cli('acl', 'token', 'read', '-id', each.AccessorID, '-format=json'),
    )
    if (secret === token) await consul.cli('acl', 'token', 'delete', '-id', each.AccessorID)
  }
  await until('the refusal', () => watch.seen().includes('!CONSUL_DENIED'))
  await assert.rejects(watch.client.cas(KEY, Buffer.from('b2'), 0, watch.signal), code('CONSUL_DENIED'))
})

test('A15: a ring that ACLs hide is an empty roster, which nobody may read as done', async (t: TestContext) => {
  const consul = await startConsul(t, { acl: true })
  await consul.kv.put(`hotcold/v1/${APP}/${RING}/nodes/n1`, JSON.stringify({ v: 1, ...statusOf('n1') }))
  const all = connect(t, { url: consul.url, token: consul.token ?? '' })
  assert.equal((await statusBoard(all.client, of).roster(RING, all.signal)).length, 1)
  const blind = connect(t, { url: consul.url })
  assert.deepEqual(await statusBoard(blind.client, of).roster(RING, blind.signal), [])
})

test('A18: an agent that has no connection left for us says so, and is used again when it has', async (t: TestContext) => {
  const consul = await startConsul(t, { maxConnections: 8 })
  const { client, signal } = connect(t, { url: consul.url })
  const crowd: Socket[] = []
  t.after(() => crowd.map((socket) => socket.destroy()))
  for (let each = 0; each < 8; each += 1) {
    const socket = connectTo(8500, consul.address).on('error', () => undefined)
    await new Promise((resolve) => socket.once('connect', resolve))
    crowd.push(socket)
  }
  await assert.rejects(
    until('a refusal', () => client.get(KEY, signal).then(() => false), 300),
    (error) =>
      error instanceof Error && code('CONSUL_UNREACHABLE')(error.cause) && /its limit/.test(String(error.cause)),
  )
  for (const socket of crowd) socket.destroy()
  await until('it answers again', () => client.get(KEY, signal).then((answer) => answer.value === null))
})

test('A29: a session depends on no health check and delays nobody: only its TTL and its owner end it', async (t: TestContext) => {
  const consul = await startConsul(t)
  const { client, signal } = connect(t, { url: consul.url })
  const id = await client.createSession('test', 10, signal)
  const answer = await fetch(`${consul.url}/v1/session/info/${id}`)
  const [session] = (await answer.json()) as Record<string, unknown>[]
  assert.deepEqual(
    [session?.NodeChecks, session?.LockDelay, session?.TTL, session?.Behavior],
    [[], 0, '10s', 'release'],
  )
  assert.equal(await client.isSessionAlive(id, signal), true)
  await client.destroySession(id, signal)
  assert.equal(await client.isSessionAlive(id, signal), false)
  assert.equal(await client.renewSession(id, signal), false)
})

test('A20: a value that Consul finds too large is refused as that', async (t: TestContext) => {
  const consul = await startConsul(t)
  const { client, signal } = connect(t, { url: consul.url })
  await assert.rejects(client.put('large', Buffer.alloc(600 * 1024), signal), code('CONSUL_TOO_LARGE'))
})
