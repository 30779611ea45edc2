// Owns the proof of `conduct rollback` on a real Consul: in waves, through whoever drives, past the dead, and over anything in the key.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ALL } from '#fleet/target.ts'
import { type Conducting, conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, APP, B, C } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const orderIn = (text: string | null) => JSON.parse(text ?? 'null') as Record<string, unknown>

/** A ring of nodes that runs B and could go back to A. */
async function onB(t: TestContext, nodes: number): Promise<Conducting> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes(`${nodes} nodes`))
  assert.equal((await fleet.conduct('release')).code, 0)
  await fleet.publish(B)
  assert.equal((await fleet.conduct('release')).code, 0)
  return fleet
}

test('a rollback says who must download, brings everybody back in waves, and can be done twice only by name', async (t) => {
  const fleet = await onB(t, 4)
  const dry = await fleet.conduct('rollback', '--dry-run')
  assert.match(
    dry.stdout,
    /production: 4 of 4 nodes back from b-build; a-build is ordered everywhere, and none must download/,
  )
  const done = await fleet.conduct('rollback', '--reason', 'errors are up')
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^production is back on a-build: all 4 nodes run it after .*\.\n$/)
  const order = orderIn(await fleet.get('production'))
  assert.deepEqual([order.build, order.cutoff, order.recall], [A, ALL, undefined])
  const further = await fleet.conduct('rollback')
  assert.equal(further.code, 3)
  assert.match(
    further.stderr,
    /There is no previous build to go back to: a-build is the only build known in production/,
  )
})

test('rollback --now is one write: the key rewritten to the previous build', async (t) => {
  const fleet = await onB(t, 4)
  const before = Number(orderIn(await fleet.get('production')).generation)
  const done = await fleet.conduct('rollback', '--now')
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stderr, /All nodes go back at once/)
  assert.equal(orderIn(await fleet.get('production')).generation, before + 1)
})

test('a rollback during a release is done by its driver: both end, and say why', async (t) => {
  const fleet = await onB(t, 3)
  await fleet.publish(C)
  const [slow] = fleet.nodes
  assert.ok(slow)
  slow.stalled = true
  const release = fleet.start('release', C)
  await until('it stages', () => release.stderr().includes('waiting for nodes to stage'))
  const rollback = fleet.start('rollback', '--reason', 'wrong build', '--by', 'ben')
  await until('the driver answers', () => rollback.stderr().includes('The driver of the rollout is rolling it back'))
  slow.stalled = false
  const [released, back] = await Promise.all([release.end, rollback.end])
  assert.equal(released.code, 1)
  assert.match(released.stdout, /c-build was rolled back, after .*: rolled back by ben: wrong build/)
  assert.equal(back.code, 0, back.stderr)
  assert.match(back.stdout, /production is back on b-build: all 3 nodes run it/)
  const order = orderIn(await fleet.get('production'))
  assert.deepEqual([order.build, order.fallback], [B, A])
  const told = await fleet.conduct('history')
  assert.match(told.stdout, /ben {2}asked for a rollback: rolling back/)
})

test('A22: a driver that does not answer for three seconds loses its lease, and writes nothing more', async (t) => {
  const fleet = await onB(t, 3)
  const note = { holder: 'ghost@elsewhere', since: new Date().toISOString(), rollout: null, reason: 'paused' }
  const lease = await fleet.locks.acquire(note, t.signal)
  const began = performance.now()
  const done = await fleet.conduct('rollback')
  assert.equal(done.code, 0, done.stderr)
  assert.ok(performance.now() - began >= 3_000, 'it gave the holder its three seconds')
  assert.match(done.stderr, /ghost@elsewhere holds the lease and did not answer/)
  assert.equal(orderIn(await fleet.get('production')).build, A)
  const seen = await fleet.ledger.view([], t.signal)
  assert.deepEqual(seen.requests, [], 'the request was withdrawn')
  const zombie = fleet.ledger.commit(lease, seen, { targets: {}, rollout: null, events: [], answered: [] }, t.signal)
  await assert.rejects(zombie, { code: 'LEASE_LOST' })
})

test('rollback --to a build by name goes there, also when that is a download', async (t) => {
  const fleet = await onB(t, 3)
  await fleet.publish(C)
  assert.equal((await fleet.conduct('release')).code, 0)
  const done = await fleet.conduct('rollback', '--to', A)
  assert.equal(done.code, 0, done.stderr)
  assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  const previous = await fleet.conduct('rollback', '--to', 'previous')
  assert.equal(previous.code, 0, previous.stderr)
  assert.ok(fleet.nodes.every(({ hot }) => hot === C))
})

test('a silent node that last ran the build taken back keeps a rollback from being a success', async (t) => {
  const fleet = await onB(t, 4)
  await fleet.nodes[2]?.die()
  const done = await fleet.conduct('rollback')
  assert.equal(done.code, 1)
  assert.match(done.stdout, /production is back on a-build: 3 of 4 nodes run it/)
  assert.match(done.stdout, /production-3 is silent: it last said that it runs b-build, and follows when it returns/)
  assert.equal(orderIn(await fleet.get('production')).build, A, 'the order is written all the same')
  assert.equal(fleet.client.keys(APP).target('production'), 'hotcold/v1/web/production/target')
})
