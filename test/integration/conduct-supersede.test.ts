// Owns the proof of the hotfix and of the command after a rollout: the open rollout goes back first, one story is told, and every end is announced.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Shop, startShop } from '#test/support/shop.ts'
import { until } from '#test/support/until.ts'

const signal = new AbortController().signal

/** b1 runs, b2 and b3 are published; the command after a rollout writes its environment down, a line each. */
async function stocked(t: TestContext, config = ''): Promise<Shop> {
  const shop = await startShop(t, { rings: ['production'], nodes: 3 })
  const script =
    'echo "$HOTCOLD_OUTCOME $HOTCOLD_BUILD $HOTCOLD_PREVIOUS by $HOTCOLD_BY: $HOTCOLD_REASON" >> after.log\n'
  await writeFile(join(shop.cwd, 'after.sh'), `#!/bin/sh\n${script}`, { mode: 0o755 })
  await shop.configure(config)
  for (const build of ['b1', 'b2', 'b3']) {
    await shop.put({ 'app.js': build })
    await shop.publish(build)
    if (build === 'b1') assert.equal((await shop.conduct('release', 'b1')).code, 0)
  }
  return shop
}
const logged = async (shop: Shop) =>
  (await readFile(join(shop.cwd, 'after.log'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
const told = async (shop: Shop) =>
  JSON.parse((await shop.conduct('history', '--json', '--limit', '999')).stdout).history as {
    event: string
    facts: Record<string, unknown>
  }[]
/** b2 is on its way: one node runs it, the others are stuck. */
async function halfway(shop: Shop, ...argv: readonly string[]) {
  const running = shop.start('release', 'b2', '--by', 'ben', ...argv)
  await until('a node runs b2', () => {
    const there = shop.fleet.nodes.filter(({ hot }) => hot === 'b2')
    if (there.length > 0) for (const node of shop.fleet.nodes) node.stalled = node.hot !== 'b2'
    return there.length > 0
  })
  return running
}

test('a hotfix supersedes a rollout that somebody drives: it goes back first, then the hotfix comes, and the record names what it superseded', async (t) => {
  const shop = await stocked(t)
  const running = await halfway(shop)
  const dry = await shop.conduct('release', 'b3', '--supersede', '--dry-run')
  assert.equal(dry.code, 0, dry.stderr)
  assert.match(
    dry.stdout,
    /^Would recall rollout r-\S+ of b2, then release b3:\n {2}production: \d of 3 nodes back from b2; b1 is ordered everywhere/,
  )
  const same = await shop.conduct('release', 'b2', '--supersede')
  assert.equal(same.code, 3)
  assert.match(same.stderr, /is of b2 itself: conduct release b2 goes on with it/)
  for (const node of shop.fleet.nodes) node.stalled = false

  const hotfix = await shop.conduct('release', 'b3', '--supersede', '--reason', 'the cart is down')
  assert.equal(hotfix.code, 0, hotfix.stdout + hotfix.stderr)
  assert.match(hotfix.stdout, /^Released b3 to production: all 3 nodes run it after .*\n$/)
  assert.ok(shop.fleet.nodes.every(({ hot }) => hot === 'b3'))
  const ended = await running.end
  assert.equal(ended.code, 1)
  assert.match(ended.stdout, /b2 was rolled back, after .*: rolled back by ana: superseded by b3: the cart is down\./)

  const events = (await told(shop)).toReversed()
  const ids = events.flatMap(({ event, facts }) => (event === 'release-begun' ? [String(facts.rollout)] : []))
  const [, second, third = ''] = ids
  const story = events.filter(
    ({ event, facts }) => event !== 'ordered' && event !== 'request-answered' && facts.rollout !== ids[0],
  )
  assert.deepEqual(
    story.map(({ event, facts }) => [event, facts.rollout]),
    [
      ['release-begun', second],
      ['rollback-begun', second],
      ['ended', second],
      ['release-begun', third],
      ['ended', third],
    ],
  )
  assert.equal(story[3]?.facts.supersedes, second)
  const kept = await shop.fleet.ledger.finished(third, signal)
  assert.deepEqual([kept?.supersedes, kept?.phase, kept?.fallbacks.production?.build], [second, 'done', 'b1'])
  assert.match(
    (await shop.conduct('history')).stdout,
    new RegExp(`began to release b3 to production .*, in place of ${second}: the cart is down`),
  )
  const builds = JSON.parse((await shop.conduct('builds', '--json')).stdout).builds as {
    build: string
    quarantine: unknown
  }[]
  assert.equal(builds.find(({ build }) => build === 'b2')?.quarantine, null, 'b2 has done nothing wrong')
})

test('a hotfix supersedes a rollout that nobody drives; a build that would be refused recalls nothing; with nothing open it is a release', async (t) => {
  const shop = await stocked(t, '')
  const running = await halfway(shop)
  running.interrupt()
  await running.end
  await shop.configure('checks: { required: [qa] }\n')
  const refused = await shop.conduct('release', 'b3', '--supersede')
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /b3 has not passed qa/)
  assert.equal(
    JSON.parse((await shop.conduct('status', '--json')).stdout).rollout.phase,
    'advancing',
    'b2 is left alone',
  )
  assert.equal((await shop.conduct('check', 'b3', 'qa', 'passed')).code, 0)
  for (const node of shop.fleet.nodes) node.stalled = false
  const hotfix = await shop.conduct('release', 'b3', '--supersede', '--json')
  assert.equal(hotfix.code, 0, hotfix.stdout + hotfix.stderr)
  assert.equal(JSON.parse(hotfix.stdout).rollout.build, 'b3', 'and one document is printed')
  await shop.put({ 'app.js': 'b4' })
  await shop.publish('b4', '--check', 'qa=passed')
  const plain = await shop.conduct('release', 'b4', '--supersede')
  assert.equal(plain.code, 0, plain.stderr)
  const { supersedes } = (await told(shop)).find(({ event }) => event === 'release-begun')?.facts ?? {}
  assert.equal(supersedes, undefined)
})

test('the command after a rollout is told how it ended, whatever the end: done, failed, taken back; its failure changes nothing', async (t) => {
  const shop = await stocked(t, 'afterRollout: [./after.sh]\n')
  assert.deepEqual(await logged(shop), ['done b1  by ana: '])
  shop.fleet.broken.add('b2')
  assert.equal((await shop.conduct('release', 'b2', '--reason', 'new cart')).code, 1)
  assert.equal((await shop.conduct('release', 'b3')).code, 0)
  assert.equal((await shop.conduct('rollback', '--reason', 'too green')).code, 0)
  assert.deepEqual((await logged(shop)).slice(1), [
    'rolledBack b2 b1 by ana: new cart',
    'done b3 b1 by ana: ',
    'rolledBack b3 b1 by ana: too green',
  ])
  const ran = (await told(shop)).filter(({ event }) => event === 'after-rollout')
  assert.deepEqual(
    ran.map(({ facts }) => facts.passed),
    [true, true, true, true],
  )

  await shop.configure('afterRollout: [sh, -c, "echo no tag >&2; exit 3"]\n')
  const failing = await shop.conduct('release', 'b3')
  assert.equal(failing.code, 0, failing.stderr)
  assert.match(failing.stdout, /^Released b3/)
  assert.match(
    failing.stderr,
    /The command after the rollout failed, which changes nothing of how it ended: exit 3: no tag\./,
  )
  const [last] = (await told(shop)).filter(({ event }) => event === 'after-rollout')
  assert.partialDeepStrictEqual(last?.facts, { passed: false, said: 'exit 3: no tag' })
  await shop.configure('afterRollout: [sleep, "60"]\nafterRolloutSeconds: 0.2\n')
  const slow = await shop.conduct('rollback')
  assert.equal(slow.code, 0)
  assert.match(slow.stderr, /it ran longer than 200 ms/)
  await shop.configure('afterRollout: [./nowhere.sh]\n')
  const absent = await shop.conduct('release', 'b3')
  assert.equal(absent.code, 0)
  assert.match(absent.stderr, /cannot start \.\/nowhere\.sh/)
})

test('a driver that died before the command had run leaves it owed: the next one runs it, once', async (t) => {
  const shop = await stocked(t)
  await shop.configure('afterRollout: [sh, -c, "touch started; sleep 60"]\n')
  const dying = shop.start('release', 'b2')
  await until('the command runs', () => readFile(join(shop.cwd, 'started')).then(() => true))
  dying.interrupt()
  await dying.end
  const owed = (await told(shop)).find(({ event }) => event === 'ended')?.facts.rollout
  await shop.configure('afterRollout: [./after.sh]\n')
  assert.equal((await shop.conduct('release', 'b3')).code, 0)
  assert.deepEqual(await logged(shop), ['done b2 b1 by ana: ', 'done b3 b2 by ana: '])
  const ran = (await told(shop)).filter(({ event, facts }) => event === 'after-rollout' && facts.rollout === owed)
  assert.equal(ran.length, 1)
  assert.equal((await shop.conduct('release', 'b3')).code, 0)
  assert.equal((await logged(shop)).length, 2)
})
