// Owns the proof that a key which holds no order of ours is shown in one sentence, moves nothing, and can always be taken back.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Conducting, conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B, digestFor } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const RING = 'production'
const orderIn = (text: string | null) => JSON.parse(text ?? 'null') as Record<string, unknown>
const record = (over: object) =>
  JSON.stringify({
    v: 1,
    app: 'web',
    ring: RING,
    generation: 3,
    build: A,
    manifest: digestFor(A),
    cutoff: 2 ** 32,
    by: 'eve',
    ...over,
  })

async function onB(t: TestContext): Promise<Conducting> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 3 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('3 nodes'))
  assert.equal((await fleet.conduct('release')).code, 0)
  await fleet.publish(B)
  assert.equal((await fleet.conduct('release')).code, 0)
  return fleet
}

const SPOILED: readonly { row: string; value: string; says: RegExp }[] = [
  {
    row: 'A10: garbage',
    value: '{"v":1,',
    says: /! The target record was rejected: the target record is not JSON; the 3 nodes of production keep what they run; .*\.$/m,
  },
  {
    row: 'an empty value',
    value: '',
    says: /! The target key is empty: the target key holds no bytes; the 3 nodes of production keep what they run; .*\.$/m,
  },
  {
    row: 'A4: an older generation',
    value: record({}),
    says: /! The target record is of an older generation: generation 3 is below \d+, which was accepted already; .*\.$/m,
  },
  {
    row: 'I7: the record of another app',
    value: record({ app: 'shop', generation: 99 }),
    says: /! The target record is for another app or ring: the record is for shop\/production, this is web\/production; .*\.$/m,
  },
  {
    row: 'D5: a newer version',
    value: '{"v":2}',
    says: /! The target record is of a newer version than this program reads: .*\.$/m,
  },
]

test('a key that nobody can obey: one sentence in status, no node moves, release refuses, --adopt and rollback take it back', async (t) => {
  const fleet = await onB(t)
  for (const { row, value, says } of SPOILED) {
    await t.test(row, async () => {
      await fleet.put(RING, value)
      const status = await fleet.conduct('status')
      assert.equal(status.code, 0)
      assert.match(status.stdout, says)
      assert.match(status.stdout, /3 nodes: 3 converged/, 'nodes are counted against the order that they obey')
      const refused = await fleet.conduct('release', B)
      assert.equal(refused.code, 3, 'nothing overwrites it unasked')
      assert.equal(await fleet.get(RING), value)

      const moved = fleet.nodes.map((node) => node.swaps)
      const adopted = await fleet.conduct('release', B, '--adopt')
      assert.equal(adopted.code, 0, adopted.stderr)
      assert.deepEqual(orderIn(await fleet.get(RING)).build, B)
      assert.deepEqual(
        fleet.nodes.map((node) => node.swaps),
        moved,
        'taking the key back moves nobody',
      )
    })
  }
  await fleet.put(RING, 'not { a record')
  const back = await fleet.conduct('rollback')
  assert.equal(back.code, 0, back.stderr)
  assert.equal(orderIn(await fleet.get(RING)).build, A)
  assert.ok(fleet.nodes.every(({ hot }) => hot === A))
})

test('A9: a deleted key is said in one sentence, moves nothing, and is written anew only when asked', async (t) => {
  const fleet = await onB(t)
  const before = Number(orderIn(await fleet.get(RING)).generation)
  await fleet.delete(RING)
  const status = await fleet.conduct('status')
  assert.match(status.stdout, /! The target key is gone: the 3 nodes of production keep what they run; .*\.$/m)
  assert.match(status.stdout, /3 nodes: 3 converged/)
  const refused = await fleet.conduct('release', B)
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /the target key of production is gone; nothing was written/)
  assert.equal(await fleet.get(RING), null)
  // A puller looks for a key that is gone every 15 s: who writes it anew need not wait here until they have seen it.
  await fleet.conduct('release', B, '--adopt', '--timeout', '1s')
  const order = orderIn(await fleet.get(RING))
  assert.deepEqual([order.build, order.fallback, order.cutoff], [B, A, 2 ** 32])
  assert.ok(Number(order.generation) > before)
})

test('a bare build id moves the fleet; status says so, and a rollback goes back to what ran before', async (t) => {
  const fleet = await onB(t)
  await fleet.put(RING, A)
  await until('the fleet follows the bare id', () => fleet.nodes.every(({ hot }) => hot === A))
  await until('they say so', async () => (await fleet.conduct('status')).stdout.includes('3 nodes: 3 converged'))
  const status = await fleet.conduct('status')
  assert.match(
    status.stdout,
    /! The bare build id a-build was written by hand; conduct rollback or conduct release --adopt writes over it\./,
  )
  assert.equal((await fleet.conduct('release', B)).code, 3)
  const back = await fleet.conduct('rollback')
  assert.equal(back.code, 0, back.stderr)
  assert.deepEqual([orderIn(await fleet.get(RING)).build], [B])
})

test('A24: a record written by a script while a release runs puts it on hold; --adopt goes on, above it', async (t) => {
  const fleet = await onB(t)
  await fleet.publish('d-build' as typeof A)
  for (const node of fleet.nodes) node.stalled = true
  const running = fleet.start('release', 'd-build')
  await until('it stages', () => running.stderr().includes('waiting for nodes to stage'))
  await fleet.put(RING, record({ generation: 700, by: 'script' }))
  const held = await running.end
  assert.equal(held.code, 3)
  assert.match(
    held.stdout,
    /^On hold after .*: the target of production orders a-build \(generation 700, by script, no time\): this rollout did not write it\. Nothing more was written/,
  )
  assert.equal(orderIn(await fleet.get(RING)).generation, 700)
  const status = await fleet.conduct('status')
  assert.match(status.stdout, /! A target was written by someone who does not hold the lease/)
  assert.equal((await fleet.conduct('release', 'd-build')).code, 3, 'still held')
  for (const node of fleet.nodes) node.stalled = false
  const adopted = await fleet.conduct('release', 'd-build', '--adopt')
  assert.equal(adopted.code, 0, adopted.stderr)
  assert.ok(Number(orderIn(await fleet.get(RING)).generation) > 700)
  assert.ok(fleet.nodes.every(({ hot }) => hot === 'd-build'))
})
