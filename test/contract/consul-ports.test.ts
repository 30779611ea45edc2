// Owns the promises of the Consul ports, the same in memory, on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { pins } from '#adapters/consul/pins.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { memoryBoard } from '#adapters/memory/board.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryFeed } from '#adapters/memory/feed.ts'
import { memoryLedger } from '#adapters/memory/ledger.ts'
import { memoryLocks } from '#adapters/memory/locks.ts'
import { memoryPins } from '#adapters/memory/pins.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { memorySink } from '#adapters/memory/sink.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { keysOf } from '#fleet/keys.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type {
  Catalog,
  CatalogEntry,
  LeaseNote,
  Ledger,
  LedgerChange,
  Locks,
  Pins,
  SessionShelf,
  StatusBoard,
  StatusSink,
  TargetFeed,
} from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { readTarget, writePin } from '#fleet/wire.ts'
import { connect } from '#test/support/connect.ts'
import { consulWorlds } from '#test/support/consul.ts'
import { until } from '#test/support/until.ts'

const APP = 'web' as Name
const RING = 'production' as Name
const keys = keysOf('hotcold/v1', APP)
const code = (expected: ErrorCode) => (error: unknown) => error instanceof FleetError && error.code === expected
const text = (raw: Uint8Array | null | undefined) => Buffer.from(raw ?? []).toString()
const digest = (digit: string) => `sha256:${digit.repeat(64)}` as Digest

/** All ports over one small world, and what anybody could do to its keys. */
interface World {
  readonly signal: AbortSignal
  readonly feed: TargetFeed
  readonly board: StatusBoard
  readonly locks: Locks
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly pins: Pins
  readonly rejected: readonly string[]
  sink(node: string, shelf?: SessionShelf): StatusSink
  put(key: string, value: string | Uint8Array): Promise<void>
  delete(key: string): Promise<void>
  endSession(id: string): Promise<void>
}

function shelf(): SessionShelf & { id: string | null } {
  const kept = {
    id: null as string | null,
    load: async () => kept.id,
    save: async (id: string) => {
      kept.id = id
    },
  }
  return kept
}

function memoryWorld(t: TestContext): World {
  const records = memoryRecords()
  const over = new AbortController()
  t.after(() => over.abort())
  const rejected: string[] = []
  const of = { app: APP, ring: RING, node: 'n1', clock: systemClock }
  return {
    signal: over.signal,
    feed: memoryFeed(records, of),
    board: memoryBoard(records, of),
    locks: memoryLocks(records, of),
    ledger: memoryLedger(records, of),
    catalog: memoryCatalog(records, { ...of, onRejected: (key) => void rejected.push(key) }),
    pins: memoryPins(records, of),
    rejected,
    sink: (node, kept = shelf()) => memorySink(records, { ...of, node, shelf: kept }),
    put: async (key, value) => records.put(key, Buffer.from(value)),
    delete: async (key) => records.delete(key),
    endSession: async (id) => records.endSession(id),
  }
}

function consulWorld(t: TestContext, url: string): World {
  const { client, signal } = connect(t, { url, waitMs: 5_000 })
  const rejected: string[] = []
  const of = { app: APP, ring: RING, node: 'n1' }
  return {
    signal,
    feed: targetFeed(client, of),
    board: statusBoard(client, of),
    locks: locks(client, of),
    ledger: ledger(client, of),
    catalog: catalog(client, { ...of, onRejected: (key) => void rejected.push(key) }),
    pins: pins(client, of),
    rejected,
    sink(node, kept = shelf()) {
      const sink = statusSink(client, { ...of, node, shelf: kept })
      t.after(() => sink.close())
      return sink
    },
    put: (key, value) => client.put(key, Buffer.from(value), signal),
    delete: async (key) => void (await client.delete(key, signal)),
    endSession: (id) => client.destroySession(id, signal),
  }
}

const worlds: readonly { name: string; start(t: TestContext): Promise<World> }[] = [
  { name: 'memory', start: async (t) => memoryWorld(t) },
  ...consulWorlds().map((world) => ({
    name: world.name,
    start: async (t: TestContext) => consulWorld(t, (await world.start(t)).url),
  })),
]

function statusOf(node: string, change: Partial<NodeStatus> = {}): NodeStatus {
  return {
    app: APP,
    ring: RING,
    node: node as Name,
    phase: 'idle',
    hot: 'b1' as BuildId,
    cold: null,
    armed: false,
    generation: 7,
    rollout: 'r1',
    attempt: 1,
    refusal: null,
    at: '2026-11-22T16:04:30.120Z',
    troubles: [],
    progress: null,
    ...change,
  }
}

const note = (holder: string): LeaseNote => ({
  holder,
  since: '2026-11-22T16:04:30.120Z',
  rollout: null,
  reason: 'test',
})

