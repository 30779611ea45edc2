// Owns what moves a node and what does not: records, bare ids, pins, refusals, restarts, and every kind of nonsense in the key.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { renamesTo, unsyncedAfter, unsyncedBefore } from '#test/support/disk-order.ts'
import { type OneNode, oneNode, TARGET_KEY } from '#test/support/puller.ts'
import { attach, isChange } from '#test/support/strace.ts'
import { until } from '#test/support/until.ts'

/** B runs over A; both lie on the node. */
async function onB(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<OneNode> {
  const node = await oneNode(t, more)
  await node.publish('build-a')
  await node.publish('build-b')
  await node.order(41, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  await node.order(57, 'build-b', 'build-a')
  await node.reports('build-b runs, armed', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  return node
}

test('A4 A7 A9 A10 A24: no nonsense in the key moves a node; each is one sentence in the log and in the status, and gone when it is over', async (t: TestContext) => {
  const node = await onB(t)
  const good = (await node.consul.kv.get(TARGET_KEY)) ?? ''
  const record = JSON.parse(good) as Record<string, unknown>
  const faults: readonly (readonly [what: string, code: string, sentence: RegExp, write: () => Promise<unknown>])[] = [
    ['garbage', 'TARGET_INVALID', /is not JSON; keeping build-b/, () => node.put('{"v":1,"this is":')],
    [
      'an older generation',
      'TARGET_REGRESSED',
      /target generation 41 is below 57 already accepted: ignored; keeping build-b/,
      () => node.order(41, 'build-a', null),
    ],
    ['an empty value', 'TARGET_EMPTY', /holds no bytes; keeping build-b/, () => node.put('')],
    [
      'another ring',
      'TARGET_FOREIGN',
      /the record is for web\/canary, this is web\/production; keeping build-b/,
      () => node.put(JSON.stringify({ ...record, ring: 'canary', generation: 60 })),
    ],
    [
      'a newer version',
      'TARGET_TOO_NEW',
      /version 2, this program reads 1; keeping build-b/,
      () => node.put(JSON.stringify({ ...record, v: 2, generation: 60 })),
    ],
    [
      'an unknown bare id',
      'TARGET_UNRESOLVED',
      /no-such-build is neither in the catalog nor on this node.*keeping build-b/,
      () => node.put('no-such-build'),
    ],
    [
      'a deleted key',
      'TARGET_GONE',
      /the target key is gone; keeping build-b/,
      () => node.consul.kv.delete(TARGET_KEY),
    ],
  ]
  for (const [what, code, sentence, write] of faults) {
    // Last, and by way of the record in order: a key that is gone is looked at only every 15 s.
    if (code === 'TARGET_GONE') {
      await node.put(good)
      await node.reports('all is in order again', ({ troubles }) => troubles.length === 0)
    }
    await write()
    const line = await node.logged(what, ({ code: said, msg }) => said === code && msg === 'target was not followed')
    assert.match(String(line.detail), sentence, what)
    const status = await node.reports(what, ({ troubles }) => troubles.some((trouble) => trouble.code === code))
    assert.deepEqual(
      [status.hot, status.phase, status.generation, status.troubles.length],
      ['build-b', 'idle', 57, 1],
      what,
    )
    assert.equal(await node.hotFile('BUILD'), 'build-b')
  }
  const told = (await node.log()).filter(({ msg }) => msg === 'target was not followed')
  assert.equal(told.length, faults.length, 'one report for each record')
})

test('D2: an order is on the disk, bytes and name, before anything is changed for it', async (t: TestContext) => {
  const node = await onB(t)
  await node.publish('build-c')
  const detach = await attach(t, node.pid ?? 0)
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2' })
  await node.reports('build-c runs', ({ hot, phase, armed }) => hot === 'build-c' && phase === 'idle' && armed)
  const calls = (await detach()).filter(({ paths }) => paths.at(-1)?.startsWith(`${node.root}/`))
  const state = join(node.root, '.hotcold')
  const [ratchet, ...more] = renamesTo(calls, (path) => path === join(state, 'ratchet.json'))
  assert.ok(ratchet !== undefined && more.length === 0, 'one order, one ratchet')
  const relies = (path: string) => !/\/\.?ratchet\.json/.test(path)
  const others = calls.filter((call) => isChange(call) && relies(call.paths.at(-1) ?? ''))
  for (const place of [join(state, 'journal.json'), join(node.root, 'trees'), join(node.root, 'hot')]) {
    assert.ok(
      others.some(({ paths }) => paths.at(-1)?.startsWith(place)),
      `${place} was seen to change`,
    )
  }
  assert.deepEqual(
    others.filter((call) => call.began < ratchet.ended).map((call) => `${call.name} ${call.paths.at(-1)}`),
    [],
    'nothing changed before the order was on the disk',
  )
  assert.deepEqual([...unsyncedBefore(calls, ratchet), ...unsyncedAfter(calls, ratchet, relies)], [])
})

test('a bare build id moves the node either way, the same id again is a no-op, and a record of a higher generation takes over', async (t: TestContext) => {
  const node = await onB(t)
  await node.put('build-a\n')
  await node.reports(
    'build-a runs',
    ({ hot, phase, rollout }) => hot === 'build-a' && phase === 'idle' && rollout === 'build-a',
  )
  const swaps = async () =>
    (await node.log()).filter(({ msg, edge }) => msg === 'phase changed' && edge === 'swapped').length
  const before = await swaps()
  await node.put('build-a')
  await until(
    'it was read',
    async () => (await node.log()).filter(({ msg, bare }) => msg === 'target accepted' && bare === true).length === 2,
  )
  await node.put('build-b@90')
  await node.reports(
    'build-b runs',
    ({ hot, phase, generation }) => hot === 'build-b' && phase === 'idle' && generation === 90,
  )
  assert.equal(await swaps(), before + 1, 'the repeated id swapped nothing')
  await node.order(91, 'build-a', null, { rollout: 'r-9' })
  await node.reports(
    'build-a runs',
    ({ hot, phase, generation }) => hot === 'build-a' && phase === 'idle' && generation === 91,
  )
})

test('a node whose cold tree holds another build fetches its fallback back in the background, at rest all the while', async (t: TestContext) => {
  const node = await onB(t)
  await node.publish('build-c')
  await node.order(58, 'build-c', 'build-b', { cutoff: 0, rollout: 'r-2', salt: 'r-2' })
  await node.reports('build-c lies staged', ({ phase, cold }) => phase === 'staged' && cold === 'build-c')
  await node.order(59, 'build-b', 'build-a', { rollout: 'r-3' })
  await node.reports('build-a is armed', ({ phase, cold, armed }) => phase === 'idle' && cold === 'build-a' && armed)
  const since = (await node.log()).findLastIndex(
    ({ msg, generation }) => msg === 'target accepted' && generation === 59,
  )
  const moved = (await node.log()).slice(since).filter(({ msg }) => msg === 'phase changed')
  assert.deepEqual(
    moved.map(({ from, to }) => [from, to]),
    [['staged', 'idle']],
  )
})

test('a pinned node stays staged and names who pinned it; unpinned, it goes on', async (t: TestContext) => {
  const node = await onB(t)
  await node.publish('build-c')
  await node.consul.kv.put(
    'hotcold/v1/web/production/pins/node-1',
    JSON.stringify({ v: 1, by: 'ana', reason: 'looking at a core dump', expires: null }),
  )
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2' })
  const status = await node.reports('it is pinned', ({ troubles }) => troubles.some(({ code }) => code === 'PINNED'))
  assert.deepEqual([status.phase, status.hot, status.cold], ['staged', 'build-b', 'build-c'])
  assert.match(status.troubles[0]?.message ?? '', /pinned by ana: looking at a core dump; keeping build-b/)
  await node.consul.kv.delete('hotcold/v1/web/production/pins/node-1')
  await node.order(59, 'build-c', 'build-b', { rollout: 'r-2' })
  await node.reports(
    'build-c runs',
    ({ hot, phase, troubles }) => hot === 'build-c' && phase === 'idle' && troubles.length === 0,
  )
})

test('F23: a build whose hook fails is reverted and refused under every rollout until a higher attempt, which it then passes', async (t: TestContext) => {
  const node = await onB(t, {
    hooks: { afterSwap: ['sh', '-c', 'echo run >> runs; test ! -e hot/fails || test -e mended'] },
  })
  await node.publish('build-c', { fails: 'yes' })
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2' })
  const refused = await node.reports('build-c is refused', ({ refusal, phase }) => refusal !== null && phase === 'idle')
  assert.deepEqual([refused.hot, refused.refusal?.build, refused.refusal?.code], ['build-b', 'build-c', 'HOOK_FAILED'])
  assert.equal(await node.hotFile('BUILD'), 'build-b')
  await writeFile(join(node.root, 'mended'), '')
  await node.order(59, 'build-c', 'build-b', { rollout: 'r-3' })
  const still = await node.reports('it is still refused', ({ generation }) => generation === 59)
  assert.deepEqual([still.hot, still.refusal?.build], ['build-b', 'build-c'])
  await node.order(60, 'build-c', 'build-b', { rollout: 'r-3', attempt: 2 })
  const runs = await node.reports('the next attempt passes', ({ hot, phase }) => hot === 'build-c' && phase === 'idle')
  assert.equal(runs.refusal, null)
  await node.order(61, 'build-b', 'build-c', { rollout: 'r-4' })
  const left = await node.reports('build-b is back', ({ hot, phase }) => hot === 'build-b' && phase === 'idle')
  assert.equal(left.refusal, null, 'what ended does not begin again with the first attempt of another rollout')
  await node.order(62, 'build-c', 'build-b', { rollout: 'r-5' })
  await node.reports('nor does it keep the build out', ({ hot, phase }) => hot === 'build-c' && phase === 'idle')
})

test('F14: a node that never drains aborts, is back in service, and refuses with DRAIN_TIMEOUT', async (t: TestContext) => {
  const node = await onB(t)
  await node.stop()
  await node.configure({
    drain: { kind: 'command', argv: ['test', '!', '-e', 'busy'], timeoutSeconds: 0.3, intervalMs: 20 },
    hooks: { beforeDrain: ['sh', '-c', 'touch out'], afterVerify: ['rm', '-f', 'out'] },
  })
  await writeFile(join(node.root, 'busy'), '')
  await node.publish('build-c')
  node.start()
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2' })
  const status = await node.reports(
    'it gives up',
    ({ refusal, phase }) => refusal?.code === 'DRAIN_TIMEOUT' && phase === 'idle',
  )
  assert.deepEqual([status.hot, status.cold], ['build-b', 'build-c'])
  assert.match(status.refusal?.message ?? '', /still busy after 300 ms/)
  assert.ok(!existsSync(join(node.root, 'out')), 'what beforeDrain did is undone')
  await rm(join(node.root, 'busy'))
  await node.order(59, 'build-c', 'build-b', { rollout: 'r-2', attempt: 2 })
  await node.reports('build-c runs', ({ hot, phase }) => hot === 'build-c' && phase === 'idle')
})

test('F5: a new activation runs hooks and verify again without a swap, once', async (t: TestContext) => {
  const node = await onB(t, { hooks: { afterSwap: ['sh', '-c', 'echo "$HOTCOLD_BUILD" >> runs'] } })
  const runs = async () => (await readFile(join(node.root, 'runs'), 'utf8')).trim().split('\n')
  const before = await runs()
  await node.order(58, 'build-b', 'build-a', { activation: 'r-8' })
  await node.logged('it restarted', ({ msg, edge }) => msg === 'phase changed' && edge === 'drainedInPlace')
  await node.reports('and is at rest', ({ phase, generation }) => phase === 'idle' && generation === 58)
  await node.order(59, 'build-b', 'build-a', { activation: 'r-8' })
  await node.reports('the same again is nothing new', ({ phase, generation }) => phase === 'idle' && generation === 59)
  assert.deepEqual((await runs()).slice(before.length), ['build-b'])
})

test('a store whose volume is not mounted refuses no build: it is fetched once the store is back', async (t: TestContext) => {
  const node = await onB(t)
  await node.publish('build-c')
  await rename(node.storeDir, `${node.storeDir}.away`)
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2' })
  const waits = await node.reports('it waits', ({ troubles }) =>
    troubles.some(({ code }) => code === 'STORE_UNREACHABLE'),
  )
  assert.deepEqual([waits.phase, waits.hot, waits.cold, waits.refusal], ['fetching', 'build-b', 'build-a', null])
  await rename(`${node.storeDir}.away`, node.storeDir)
  await node.reports('it goes on', ({ hot, phase }) => hot === 'build-c' && phase === 'idle', 40_000)
})

test('B1 B12: an artifact that is not in the store is refused after three tries; a rollback needs no store', async (t: TestContext) => {
  const node = await onB(t)
  await node.publish('build-c')
  await rm(join(node.storeDir, 'build-c'), { recursive: true })
  await node.order(58, 'build-c', 'build-b', { rollout: 'r-2', cutoff: 0 })
  const status = await node.reports(
    'it is refused',
    ({ refusal, phase }) => refusal?.code === 'STORE_MISSING' && phase === 'idle',
    25_000,
  )
  assert.equal(status.hot, 'build-b')
  await rm(node.storeDir, { recursive: true })
  await node.order(59, 'build-b', 'build-a', { rollout: 'r-3' })
  await node.reports('it goes on', ({ generation, phase }) => generation === 59 && phase === 'idle')
  assert.equal(await node.hotFile('BUILD'), 'build-b')
})
