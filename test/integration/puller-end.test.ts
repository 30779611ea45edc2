// Owns how a puller ends and begins again: asked to, killed at the worst moment, or without Consul.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hotTree, oneNode } from '#test/support/puller.ts'
import { until } from '#test/support/until.ts'

/** Hooks that write what they were told, and one that waits while a file says so. */
const told = (name: string): string[] => [
  'sh',
  '-c',
  `echo "${name} $HOTCOLD_BUILD $HOTCOLD_PREVIOUS $HOTCOLD_PHASE" >> hooks.log; while test -e hold-${name}; do sleep 0.05; done`,
]
const HOOKS = {
  hooks: { beforeDrain: told('beforeDrain'), afterSwap: told('afterSwap'), afterVerify: told('afterVerify') },
}

async function start(t: TestContext, more: Readonly<Record<string, unknown>> = {}) {
  const node = await oneNode(t, { ...HOOKS, ...more })
  await node.publish('build-a')
  await node.publish('build-b')
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  const hooks = async () => (await readFile(join(node.root, 'hooks.log'), 'utf8')).trim().split('\n')
  const hold = async (name: string) => {
    await writeFile(join(node.root, `hold-${name}`), '')
    return async () => await rm(join(node.root, `hold-${name}`), { force: true })
  }
  const at = (phase: string) =>
    node.logged(
      `it is ${phase}`,
      ({ msg, to, build }) => msg === 'phase changed' && to === phase && build === 'build-b',
    )
  return { node, hooks, hold, at }
}

test('SIGTERM while draining: the drain is undone, hot stays, and the next start goes through with it', async (t: TestContext) => {
  const { node, at } = await start(t, { drain: { kind: 'command', argv: ['test', '!', '-e', 'busy'], intervalMs: 20 } })
  await writeFile(join(node.root, 'busy'), '')
  await node.order(2, 'build-b', 'build-a')
  await at('draining')
  assert.equal(await node.stop(), 0)
  assert.equal(await node.hotFile('BUILD'), 'build-a')
  const edges = (await node.log()).filter(({ msg }) => msg === 'phase changed').map(({ edge }) => edge)
  assert.equal(edges.at(-1), 'undrained')
  await rm(join(node.root, 'busy'))
  node.start()
  await node.reports('build-b runs', ({ hot, phase }) => hot === 'build-b' && phase === 'idle')
})

test('SIGTERM after the swap: what was begun is finished, verified and put back into service first', async (t: TestContext) => {
  const { node, hooks, hold, at } = await start(t)
  const release = await hold('afterSwap')
  await node.order(2, 'build-b', 'build-a')
  await at('restarting')
  const ended = node.stop()
  await release()
  assert.equal(await ended, 0)
  assert.equal((await hooks()).at(-1), 'afterVerify build-b build-a verifying')
  const status = await node.status()
  assert.deepEqual([status?.hot, status?.phase], ['build-b', 'idle'], 'the last word stays in Consul')
  node.start()
  const resumed = await node.logged('it starts clean', ({ msg, hot }) => msg === 'resumed' && hot === 'build-b')
  assert.equal(resumed.phase, 'idle')
  const looked = (await node.log()).filter(({ msg }) => String(msg).startsWith('the last puller did not stop cleanly'))
  assert.deepEqual(looked, [], 'and hot need not be compared')
})