function entryOf(build: string, createdAt: string): CatalogEntry {
  return {
    app: APP,
    build: build as BuildId,
    commit: null,
    createdAt,
    by: 'ana',
    manifest: digest('a'),
    treeDigest: digest('b'),
    artifact: { digest: digest('c'), bytes: 12 },
    checks: { ci: 'passed' },
    good: {},
    quarantine: null,
  }
}

function rolloutOf(change: Partial<Rollout> = {}): Rollout {
  return {
    app: APP,
    id: 'r1',
    build: 'b2' as BuildId,
    manifest: digest('a'),
    by: 'ana',
    reason: 'test',
    startedAt: '2026-11-22T16:04:30.120Z',
    endedAt: null,
    phase: 'advancing',
    stages: [{ ring: RING, share: 100 }],
    stage: 0,
    fallbacks: { [RING]: null },
    hold: null,
    outcome: null,
    generations: { [RING]: 1 },
    ...change,
  }
}

const event = (name: string) => ({ at: '2026-11-22T16:04:30.120Z', by: 'ana', event: name, facts: { n: 1 } })
const nothing: LedgerChange = { targets: {}, rollout: null, events: [], answered: [] }

for (const world of worlds) {
  test(`${world.name}: the feed yields what stands there, then each change, then that the key is gone`, async (t: TestContext) => {
    const { feed, signal, put, delete: remove } = await world.start(t)
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
    const { feed, signal, put } = await world.start(t)
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

  test(`${world.name}: A10: a status that is no record, or of another node, hides nobody else`, async (t: TestContext) => {
    const { sink, board, signal, put } = await world.start(t)
    await sink('n1').publish(statusOf('n1'), signal)
    await put(keys.node(RING, 'n2'), '<html>')
    await put(keys.node(RING, 'n3'), JSON.stringify({ v: 1, ...statusOf('n4') }))
    const roster = await board.roster(RING, signal)
    assert.deepEqual(
      roster.map((node) => node.status.node),
      ['n1'],
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
    const { sink, board, signal, endSession, delete: remove } = await world.start(t)
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

  test(`${world.name}: F7: a lease has one holder, named to whoever comes second, and is free when it is released`, async (t: TestContext) => {
    const { locks, signal } = await world.start(t)
    assert.equal(await locks.holder(signal), null)
    const lease = await locks.acquire(note('ana'), signal)
    assert.deepEqual(await locks.holder(signal), { ...note('ana'), session: lease.session })
    await assert.rejects(locks.acquire(note('ben'), signal), (error) => {
      assert.ok(code('LEASE_HELD')(error))
      assert.match(String(error), /ana/)
      return true
    })
    assert.equal(lease.lost.aborted, false)
    await lease[Symbol.asyncDispose]()
    assert.equal(lease.lost.aborted, true)
    assert.equal(await locks.holder(signal), null)
    await using again = await locks.acquire(note('ben'), signal)
    assert.notEqual(again.session, lease.session)
  })

  test(`${world.name}: A22: a fenced holder can write nothing more; fencing one that is gone already just takes the lease`, async (t: TestContext) => {
    const { locks, ledger, signal } = await world.start(t)
    await ledger.init([RING], signal)
    const old = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([RING], signal)
    await using lease = await locks.fence(old.session, note('ben'), signal)
    await assert.rejects(ledger.commit(old, seen, { ...nothing, events: [event('late')] }, signal), code('LEASE_LOST'))
    assert.deepEqual(await ledger.history(9, signal), [])
    await ledger.commit(lease, seen, { ...nothing, events: [event('taken')] }, signal)
    await assert.rejects(locks.fence(old.session, note('chloe'), signal), code('LEASE_HELD'))
    await lease[Symbol.asyncDispose]()
    await using third = await locks.fence(old.session, note('chloe'), signal)
    assert.equal((await locks.holder(signal))?.session, third.session)
    await old[Symbol.asyncDispose]()
  })

  test(`${world.name}: init makes what is missing and touches nothing that is there`, async (t: TestContext) => {
    const { ledger, signal, put } = await world.start(t)
    await put(keys.target('canary'), 'garbage')
    assert.deepEqual(await ledger.init([RING, 'canary' as Name], signal), [RING])
    assert.deepEqual(await ledger.init([RING, 'canary' as Name], signal), [])
    const { targets } = await ledger.view([RING, 'canary' as Name, 'none' as Name], signal)
    const made = readTarget(targets[RING]?.raw ?? new Uint8Array(), { app: APP, ring: RING })
    assert.deepEqual([made.build, made.generation, made.cutoff], [null, 0, 0])
    assert.equal(text(targets.canary?.raw), 'garbage')
    assert.deepEqual(targets.none, { raw: null, index: 0 })
    await assert.rejects(ledger.init(['rollout' as Name], signal), code('NAME_INVALID'))
  })

  test(`${world.name}: a commit writes target, rollout and chained history, and answers requests, all at once`, async (t: TestContext) => {
    const { ledger, locks, signal } = await world.start(t)
    await ledger.init([RING], signal)
    const request = { id: 'q1', verb: 'rollback', args: {}, by: 'ana', expires: 'soon', generations: {} }
    await ledger.ask(request, signal)
    await ledger.ask(request, signal)
    await assert.rejects(ledger.ask({ ...request, by: 'ben' }, signal), code('WRITE_CONFLICT'))
    await using lease = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([RING], signal)
    assert.deepEqual([seen.rollout, seen.tail, seen.requests], [null, null, [request]])
    const change = { targets: { [RING]: Buffer.from('b2') }, rollout: rolloutOf(), answered: ['q1'] }
    await ledger.commit(lease, seen, { ...change, events: [event('one'), event('two')] }, signal)
    const after = await ledger.view([RING], signal)
    assert.equal(text(after.targets[RING]?.raw), 'b2')
    assert.partialDeepStrictEqual(after.rollout?.record, rolloutOf())
    assert.deepEqual(after.requests, [])
    assert.equal(after.tail?.seq, 2)
    const [two, one] = await ledger.history(9, signal)
    assert.deepEqual([one?.event, one?.seq, one?.prev], ['one', 1, ''])
    assert.deepEqual([two?.event, two?.seq, two?.prev.length], ['two', 2, 64])
    assert.deepEqual(
      (await ledger.history(1, signal)).map((each) => each.seq),
      [2],
    )
    await ledger.withdraw('q1', signal)
  })

  test(`${world.name}: A24: nothing at all is written when anything that was read has changed`, async (t: TestContext) => {
    const { ledger, locks, signal, put } = await world.start(t)
    const other = 'canary' as Name
    await ledger.init([RING, other], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([RING, other], signal)
    await put(keys.target(other), 'by hand')
    const change: LedgerChange = { ...nothing, targets: { [RING]: Buffer.from('b2') }, events: [event('one')] }
    await assert.rejects(ledger.commit(lease, seen, change, signal), (error) => {
      assert.ok(code('WRITE_CONFLICT')(error))
      assert.match(String(error), /canary\/target/)
      return true
    })
    const after = await ledger.view([RING, other], signal)
    assert.deepEqual(after.targets[RING], seen.targets[RING])
    assert.equal(after.tail, null)
    await ledger.commit(lease, after, change, signal)
    await assert.rejects(ledger.commit(lease, after, change, signal), code('WRITE_CONFLICT'))
    assert.equal((await ledger.view([RING], signal)).tail?.seq, 1)
  })

  test(`${world.name}: the newest of a long history is found, and it reads back newest first`, async (t: TestContext) => {
    const { ledger, locks, signal } = await world.start(t)
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    let seen = await ledger.view([RING], signal)
    for (let turn = 0; turn < 3; turn += 1) {
      const events = Array.from({ length: 45 }, (_, at) => event(`e${turn * 45 + at + 1}`))
      await ledger.commit(lease, seen, { ...nothing, events }, signal)
      seen = await ledger.view([RING], signal)
      assert.equal(seen.tail?.seq, (turn + 1) * 45)
    }
    const history = await ledger.history(130, signal)
    assert.deepEqual(
      history.map((each) => each.event),
      Array.from({ length: 130 }, (_, at) => `e${135 - at}`),
    )
  })

  test(`${world.name}: catalog entries are put by compare-and-set and listed newest first; broken ones are reported`, async (t: TestContext) => {
    const { catalog, signal, put, rejected } = await world.start(t)
    const [old, young] = [entryOf('b1', '2026-11-22T10:00:00Z'), entryOf('b2', '2026-11-22T11:00:00Z')]
    assert.deepEqual(await catalog.list(signal), [])
    assert.equal(await catalog.find('b1' as BuildId, signal), null)
    await catalog.put(young, 0, signal)
    await catalog.put(old, 0, signal)
    await put(keys.build('b3'), '{"v":1}')
    assert.deepEqual(await catalog.list(signal), [young, old])
    assert.deepEqual(rejected, [keys.build('b3')])
    const found = await catalog.find('b1' as BuildId, signal)
    assert.deepEqual(found?.entry, old)
    const good = { ...old, good: { [RING]: '2026-11-22T12:00:00Z' } }
    await catalog.put(good, found?.index ?? 0, signal)
    await assert.rejects(catalog.put(old, found?.index ?? 0, signal), code('WRITE_CONFLICT'))
    await assert.rejects(catalog.put(old, 0, signal), code('WRITE_CONFLICT'))
    assert.deepEqual((await catalog.find('b1' as BuildId, signal))?.entry, good)
  })

  test(`${world.name}: a pin holds until it expires, and an unreadable one holds too`, async (t: TestContext) => {
    const { pins, signal, put } = await world.start(t)
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
