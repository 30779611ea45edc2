// Owns the proof of `conduct release` on a real Consul: what it writes, what it says, how it ends, and how it goes on after an interruption.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL } from '#fleet/target.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B, C } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const orderIn = (text: string | null) => JSON.parse(text ?? 'null') as Record<string, unknown>

test('a release ends with every node on the build, says how long it took, and a second one is already there', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 4 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('4 nodes'))
  const first = await fleet.conduct('release')
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /^Released a-build to production: all 4 nodes run it after [\d.]+ m?s\.\n$/)

  await fleet.publish(B)
  const second = await fleet.conduct('release', '--reason', 'fix for 7')
  assert.equal(second.code, 0, second.stderr)
  const order = orderIn(await fleet.get('production'))
  assert.deepEqual([order.build, order.fallback, order.cutoff, order.reason], [B, A, ALL, 'fix for 7'])
  assert.ok(fleet.nodes.every(({ hot, cold }) => hot === B && cold === A))

  const again = await fleet.conduct('release', B)
  assert.equal(again.code, 0)
  assert.match(again.stdout, /already there: 4 of 4 nodes of production run it, and nothing was written/)
  assert.deepEqual(orderIn(await fleet.get('production')), order, 'nothing was written')
  const told = await fleet.conduct('history')
  assert.match(told.stdout, /ana {2}began to release b-build to production .*: fix for 7/)
  assert.match(told.stdout, /ended done/)
  const builds = await fleet.conduct('builds')
  assert.match(builds.stdout, /b-build .* production {2}good in production/)
})

test('a build that fails is rolled back by itself: exit 1, the node and its reason named, the build quarantined', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 4 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('4 nodes'))
  await fleet.conduct('release')
  await fleet.publish(B)
  await fleet.conduct('release')
  await fleet.publish(C)
  fleet.broken.add(C)
  const failed = await fleet.conduct('release')
  assert.equal(failed.code, 1)
  assert.match(
    failed.stdout,
    /^c-build was rolled back, after .*: 1 of 4 nodes of production failed c-build \(none may\): not healthy\.$/m,
  )
  assert.match(failed.stdout, /Refused by production-\d: VERIFY_FAILED not healthy/)
  const order = orderIn(await fleet.get('production'))
  assert.deepEqual(
    [order.build, order.fallback, order.cutoff],
    [B, A, ALL],
    'the closing record names the build and its own fallback',
  )
  assert.equal(fleet.nodes.filter(({ refusal }) => refusal?.build === C).length, 1, 'one node met it')

  const refused = await fleet.conduct('release', C)
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /c-build is under quarantine by conduct/)
  assert.match(refused.stderr, /Try: conduct clear BUILD --reason WHY lifts the quarantine/)
  assert.equal((await fleet.conduct('release', C, '--retry')).code, 3, 'another try lifts nothing')
  const reflex = await fleet.conduct('rollback')
  assert.equal(reflex.code, 0)
  assert.match(reflex.stdout, /was rolled back already, by itself/)
  assert.equal(orderIn(await fleet.get('production')).build, B, 'the reflex took nobody a second build back')

  const newest = await fleet.conduct('release', '--dry-run')
  assert.match(
    newest.stdout + newest.stderr,
    /b-build is already there/,
    'without an argument the newest that may be released',
  )
})

