// Owns the proof of the verbs that steer a rollout, on a real Consul: through whoever drives it, and without anybody.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ALL } from '#fleet/target.ts'
import { A, B, C } from '#test/support/rollout-sim.ts'
import { events, letGo, onA, orderOf, refusesAll, rolloutOf, standing } from '#test/support/steering.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

test('pause, resume and handover go to whoever drives: it stands still, goes on, and the history names who asked', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  const paused = await fleet.conduct('pause', '--by', 'ben', '--reason', 'graphs look odd')
  assert.equal(paused.code, 0, paused.stderr)
  assert.match(paused.stdout, /^Rollout r-\S+ of b-build is paused: no more nodes get it; conduct resume goes on/)
  assert.match(paused.stderr, /ana@desk holds the lease: asking to pause/)
  const again = await fleet.conduct('pause', '--by', 'chloe')
  assert.equal(again.code, 0)
  assert.match(again.stdout, /^Nothing to do: rollout r-\S+ of b-build is stopped by ben: graphs look odd\.$/m)

  letGo(fleet)
  await until('every node has staged', () => fleet.nodes.every(({ cold }) => cold === B))
  const { stdout } = await fleet.conduct('status')
  assert.match(stdout, /On hold by ben \(paused\): graphs look odd\./)
  assert.equal((await orderOf(fleet)).cutoff, 0, 'everybody is ready, and nobody is asked')

  const handed = await fleet.conduct('handover', '--to', 'chloe')
  assert.equal(handed.code, 0, handed.stderr)
  assert.equal((await rolloutOf(fleet)).commander, 'chloe')
  const resumed = await fleet.conduct('resume', '--by', 'chloe')
  assert.equal(resumed.code, 0, resumed.stderr)
  assert.doesNotMatch(resumed.stdout, /Nobody drives it/)
  assert.equal((await release.end).code, 0, 'the driver waited and went on')
  const told = (await events(fleet)).filter(({ event }) => ['held', 'unheld', 'handed-over'].includes(event))
  assert.deepEqual(
    told.map(({ event, by }) => [event, by]),
    [
      ['held', 'ben'],
      ['handed-over', 'ana'],
      ['unheld', 'chloe'],
    ],
  )
  const over = await fleet.conduct('pause')
  assert.equal(over.code, 3)
  assert.match(over.stderr, /No rollout is open: rollout r-\S+ of b-build is done: conduct rollback takes it back/)
})

test('without a driver the same verbs take the lease for one transaction, and say that nobody drives', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  release.interrupt()
  await release.end
  const dry = await fleet.conduct('pause', '--dry-run')
  assert.match(dry.stdout, /^Would pause: rollout r-\S+ of b-build is paused/)
  assert.equal((await rolloutOf(fleet)).hold, null, 'a dry run writes nothing')
  assert.equal((await fleet.conduct('pause', '--reason', 'lunch')).code, 0)
  const refused = await fleet.conduct('release', B)
  assert.equal(refused.code, 3)
  assert.match(
    refused.stderr,
    /The rollout is stopped: rollout r-\S+ of b-build is stopped by ana: lunch\.\nTry: conduct resume/,
  )
  const json = JSON.parse((await fleet.conduct('resume', '--json')).stdout) as Record<string, unknown>
  assert.deepEqual([json.verb, json.result, json.driven], ['resume', 'done', false])
  assert.match(
    (await fleet.conduct('resume')).stdout,
    /^Nothing to do: rollout r-\S+ of b-build is staging and not stopped/,
  )
  const promoted = await fleet.conduct('promote')
  assert.equal(promoted.code, 3)
  assert.match(promoted.stderr, /No stage waits for approval: rollout r-\S+ of b-build is staging and waits for nobody/)
  letGo(fleet)
  assert.equal((await fleet.conduct('release', B)).code, 0)
  assert.equal(await fleet.locks.holder(t.signal), null, 'no verb keeps the lease')
})

test('abort keeps every node as it is: the driver ends, the ring keeps its share, release goes on from there with the same record', async (t) => {
  const fleet = await onA(t, 4)
  const release = fleet.start('release', B)
  await until('one node runs it, and the others stand still', () => {
    if (!fleet.nodes.some(({ hot }) => hot === B)) return false
    for (const node of fleet.nodes) node.stalled = node.hot !== B
    return true
  })
  const aborted = await fleet.conduct('abort', '--by', 'ben', '--reason', 'wrong hour')
  assert.equal(aborted.code, 0, aborted.stderr)
  assert.match(aborted.stdout, /is aborted and nothing is taken back: production keeps b-build on \d of 4 nodes/)
  const ended = await release.end
  assert.equal(ended.code, 1)
  assert.match(
    ended.stdout,
    /^b-build stopped after .*: aborted by ben: wrong hour; conduct release b-build goes on from there/,
  )
  const left = await orderOf(fleet)
  assert.ok(left.cutoff > 0 && left.cutoff < ALL)
  assert.equal((await fleet.conduct('abort')).code, 0, 'twice is once')
  assert.deepEqual(await orderOf(fleet), left, 'the ring keeps its share')
  const looked = (await fleet.conduct('status')).stdout
  assert.match(
    looked,
    /The rollout left production between two builds: conduct release b-build goes on from there, conduct rollback takes it back\./,
  )

  await fleet.publish(C)
  const third = await fleet.conduct('release', C)
  assert.equal(third.code, 3)
  assert.match(third.stderr, /A ring runs two builds: production was left between b-build and what ran before/)
  letGo(fleet)
  const on = await fleet.conduct('release', B)
  assert.equal(on.code, 0, on.stderr)
  const order = await orderOf(fleet)
  assert.deepEqual(
    [order.build, order.fallback, order.cutoff, order.salt],
    [B, A, ALL, left.salt],
    'no third build, no other salt',
  )
  assert.ok(fleet.nodes.every(({ hot }) => hot === B))
  assert.equal((await fleet.conduct('rollback')).code, 0)
  assert.ok(fleet.nodes.every(({ hot }) => hot === A))
})

