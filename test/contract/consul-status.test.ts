// Owns the promises of the ports a puller lives on (feed, sink, board, pins), the same in memory, on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { writePin } from '#fleet/wire.ts'
import { code, note, portWorlds, RING, shelf, statusOf, text } from '#test/support/ports.ts'
import { until } from '#test/support/until.ts'

for (const world of portWorlds) {
  test(`${world.name}: the feed yields what stands there, then each change, then that the key is gone`, async (t: TestContext) => {
    const { feed, signal, put, delete: remove, keys } = await world.start(t)
    await put(keys.target(RING), 'b1')
    const seen: string[] = []
    const stop = new AbortController()
    const done = (async () => {
      for await (const each of feed.watch(AbortSignal.any([stop.signal, signal]))) {
        if (each.type === 'trouble') throw each.error
        seen.push(each.reading.kind === 'value' ? text(each.reading.raw) : 'absent')
      }
    })()
    await until('the first', () => seen.length === 1)
    await put(keys.target(RING), 'b1')
    await put(keys.target(RING), 'b2')
    await until('the second', () => seen.length === 2)
    await remove(keys.target(RING))
    await until('that it is gone', () => seen.length === 3)
    assert.deepEqual(seen, ['b1', 'b2', 'absent'])
    stop.abort()
    await done
  })

  test(`${world.name}: a confirming read gives the bytes as they are, with an index that rises`, async (t: TestContext) => {
    const { feed, signal, put, keys } = await world.start(t)
    assert.deepEqual(await feed.read(signal), { kind: 'absent', stale: false })
    await put(keys.target(RING), Buffer.from([0, 255, 10]))
    const first = await feed.read(signal)
    await put(keys.target(RING), 'b2')
    const second = await feed.read(signal)
    assert.ok(first.kind === 'value' && second.kind === 'value')
    assert.deepEqual([...first.raw], [0, 255, 10])
    assert.ok(second.modifyIndex > first.modifyIndex)
  })

  test(`${world.name}: a status is on the board with its session, and silent when the puller has stopped`, async (t: TestContext) => {
    const { sink, board, signal } = await world.start(t)
    const one = sink('n1')
    await one.publish(statusOf('n1', { phase: 'fetching' }), signal)
    await one.publish(statusOf('n1', { generation: 8 }), signal)
    await sink('n2').publish(statusOf('n2'), signal)
    const roster = await board.roster(RING, signal)
    assert.deepEqual(
      roster.map((node) => [node.status.node, node.status.phase, node.status.generation, node.silent]),
      [
        ['n1', 'idle', 8, false],
        ['n2', 'idle', 7, false],
      ],
    )
    await one.close()
    const after = await board.roster(RING, signal)
    assert.deepEqual(
      after.map((node) => node.silent),
      [true, false],
    )
  })

  test(`${world.name}: D12: a shelf that was damaged holds no session: the status is published under a new one`, async (t: TestContext) => {
    const { sink, board, signal } = await world.start(t)
    const damaged = shelf()
    await damaged.save('8f3a\0\0')
    await sink('n1', damaged).publish(statusOf('n1'), signal)
    assert.deepEqual(
      (await board.roster(RING, signal)).map((node) => [node.status.node, node.silent]),
      [['n1', false]],
    )
  })

  test(`${world.name}: the board tells each change of the ring, that of a session too`, async (t: TestContext) => {
    const { sink, board, signal } = await world.start(t)
    const seen: string[] = []
    const done = (async () => {
      for await (const roster of board.changes(RING, signal)) {
        seen.push(
          roster.map((node) => `${node.status.node} ${node.status.generation}${node.silent ? ' silent' : ''}`).join(),
        )
      }
    })()
    const one = sink('n1')
    await one.publish(statusOf('n1'), signal)
    await until('the first', () => seen.at(-1) === 'n1 7')
    await one.publish(statusOf('n1', { generation: 8 }), signal)
    await until('the second', () => seen.at(-1) === 'n1 8')
    await one.close()
    await until('the silence', () => seen.at(-1) === 'n1 8 silent')
    assert.equal(new Set(seen).size, seen.length, 'nothing is told twice')
    t.after(() => done)
  })

  test(`${world.name}: A10 A15: a status that is no record, or of another node, makes that node a silent one and hides nobody`, async (t: TestContext) => {
    const { sink, board, signal, put, keys } = await world.start(t)
    await sink('n1').publish(statusOf('n1'), signal)
    await put(keys.node(RING, 'n2'), '<html>')
    await put(keys.node(RING, 'n3'), JSON.stringify({ v: 1, ...statusOf('n4') }))
    const roster = await board.roster(RING, signal)
    assert.deepEqual(
      roster.map(({ status, silent }) => [status.node, silent, status.hot, status.troubles[0]?.code ?? null]),
      [
        ['n1', false, roster[0]?.status.hot, null],
        ['n2', true, null, 'RECORD_INVALID'],
        ['n3', true, null, 'RECORD_INVALID'],
      ],
    )
  })

  test(`${world.name}: D11: a second puller of the same name is refused, with a session of its own or with a copied one`, async (t: TestContext) => {
    const { sink, signal } = await world.start(t)
    const kept = shelf()
    const first = sink('n1', kept)
    await first.publish(statusOf('n1'), signal)
    await assert.rejects(sink('n1').publish(statusOf('n1'), signal), code('DUPLICATE_NODE'))
    await first.publish(statusOf('n1', { generation: 8 }), signal)
    // A restart, or a copy of the machine: it comes with the session, and whoever wrote before is told.
    const second = sink('n1', kept)
    await second.publish(statusOf('n1', { generation: 9 }), signal)
    await assert.rejects(first.publish(statusOf('n1', { generation: 8 }), signal), code('DUPLICATE_NODE'))
    await second.publish(statusOf('n1', { generation: 10 }), signal)
  })

  test(`${world.name}: a session that died is replaced at the next status; a status that was wiped comes back`, async (t: TestContext) => {
    const { sink, board, signal, endSession, delete: remove, keys } = await world.start(t)
    const kept = shelf()
    const one = sink('n1', kept)
    await one.publish(statusOf('n1'), signal)
    const before = kept.id
    await endSession(before ?? '')
    await one.publish(statusOf('n1', { generation: 8 }), signal)
    assert.notEqual(kept.id, before)
    await remove(keys.node(RING, 'n1'))
    await one.publish(statusOf('n1', { generation: 9 }), signal)
    const [node] = await board.roster(RING, signal)
    assert.deepEqual([node?.status.generation, node?.silent], [9, false])
  })

  test(`${world.name}: a pin holds until it expires, and an unreadable one holds too`, async (t: TestContext) => {
    const { pins, signal, put, keys } = await world.start(t)
    const pin = { by: 'ana', reason: 'debugging', expires: null }
    assert.equal(await pins.read(signal), null)
    await put(keys.pin(RING, 'n1'), writePin(pin))
    assert.deepEqual(await pins.read(signal), pin)
    await put(keys.pin(RING, 'n1'), writePin({ ...pin, expires: '2001-01-01T00:00:00Z' }))
    assert.equal(await pins.read(signal), null)
    await put(keys.pin(RING, 'n1'), writePin({ ...pin, expires: '2999-01-01T00:00:00Z' }))
    assert.equal((await pins.read(signal))?.by, 'ana')
    await put(keys.pin(RING, 'n1'), 'stop!')
    assert.match((await pins.read(signal))?.reason ?? '', /cannot be read/)
  })

  test(`${world.name}: an aborted signal ends every port's call with its reason`, async (t: TestContext) => {
    const { feed, board, locks, ledger, catalog, pins } = await world.start(t)
    const reason = new Error('enough')
    const gone = AbortSignal.abort(reason)
    const calls = [
      () => feed.read(gone),
      () => board.roster(RING, gone),
      () => locks.acquire(note('ana'), gone),
      () => ledger.view([RING], gone),
      () => catalog.list(gone),
      () => pins.read(gone),
    ]
    for (const call of calls) await assert.rejects(call(), (error) => error === reason)
  })
}