test('Ctrl-C leaves the rollout open and says how to go on; the same command goes on, another build is refused', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 3 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('3 nodes'))
  await fleet.conduct('release')
  await fleet.publish(B)
  await fleet.publish(C)
  const [slow] = fleet.nodes
  assert.ok(slow)
  slow.stalled = true
  const running = fleet.start('release', B)
  await until('it stages', () => running.stderr().includes('waiting for nodes to stage the build: production-1'))
  running.interrupt()
  const stopped = await running.end
  assert.equal(stopped.code, 1)
  assert.match(stopped.stderr, /rollout r-\S+ stays open/)
  assert.match(stopped.stderr, /conduct release b-build goes on with it, conduct rollback takes it back/)

  const status = await fleet.conduct('status')
  assert.match(status.stdout, /Nobody drives this rollout: conduct release b-build goes on with it/)
  assert.match(status.stdout, /Waiting for nodes to stage the build: production-1/)
  const other = await fleet.conduct('release', C)
  assert.equal(other.code, 3)
  assert.match(other.stderr, /rollout r-\S+ of b-build by ana is open \(staging\)/)

  slow.stalled = false
  const resumed = await fleet.conduct('release', B)
  assert.equal(resumed.code, 0, resumed.stderr)
  assert.match(resumed.stderr, /Going on with rollout r-\S+ of b-build/)
  const { stdout } = await fleet.conduct('history', '--json')
  const { history } = JSON.parse(stdout) as { history: { event: string; facts: Record<string, unknown> }[] }
  const staged = history.filter(
    ({ event, facts }) => event === 'ordered' && facts.kind === 'stage' && facts.build === B,
  )
  assert.equal(staged.length, 1, 'F6: no stage is repeated')
})

test('a release that runs out of time leaves the rollout open, and names who is missing', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 3 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('3 nodes'))
  await fleet.conduct('release')
  await fleet.publish(B)
  const [, dead] = fleet.nodes
  await dead?.die()
  const late = await fleet.conduct('release', '--timeout', '2s')
  assert.equal(late.code, 1)
  assert.match(late.stdout, /Not done after 2\.\d s: the rollout r-\S+ is open/)
  assert.match(late.stdout, /production-2 is silent: it last said that it runs a-build, and follows when it returns/)
})

test('F7: a second commander is refused at once, and told who deploys what', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 3 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('3 nodes'))
  await fleet.conduct('release')
  await fleet.publish(B)
  for (const node of fleet.nodes) node.stalled = true
  const running = fleet.start('release', B, '--by', 'ana')
  await until('it holds the lease', () => running.stderr().includes('waiting for nodes'))
  const second = await fleet.conduct('release', B, '--by', 'ben')
  assert.equal(second.code, 3)
  assert.match(second.stderr, /Someone else is deploying this app: .*ana@desk .*rollout r-\S+ of b-build: staging/)
  for (const node of fleet.nodes) node.stalled = false
  assert.equal((await running.end).code, 0)
})

test('A23: the lease of a driver that died is waited for, and the release then goes on by itself', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('2 nodes'))
  const dead = await fleet.locks.acquire(
    { holder: 'ana@desk', since: '', rollout: null, reason: 'release' },
    AbortSignal.timeout(9_000),
  )
  const running = fleet.start('release', A)
  await until('nobody answers for it', () =>
    running.stderr().includes('ana@desk holds the lease and does not answer: waiting for its session to end.'),
  )
  await dead[Symbol.asyncDispose]()
  const { code, stderr } = await running.end
  assert.equal(code, 0, stderr)
  const { rollout } = JSON.parse((await fleet.conduct('status', '--json')).stdout) as { rollout: { id: string } }
  const lease = (await fleet.client.get(fleet.client.keys('web').lease, AbortSignal.timeout(9_000))).value
  const note = JSON.parse(new TextDecoder().decode(lease?.value)) as { rollout: string }
  assert.equal(note.rollout, rollout.id, 'the lease names the rollout that it was taken for')
})

test('rings are released one after the other, in the order of the customary path, and staged when the one before begins', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2, rings: ['production', 'staging'] })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.match(/2 nodes/g)?.length === 2)
  const done = await fleet.conduct('release')
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /Released a-build to staging: all 2 nodes .*\nReleased a-build to production: all 2 nodes/)
  const { history } = JSON.parse((await fleet.conduct('history', '--json')).stdout) as {
    history: { event: string; facts: { ring?: string; kind?: string } }[]
  }
  const orders = history
    .toReversed()
    .flatMap(({ event, facts }) => (event === 'ordered' ? [`${facts.ring} ${facts.kind}`] : []))
  assert.deepEqual(orders, ['staging stage', 'production stage', 'staging raise', 'production raise'])
})
