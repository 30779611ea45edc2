// Owns the commands of a node: status, verify, rollback, check-config, and what a second puller is told.
import assert from 'node:assert/strict'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Digest } from '#fleet/build.ts'
import { type OneNode, oneNode } from '#test/support/puller.ts'

/** B runs, A lies armed in cold. */
async function settled(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<OneNode> {
  const node = await oneNode(t, more)
  await node.publish('build-a')
  await node.publish('build-b')
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  await node.order(2, 'build-b', 'build-a')
  await node.reports('build-b runs, armed', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  return node
}

test('D4: a second puller on one root exits 75 and says whose it is; the first serves on', async (t: TestContext) => {
  const node = await settled(t)
  const second = await node.puller('run')
  assert.equal(second.code, 75)
  assert.match(second.stderr + second.stdout, /ROOT_TAKEN/)
  assert.match(second.stderr, new RegExp(`pid ${node.pid}`))
  assert.equal(await node.hotFile('BUILD'), 'build-b')
  await node.order(3, 'build-a', null)
  await node.reports('the first still follows', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
})

test('status and verify answer while the puller runs and while it does not; a change of a file is exit 1', async (t: TestContext) => {
  const node = await settled(t)
  const live = JSON.parse((await node.puller('status', '--json')).stdout)
  assert.deepEqual([live.running, live.hot, live.cold, live.phase], [true, 'build-b', 'build-a', 'idle'])
  assert.equal((await node.puller('verify')).code, 0)
  assert.equal(await node.stop(), 0)

  const lines = await node.puller('status')
  assert.match(
    lines.stdout,
    /node-1 of web\/production: idle, no puller is running\n {2}hot build-b, cold build-a \(armed\), generation 2/,
  )
  await appendFile(join(node.root, 'hot', 'lib', 'file-3'), 'edited by hand\n')
  await writeFile(join(node.root, 'hot', 'added'), '')
  const found = await node.puller('verify')
  assert.equal(found.code, 1)
  assert.match(
    found.stdout,
    /hot build-b: differs from its manifest: \+1 -0 ~1\n {2}\+ added\n {2}~ lib\/file-3\ncold build-a: as its manifest says/,
  )
})

test('a local rollback of a running puller swaps back without Consul and parks until another rollout', async (t: TestContext) => {
  const node = await settled(t)
  await node.consul.pause()
  const said = await node.puller('rollback')
  assert.equal(said.code, 0, said.stderr)
  assert.match(said.stdout, /node-1 runs build-a and stays parked until/)
  assert.equal(await node.hotFile('BUILD'), 'build-a')
  node.consul.resume()
  await node.reports('it says so', ({ phase, hot }) => phase === 'parked' && hot === 'build-a')
  await node.order(3, 'build-b', 'build-a')
  await node.reports(
    'the same rollout moves it not',
    ({ phase, hot, generation }) => phase === 'parked' && hot === 'build-a' && generation === 3,
  )
  await node.order(4, 'build-b', 'build-a', { rollout: 'r-2' })
  await node.reports('another one does', ({ phase, hot }) => phase === 'idle' && hot === 'build-b')
})

test('A2: a local rollback works with no puller running and no Consul at all, and is still there after a start', async (t: TestContext) => {
  const node = await settled(t)
  assert.equal(await node.stop(), 0)
  await node.consul.stop()
  const said = await node.puller('rollback')
  assert.equal(said.code, 0, said.stderr)
  assert.equal(await node.hotFile('BUILD'), 'build-a')
  node.start()
  await node.logged('resumed as parked', ({ msg, phase }) => msg === 'resumed' && phase === 'parked')
  assert.equal(await node.hotFile('BUILD'), 'build-a')
})

test('a rollback is refused where cold holds a build that never ran here', async (t: TestContext) => {
  const node = await settled(t)
  await node.publish('build-c')
  await node.order(3, 'build-c', 'build-b', { cutoff: 0, rollout: 'r-2', salt: 'r-2' })
  await node.reports('build-c lies staged', ({ phase, cold }) => phase === 'staged' && cold === 'build-c')
  const said = await node.puller('rollback')
  assert.equal(said.code, 3)
  assert.match(said.stderr, /NO_PREVIOUS.*the cold tree holds build-c, which did not run here before/)
  assert.equal(await node.hotFile('BUILD'), 'build-b')
})

test('B1: a build that is not in the store leaves cold as it was: the status says so, and a local rollback goes back to it', async (t: TestContext) => {
  const node = await settled(t)
  await node.order(3, 'build-x', null, { manifest: `sha256:${'0'.repeat(64)}` as Digest, rollout: 'r-2' })
  const refused = await node.reports('build-x is refused', ({ refusal }) => refusal?.code === 'STORE_MISSING', 30_000)
  assert.deepEqual([refused.hot, refused.cold, refused.armed], ['build-b', 'build-a', true])
  const said = await node.puller('rollback')
  assert.equal(said.code, 0, said.stderr)
  assert.equal(await node.hotFile('BUILD'), 'build-a')
})

test('a configuration that makes no sense is told with its line and the key that was meant, exit 2', async (t: TestContext) => {
  const node = await oneNode(t, { dran: { kind: 'none' } })
  for (const verb of ['check-config', 'run', 'status']) {
    const said = await node.puller(verb)
    assert.equal(said.code, 2, verb)
    assert.match(said.stderr, /CONFIG_INVALID.*puller\.yaml:\d+: unknown key "dran", did you mean "drain"\?/)
  }
  await node.configure({})
  const fine = await node.puller('check-config')
  assert.equal(fine.code, 0, fine.stderr)
  await node.configure({ store: { url: 'ftp://builds/web' } })
  const nowhere = await node.puller('check-config')
  assert.equal(nowhere.code, 2)
  assert.match(nowhere.stderr, /CONFIG_INVALID.*store url "ftp:\/\/builds\/web" is none of s3:/)
  const lost = await node.puller('stauts')
  assert.equal(lost.code, 2)
  assert.match(lost.stderr, /unknown verb "stauts", did you mean "status"\?/)
})

test('metrics and health are served where the configuration says', async (t: TestContext) => {
  const node = await settled(t, { metrics: { listen: '127.0.0.1:0' } })
  const { metrics } = await node.logged('it says where', ({ msg }) => msg === 'puller started')
  const text = await (await fetch(`http://${metrics}/metrics`)).text()
  for (const line of [
    'puller_info{hot="build-b",cold="build-a"} 1',
    'puller_phase{phase="idle"} 1',
    'puller_phase{phase="parked"} 0',
    'puller_target_generation 2',
    'puller_swaps_total{outcome="swapped"} 2',
  ]) {
    assert.ok(text.includes(line), `${line} in\n${text}`)
  }
  assert.match(text, /^puller_fetched_bytes_total [1-9]/m)
  const health = await fetch(`http://${metrics}/healthz`)
  assert.deepEqual([health.status, ((await health.json()) as { hot: string }).hot], [200, 'build-b'])
})