test('an aborted rollout can be rolled back: those who run the build come back', async (t) => {
  const fleet = await onA(t, 4)
  const release = await standing(fleet)
  assert.equal((await fleet.conduct('abort')).code, 0)
  assert.match((await release.end).stdout, /production: 0 of 4 nodes run b-build/)
  letGo(fleet)
  const back = await fleet.conduct('rollback')
  assert.equal(back.code, 0, back.stderr)
  const order = await orderOf(fleet)
  assert.deepEqual([order.build, order.cutoff], [A, ALL])
})

test('F12: one silent node: the release cannot succeed, names it and waits; a waiver lets it go on, and the history says whose', async (t) => {
  const fleet = await onA(t, 12)
  await fleet.nodes[4]?.die()
  const release = fleet.start('release', B)
  await until('it names the node', () =>
    release.stderr().includes('conduct waive NODE goes on without one: production-5'),
  )
  assert.ok(
    fleet.nodes.every((node) => node.silent || node.hot === B),
    'one of twelve is within the failure budget of 10 %',
  )
  const [why] = (await rolloutOf(fleet)).because
  assert.deepEqual([why?.code, why?.nodes], ['nodes-silent', ['production-5']])
  const nameless = await fleet.conduct('waive', 'production-5')
  assert.equal(nameless.code, 2)
  assert.match(nameless.stderr, /conduct waive needs a reason/)
  assert.equal((await fleet.conduct('waive', 'production-55', '--reason', 'typo')).code, 3)
  const waived = await fleet.conduct('waive', 'production-5', '--by', 'ben', '--reason', 'disk is dead')
  assert.equal(waived.code, 0, waived.stderr)
  const done = await release.end
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^Released b-build to production: 11 of 12 nodes run it/)
  assert.match(done.stdout, /production-5 is silent/, 'counted and shown all the same')
  const said = await fleet.conduct('history')
  assert.match(said.stdout, /ben {2}waived production-5 in r-\S+: disk is dead/)
  assert.match(
    said.stdout,
    /ended done: b-build runs on every ring of the plan, not counting production-5 \(waived by ben: disk is dead\)/,
  )
})

test('retry asks the nodes that failed once more: only they move, and a second retry has nothing to do', async (t) => {
  const fleet = await onA(t, 4)
  const config = join(await tmp(t, 'conduct'), 'hotcold.yaml')
  await writeFile(config, 'rings: [production]\nfailureBudget: 50%\n')
  fleet.broken.add(B)
  const release = fleet.start('release', B, '--config', config)
  const failed = await until('a node refuses it', () => fleet.nodes.find(({ refusal }) => refusal?.build === B))
  assert.equal((await fleet.conduct('pause')).code, 0)
  fleet.broken.delete(B)
  const early = await fleet.conduct('retry')
  assert.equal(early.code, 3, 'a paused rollout asks nobody for anything')
  assert.equal((await fleet.conduct('resume')).code, 0)
  const healthy = fleet.nodes.find((node) => node !== failed && node.refusal === null)
  const other = await fleet.conduct('retry', healthy?.name ?? '')
  assert.match(other.stdout, /^Nothing to do: no node that failed b-build waits to be asked again/)
  const retried = await fleet.conduct('retry', failed.name, '--by', 'ben')
  assert.equal(retried.code, 0, retried.stderr)
  assert.match(retried.stdout, new RegExp(`${failed.name}.* will try b-build once more \\(attempt 2 of rollout r-`))
  const done = await release.end
  assert.equal(done.code, 0, done.stderr)
  assert.ok(fleet.nodes.every(({ hot }) => hot === B))
  assert.equal((await orderOf(fleet)).attempt, 2)
  assert.ok(
    (await events(fleet)).some(({ event, by, facts }) => event === 'retried' && by === 'ben' && facts.attempt === 2),
  )
})

test('requests that make no sense are answered, and end no driver', async (t) => {
  const fleet = await onA(t, 2)
  const release = await standing(fleet)
  const asks: readonly (readonly [string, Record<string, unknown>])[] = [
    ['dance', {}],
    ['waive', { nodes: ['../etc'] }],
    ['waive', { nodes: 'production-1' }],
    ['pause', { reason: 'x'.repeat(3_000) }],
    ['hold', { reason: 'x', expires: 'soon' }],
    ['quarantine', { build: '../../etc', reason: 'x' }],
    ['forget', {}],
    ['release', { build: C }],
  ]
  await refusesAll(fleet, asks, t.signal)
  const { hold, phase } = await rolloutOf(fleet)
  assert.deepEqual([hold, phase], [null, 'staging'])
  letGo(fleet)
  assert.equal((await release.end).code, 0)
})
