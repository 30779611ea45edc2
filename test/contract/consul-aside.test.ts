// Owns the promises of the ledger about the keys beside the rollouts: holds that no advance overtakes, and keys written with the history.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Name } from '#fleet/build.ts'
import type { AsideKey } from '#fleet/ports.ts'
import { code, event, note, nothing, portWorlds, RING, statusOf, text } from '#test/support/ports.ts'

const HOLD: AsideKey = { kind: 'hold' }
const pinOf = (node: string): AsideKey => ({ kind: 'pin', ring: RING, node: node as Name })
const nodeOf = (node: string): AsideKey => ({ kind: 'node', ring: RING, node: node as Name })

for (const world of portWorlds) {
  test(`${world.name}: a hold that was put on meanwhile refuses what advances, and lets everything else by`, async (t: TestContext) => {
    const { ledger, locks, signal } = await world.start(t)
    await ledger.init([RING], signal)
    await using lease = await locks.acquire(note('ana'), signal)
    const before = await ledger.view([RING], signal)
    assert.deepEqual(before.hold, { raw: null, index: 0 })
    await ledger.stop({ raw: Buffer.from('held'), index: 0 }, signal)
    const advance = { ...nothing, targets: { [RING]: Buffer.from('b2') }, advances: true }
    await assert.rejects(ledger.commit(lease, before, advance, signal), (error) => {
      assert.ok(code('WRITE_CONFLICT')(error))
      assert.match(String(error), /\/hold changed meanwhile; nothing was written/)
      return true
    })
    assert.deepEqual((await ledger.view([RING], signal)).targets, before.targets)
    await ledger.commit(lease, before, { ...advance, targets: { [RING]: Buffer.from('b1') }, advances: false }, signal)

    const seen = await ledger.view([RING], signal)
    assert.equal(text(seen.hold?.raw), 'held')
    await ledger.commit(lease, seen, advance, signal)
    const held = await ledger.view([RING], signal)
    await ledger.stop({ raw: Buffer.from('held longer'), index: held.hold?.index ?? 0 }, signal)
    await assert.rejects(ledger.commit(lease, held, advance, signal), code('WRITE_CONFLICT'))
    await assert.rejects(
      ledger.stop({ raw: Buffer.from('late'), index: held.hold?.index ?? 0 }, signal),
      code('WRITE_CONFLICT'),
    )
  })

  test(`${world.name}: a key aside is written and removed in the transaction that tells of it, or not at all`, async (t: TestContext) => {
    const { ledger, locks, signal, put, keys } = await world.start(t)
    await using lease = await locks.acquire(note('ana'), signal)
    const seen = await ledger.view([], signal)
    assert.deepEqual(await ledger.peek(pinOf('n1'), signal), { raw: null, index: 0, held: false })
    const pin = { key: pinOf('n1'), raw: Buffer.from('pinned'), index: 0 }
    await ledger.commit(lease, seen, { ...nothing, events: [event('pinned')], aside: [pin] }, signal)
    const there = await ledger.peek(pinOf('n1'), signal)
    assert.equal(text(there.raw), 'pinned')

    await put(keys.pin(RING, 'n1'), 'pinned by hand')
    const later = await ledger.view([], signal)
    const lift = {
      ...nothing,
      events: [event('unpinned')],
      aside: [{ key: pinOf('n1'), raw: null, index: there.index }],
    }
    await assert.rejects(ledger.commit(lease, later, lift, signal), code('WRITE_CONFLICT'))
    const now = await ledger.peek(pinOf('n1'), signal)
    assert.equal(text(now.raw), 'pinned by hand')
    const told = (await ledger.history(9, signal)).map((entry) => entry.event)
    assert.deepEqual(told, ['pinned'])
    const again = { ...lift, aside: [{ key: pinOf('n1'), raw: null, index: now.index }] }
    await ledger.commit(lease, later, again, signal)
    assert.deepEqual(await ledger.peek(pinOf('n1'), signal), { raw: null, index: 0, held: false })
    assert.equal((await ledger.view([], signal)).hold?.raw ?? null, null)
  })

  test(`${world.name}: a node's key says whether its session lives, and one that reports again meanwhile is not removed`, async (t: TestContext) => {
    const { ledger, locks, signal, sink, board } = await world.start(t)
    await using lease = await locks.acquire(note('ana'), signal)
    const first = sink('n1')
    await first.publish(statusOf('n1'), signal)
    assert.equal((await ledger.peek(nodeOf('n1'), signal)).held, true)
    await first.close()
    const gone = await ledger.peek(nodeOf('n1'), signal)
    assert.equal(gone.held, false)
    const back = sink('n1')
    await back.publish(statusOf('n1', { generation: 8 }), signal)
    const seen = await ledger.view([], signal)
    const forget = (index: number) => ({ ...nothing, aside: [{ key: nodeOf('n1'), raw: null, index }] })
    await assert.rejects(ledger.commit(lease, seen, forget(gone.index), signal), code('WRITE_CONFLICT'))
    assert.equal((await board.roster(RING, signal)).length, 1)
    await back.close()
    await ledger.commit(lease, seen, forget((await ledger.peek(nodeOf('n1'), signal)).index), signal)
    assert.deepEqual(await board.roster(RING, signal), [])
  })

  test(`${world.name}: the hold key is nobody's target: a ring cannot be called that`, async (t: TestContext) => {
    const { ledger, signal } = await world.start(t)
    await assert.rejects(ledger.init(['hold' as Name], signal), code('NAME_INVALID'))
    assert.deepEqual(await ledger.peek(HOLD, signal), { raw: null, index: 0, held: false })
  })
}
