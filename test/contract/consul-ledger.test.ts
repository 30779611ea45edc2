// Owns the promises of the ports a conductor writes through (locks, ledger, catalog), the same in memory, on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { BuildId, Name } from '#fleet/build.ts'
import type { LedgerChange } from '#fleet/ports.ts'
import { orderDigest } from '#fleet/target.ts'
import { readTarget } from '#fleet/wire.ts'
import { APP, code, entryOf, event, note, nothing, portWorlds, RING, rolloutOf, text } from '#test/support/ports.ts'

for (const world of portWorlds) {
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

  test(`${world.name}: A22: a holder that has not heard yet that its lease is gone writes nothing: the transaction itself refuses`, async (t: TestContext) => {
    const { locks, ledger, signal } = await world.start(t)
    await ledger.init([RING], signal)
    const old = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([RING], signal)
    await using _new = await locks.fence(old.session, note('ben'), signal)
    const unaware = { session: old.session, lost: new AbortController().signal, [Symbol.asyncDispose]: async () => {} }
    const change: LedgerChange = { ...nothing, targets: { [RING]: Buffer.from('b2') } }
    await assert.rejects(ledger.commit(unaware, seen, change, signal), code('LEASE_LOST'))
    assert.deepEqual((await ledger.view([RING], signal)).targets, seen.targets)
    await old[Symbol.asyncDispose]()
  })

  test(`${world.name}: init makes what is missing and touches nothing that is there`, async (t: TestContext) => {
    const { ledger, signal, put, keys } = await world.start(t)
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

  test(`${world.name}: a request that is not called as its key is none: it could be answered for ever and would never go`, async (t: TestContext) => {
    const { ledger, signal, put, keys } = await world.start(t)
    const request = { id: 'q1', verb: 'ping', args: {}, by: 'ana', expires: 'soon', generations: {} }
    await ledger.ask(request, signal)
    await put(keys.request('q0'), JSON.stringify({ v: 1, ...request, id: 'q2' }))
    assert.deepEqual((await ledger.view([RING], signal)).requests, [request])
  })

  test(`${world.name}: A24: nothing at all is written when anything that was read has changed`, async (t: TestContext) => {
    const { ledger, locks, signal, put, keys } = await world.start(t)
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

  test(`${world.name}: the chain gives every key of the history as it stands, also past a gap and beside it; the rest is still told`, async (t: TestContext) => {
    const { ledger, locks, signal, put, delete: remove, keys } = await world.start(t)
    assert.deepEqual(await Array.fromAsync(ledger.chain(signal)), [])
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([RING], signal)
    const events = Array.from({ length: 45 }, (_, at) => event(`e${at + 1}`))
    await ledger.commit(lease, seen, { ...nothing, events }, signal)
    const whole = await Array.fromAsync(ledger.chain(signal))
    assert.deepEqual(
      whole.map(({ name }) => keys.seqOf(name)),
      Array.from({ length: 45 }, (_, at) => at + 1),
    )
    await remove(keys.historyEntry(7))
    await put(`${keys.history}note`, 'x')
    const spoilt = await Array.fromAsync(ledger.chain(signal))
    assert.equal(spoilt.length, 45)
    assert.deepEqual([spoilt[6]?.name.endsWith('8'), spoilt.at(-1)?.name, keys.seqOf('note')], [true, 'note', null])
    assert.equal(text(spoilt.at(-1)?.raw), 'x')
  })

  test(`${world.name}: a rollout that ends is kept in the transaction that ends it, with the digest of each order; all rings are known`, async (t: TestContext) => {
    const { ledger, locks, signal, put, keys } = await world.start(t)
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    const raw = Buffer.from('b2')
    const open = { ...nothing, targets: { [RING]: raw }, rollout: rolloutOf() }
    await ledger.commit(lease, await ledger.view([RING], signal), open, signal)
    assert.equal(await ledger.finished('r1', signal), null)
    const seen = await ledger.view([RING], signal)
    assert.deepEqual(seen.rollout?.record.orders, { [RING]: orderDigest(raw) })
    const done = rolloutOf({ phase: 'done', endedAt: '2026-11-22T16:05:30Z' })
    await ledger.commit(lease, seen, { ...nothing, rollout: done }, signal)
    const kept = await ledger.finished('r1', signal)
    assert.partialDeepStrictEqual(kept, { ...done, orders: { [RING]: orderDigest(raw) } })
    await put(keys.node('canary', 'n1'), 'a status')
    assert.deepEqual(await ledger.rings(signal), ['canary', RING])
  })

  test(`${world.name}: a catalog entry is removed only at the index that was read, and gone already is fine`, async (t: TestContext) => {
    const { catalog, signal } = await world.start(t)
    const entry = { ...entryOf('b1', '2026-11-22T10:00:00Z'), contains: ['3f2a9c1'] }
    await catalog.put(entry, 0, signal)
    const first = await catalog.find(entry.build, signal)
    assert.deepEqual(first?.entry, entry)
    await catalog.put({ ...entry, by: 'ben' }, first?.index ?? 0, signal)
    await assert.rejects(catalog.remove(entry.build, first?.index ?? 0, signal), code('WRITE_CONFLICT'))
    const second = await catalog.find(entry.build, signal)
    await catalog.remove(entry.build, second?.index ?? 0, signal)
    await catalog.remove(entry.build, second?.index ?? 0, signal)
    assert.equal(await catalog.find(entry.build, signal), null)
  })

  test(`${world.name}: catalog entries are put by compare-and-set and listed newest first; broken ones are reported`, async (t: TestContext) => {
    const { catalog, signal, put, rejected, keys } = await world.start(t)
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
}
