// Owns the proof of the command line with a daemon that leads, on a real Consul: each verb goes through it, and none takes its lease.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { ALL } from '#fleet/target.ts'
import { A, B, C } from '#test/support/rollout-sim.ts'
import { serving } from '#test/support/serving.ts'
import { events, letGo, onA, orderOf, rolloutOf, standing } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

// Each has a Consul of its own and mostly waits: together they take as long as the slowest.
suite('verbs with a daemon that leads', { concurrency: 3 }, () => {
  test('with a daemon that leads a release is its work: the command line asks, follows and says how it ended; rollback too', async (t) => {
    const fleet = await onA(t, 3)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    const lease = await fleet.locks.holder(t.signal)
    assert.deepEqual([lease?.holder, lease?.serves], ['hotcold@desk', true])

    const released = await fleet.conduct('release', B, '--by', 'ben', '--reason', 'scheduled')
    assert.equal(released.code, 0, released.stderr)
    assert.match(released.stderr, /^hotcold@desk leads: asking to release b-build\.$/m)
    assert.match(released.stdout, /^Released b-build to production: all 3 nodes run it after/)
    assert.ok(fleet.nodes.every(({ hot }) => hot === B))
    const begun = (await events(fleet)).findLast(({ event }) => event === 'release-begun')
    assert.deepEqual([begun?.by, begun?.facts.reason], ['ben', 'scheduled'], 'in the name of who asked')

    assert.match((await fleet.conduct('status')).stdout, /^Led by hotcold@desk for \S+.*\.$/m)
    const again = await fleet.conduct('release', B)
    assert.equal(again.code, 0)
    assert.match(again.stdout, /is already there/)
    const back = await fleet.conduct('rollback', '--by', 'chloe', '--reason', 'graphs')
    assert.equal(back.code, 0, back.stderr)
    assert.match(back.stdout, /^production is back on a-build: all 3 nodes run it after/)
    assert.doesNotMatch(back.stderr, /did not answer/)
    const order = await orderOf(fleet)
    assert.deepEqual([order.build, order.cutoff], [A, ALL])
    assert.equal((await fleet.locks.holder(t.signal))?.session, lease?.session, 'nobody took its lease')
    const told = (await events(fleet)).filter(({ event }) => event === 'led')
    assert.deepEqual(
      told.map(({ by, facts }) => [by, facts.holder, facts.rollout]),
      [['hotcold', 'hotcold@desk', null]],
    )
    assert.match(
      (await fleet.conduct('history', '--limit', '99')).stdout,
      / hotcold +leads from here on \(hotcold@desk\)$/m,
    )
    assert.equal((await fleet.conduct('audit', 'verify')).code, 0)
  })

  test('a rollback that meets a rollout begun meanwhile takes both back: what ran badly does not stay because a slot was quicker', async (t) => {
    const fleet = await onA(t, 3)
    assert.equal((await fleet.conduct('release', B)).code, 0)
    await fleet.publish(C)
    // Nobody answers yet: what is asked for first is begun first.
    const lease = await fleet.locks.acquire(
      { holder: 'hotcold@desk', since: '', rollout: null, reason: 'conduct serve', serves: true },
      t.signal,
    )
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    const back = fleet.start('rollback', '--by', 'chloe', '--reason', 'graphs')
    await until('it asks', async () => (await fleet.ledger.view([], t.signal)).requests.length === 1)
    const expires = new Date(Date.now() + 60_000).toISOString()
    const first = { id: '-', verb: 'release', args: { build: C, reason: 'slot' }, by: 'ben', expires, generations: {} }
    await fleet.ledger.ask(first, t.signal)
    await lease[Symbol.asyncDispose]()
    await daemon.leads()
    const said = await back.end
    assert.equal(said.code, 0, said.stderr)
    assert.match(said.stderr, /a rollout that had begun meanwhile: what was asked for is still to be done/)
    const taken = (await events(fleet)).filter(({ event }) => event === 'rollback-begun')
    assert.deepEqual(
      taken.map(({ facts }) => facts.build),
      [C, B],
    )
    const { build, cutoff } = await orderOf(fleet)
    assert.deepEqual([build, cutoff], [A, ALL])
    assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  })

  test('verbs find the daemon also while no rollout is open, and steer the one that it drives', async (t) => {
    const fleet = await onA(t, 3)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    const held = await fleet.conduct('hold', '--reason', 'incident', '--by', 'ben')
    assert.equal(held.code, 0, held.stderr)
    assert.match(held.stderr, /hotcold@desk holds the lease: asking to hold/)
    const stopped = await fleet.conduct('release', B)
    assert.equal(stopped.code, 3)
    assert.match(stopped.stderr, /The line is stopped/)
    const lifted = await fleet.conduct('unhold', '--by', 'ben')
    assert.equal(lifted.code, 0, lifted.stderr)
    assert.equal((await fleet.conduct('release', B)).code, 0)

    await fleet.publish(C)
    const release = await standing(fleet, C)
    const other = await fleet.conduct('release', A)
    assert.equal(other.code, 3)
    assert.match(other.stderr, /Another rollout is open: rollout r-\S+ of c-build by ana is open \(staging\)/)
    const joined = fleet.start('release', C, '--by', 'ben')
    await until('a second one looks on', () => joined.stderr().includes('of c-build is under way'))
    const paused = await fleet.conduct('pause', '--by', 'ben', '--reason', 'lunch')
    assert.equal(paused.code, 0, paused.stderr)
    assert.match(paused.stdout, /^Rollout r-\S+ of c-build is paused/)
    letGo(fleet)
    await until('every node has staged', () => fleet.nodes.every(({ cold }) => cold === C))
    assert.equal((await orderOf(fleet)).cutoff, 0)
    const resumed = await fleet.conduct('resume')
    assert.equal(resumed.code, 0, resumed.stderr)
    assert.doesNotMatch(resumed.stdout, /Nobody drives it/)
    assert.deepEqual([(await release.end).code, (await joined.end).code], [0, 0])

    const [slow] = fleet.nodes
    assert.ok(slow)
    await fleet.publish('d-build' as typeof C)
    const fourth = await standing(fleet, 'd-build' as typeof C)
    const aborted = await fleet.conduct('abort', '--reason', 'wrong hour')
    assert.equal(aborted.code, 0, aborted.stderr)
    assert.equal((await fourth.end).code, 1)
    assert.match(fourth.stdout(), /^d-build stopped after .*: aborted by ana: wrong hour/)
    letGo(fleet)
    const back = await fleet.conduct('rollback')
    assert.equal(back.code, 0, back.stderr)
    assert.doesNotMatch(back.stderr, /did not answer/)
  })

  test('F12: a silent node is waived through the daemon, which goes on', async (t) => {
    const fleet = await onA(t, 12)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    await fleet.nodes[4]?.die()
    const release = fleet.start('release', B)
    await until('it names the node', async () => {
      const [why] = (await rolloutOf(fleet)).because
      return why?.code === 'nodes-silent' && why.nodes?.[0] === 'production-5'
    })
    const waived = await fleet.conduct('waive', 'production-5', '--reason', 'it burns', '--by', 'ben')
    assert.equal(waived.code, 0, waived.stderr)
    assert.equal((await release.end).code, 0, release.stderr())
  })

  test('without a daemon, and after it was stopped, the command line drives by itself; --wait queues behind what the daemon drives', async (t) => {
    const fleet = await onA(t, 2)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    await fleet.publish(C)
    const first = await standing(fleet)
    const queued = fleet.start('release', C, '--wait')
    await until('it waits', () => queued.stderr().includes('Waiting behind rollout'))
    letGo(fleet)
    assert.equal((await first.end).code, 0)
    assert.equal((await queued.end).code, 0, queued.stderr())
    assert.match(queued.stderr(), /hotcold@desk leads: asking to release c-build/)

    assert.equal(await daemon.stop(), 0)
    assert.equal(await fleet.locks.holder(t.signal), null, 'the lease was let go')
    const alone = await fleet.conduct('release', B)
    assert.equal(alone.code, 0, alone.stderr)
    assert.doesNotMatch(alone.stderr, /leads/)
  })

  test('a daemon that does not answer is fenced off by rollback after three seconds, and can write nothing more', async (t) => {
    const fleet = await onA(t, 2)
    const dead = await fleet.locks.acquire(
      { holder: 'old@host', since: new Date().toISOString(), rollout: null, reason: 'conduct serve', serves: true },
      t.signal,
    )
    t.after(() => dead[Symbol.asyncDispose]())
    await fleet.publish(C)
    const released = fleet.start('release', B)
    await until('it asks', () => released.stderr().includes('old@host leads: asking'))
    released.interrupt()
    await released.end
    const forced = await fleet.conduct('release', B, '--take-over', '--reason', 'it hangs')
    assert.equal(forced.code, 0, forced.stderr)
    const again = await fleet.locks.acquire(
      { holder: 'old@host', since: new Date().toISOString(), rollout: null, reason: 'conduct serve', serves: true },
      t.signal,
    )
    t.after(() => again[Symbol.asyncDispose]())
    const back = await fleet.conduct('rollback')
    assert.equal(back.code, 0, back.stderr)
    assert.match(back.stderr, /old@host holds the lease and did not answer: taking it away and writing/)
    assert.equal((await orderOf(fleet)).build, A)
  })

  test('the daemon is stopped in mid-rollout and there is no other: whoever looks on goes on with it, forward and back', async (t) => {
    const fleet = await onA(t, 3)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    const release = await standing(fleet)
    assert.equal(await daemon.stop(), 0)
    await until('it notices', () => release.stderr().includes('Nobody leads any more: going on with it from here.'))
    letGo(fleet)
    assert.equal((await release.end).code, 0, release.stderr())
    assert.match(release.stdout(), /^Released b-build to production: all 3 nodes run it/m)

    const next = await serving(t, fleet, '--by', 'hotcold')
    await next.leads()
    const [slow] = fleet.nodes
    assert.ok(slow)
    slow.stalled = true
    const back = fleet.start('rollback')
    await until('it goes back', () => back.stderr().includes('is rolling it back'))
    assert.equal(await next.stop(), 0)
    await until('it notices', () => back.stderr().includes('Nobody drives it any more'))
    letGo(fleet)
    assert.equal((await back.end).code, 0, back.stderr())
    assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  })

  test('a slow command after a rollout holds back the next release, and no rollback', async (t) => {
    const fleet = await onA(t, 2)
    const config = join(fleet.dir, 'slow.yaml')
    await writeFile(config, 'rings: [production]\nafterRollout: [sh, -c, "until test -e go; do sleep 0.05; done"]\n')
    const daemon = await serving(t, fleet, '--config', config, '--by', 'hotcold')
    await daemon.leads()
    await fleet.publish(C)
    assert.equal((await fleet.conduct('release', B)).code, 0)
    const back = await fleet.conduct('rollback')
    assert.equal(back.code, 0, back.stderr)
    assert.doesNotMatch(back.stderr, /did not answer/)
    assert.ok(fleet.nodes.every(({ hot }) => hot === A))
    const next = fleet.start('release', C)
    await until('it asks', () => next.stderr().includes('asking to release c-build'))
    const pinned = await fleet.conduct('pin', 'production-1', '--reason', 'look at it', '--expires', '1h')
    assert.equal(pinned.code, 0, pinned.stderr)
    assert.equal((await fleet.conduct('unpin', 'production-1')).code, 0)
    assert.doesNotMatch(next.stderr(), /has begun/)
    await writeFile(join(fleet.dir, 'go'), '')
    assert.equal((await next.end).code, 0, next.stderr())
    const ran = (await events(fleet)).filter(({ event }) => event === 'after-rollout')
    assert.equal(ran.length >= 2, true, 'one for each rollout that is over')
  })
})