test('D1: killed at the worst moments, a node comes up serving and goes on', async (t: TestContext) => {
  const { node, hooks, hold, at } = await start(t)
  let release = await hold('beforeDrain')
  await node.order(2, 'build-b', 'build-a')
  await at('draining')
  await node.stop('SIGKILL')
  assert.equal(await node.hotFile('BUILD'), 'build-a')
  await release()
  release = await hold('afterSwap')
  node.start()
  await at('restarting')
  await node.stop('SIGKILL')
  assert.equal(await node.hotFile('BUILD'), 'build-b', 'the link moved')
  await release()
  release = await hold('afterVerify')
  node.start()
  await until('the last hook runs', async () => (await hooks()).at(-1)?.startsWith('afterVerify build-b'))
  await node.stop('SIGKILL')
  await release()
  node.start()
  await node.reports('build-b runs', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  assert.equal((await node.puller('verify')).code, 0)
})

test('D2: after an unclean stop that left a file of hot empty, a node says so and goes back to the tree that is whole', async (t: TestContext) => {
  const { node } = await start(t)
  await node.order(2, 'build-b', 'build-a')
  await node.reports('build-b runs, armed', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  await node.stop('SIGKILL')
  // What a power cut leaves of a file whose bytes never reached the disk.
  await truncate(join(node.root, 'hot/lib/file-7'))
  node.start()
  await until('it came up', async () => (await node.log()).filter(({ msg }) => msg === 'resumed').length === 2)
  const told = (await node.log()).find(({ msg }) => msg === 'hot is not sound')
  assert.match(String(told?.detail), /hot differs from build-b: -0 ~1 \(lib\/file-7\)/)
  await until('what is served is whole', async () => (await node.hotFile('lib/file-7')) === 'content 7\n')
})

test('an emergency rollback cuts short a hook that is under way: no verify of a build that is not wanted any more', async (t: TestContext) => {
  const { node, hooks, hold, at } = await start(t)
  await hold('afterSwap')
  await node.order(2, 'build-b', 'build-a')
  await at('restarting')
  await until('the hook runs', async () => (await hooks()).includes('afterSwap build-b build-a restarting'))
  const swapped = until('hot is build-a again', async () => (await node.hotFile('BUILD')) === 'build-a')
  await node.order(3, 'build-a', null)
  await swapped
  await rm(join(node.root, 'hold-afterSwap'))
  const status = await node.reports(
    'build-a runs',
    ({ hot, phase, generation }) => hot === 'build-a' && phase === 'idle' && generation === 3,
  )
  assert.equal(status.refusal, null, 'a changed mind is no refusal')
  assert.ok(!(await hooks()).includes('afterVerify build-b build-a verifying'))
})

test('A17: Consul away at start: the node follows the order it has, serves, says what is wrong, and reports once Consul is back', async (t: TestContext) => {
  const { node, at, hold } = await start(t)
  const release = await hold('beforeDrain')
  await node.order(2, 'build-b', 'build-a')
  await at('draining')
  await node.stop('SIGKILL')
  await release()
  const before = await node.consul.kv.get('hotcold/v1/web/production/target')
  await node.consul.stop()
  node.start()
  await until('build-b runs, with no Consul', async () => (await node.hotFile('BUILD')) === 'build-b')
  const told = await node.logged('it says so', ({ msg }) => msg === 'consul does not answer')
  assert.equal(told.code, 'CONSUL_UNREACHABLE')
  assert.match(String(told.detail), /keeping build-[ab]; retrying/)
  await node.consul.start()
  await node.consul.kv.put('hotcold/v1/web/production/target', before ?? '')
  await node.reports(
    'it reports',
    ({ hot, phase, troubles }) => hot === 'build-b' && phase === 'idle' && troubles.length === 0,
    40_000,
  )
})

test('D12: a journal that was torn is told, and the node is rebuilt from its trees', async (t: TestContext) => {
  const { node } = await start(t)
  const tree = await hotTree(node)
  await node.stop('SIGKILL')
  const journal = ['journal.json', 'journal']
    .map((name) => join(node.root, '.hotcold', name))
    .find((path) => existsSync(path))
  assert.ok(journal)
  await truncate(journal, 20)
  node.start()
  await node.logged('it says so', ({ code }) => code === 'JOURNAL_INVALID')
  assert.equal(await hotTree(node), tree)
  await node.order(2, 'build-b', 'build-a')
  await node.reports('and follows its order', ({ hot, phase }) => hot === 'build-b' && phase === 'idle')
})
