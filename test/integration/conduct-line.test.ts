// Owns the proof of stopping the line, of the locks, and of marking nodes and builds, on a real Consul.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pins } from '#adapters/consul/pins.ts'
import { A, APP, B, C } from '#test/support/rollout-sim.ts'
import { events, letGo, onA, orderOf, rolloutOf, standing } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

test('hold stops the line under a running release, rollback works all the same, and unhold lets it go', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  const held = await fleet.conduct('hold', '--by', 'ben', '--reason', 'database upgrade', '--expires', '4h')
  assert.equal(held.code, 0, held.stderr)
  assert.match(held.stdout, /^The line is stopped for every ring until 20\S+Z: nothing advances there; rollback works/)
  letGo(fleet)
  await until('every node has staged', () => fleet.nodes.every(({ cold }) => cold === B))
  await until('the driver says why it waits', async () =>
    (await rolloutOf(fleet)).because.some(({ code }) => code === 'line-held'),
  )
  assert.equal((await orderOf(fleet)).cutoff, 0)
  assert.match(
    (await fleet.conduct('status')).stdout,
    /! The line is stopped by ben until .*: database upgrade\. conduct unhold lifts it\./,
  )
  const back = await fleet.conduct('rollback')
  assert.equal(back.code, 0, back.stderr)
  assert.equal((await release.end).code, 1)
  assert.equal((await orderOf(fleet)).build, A)

  const refused = await fleet.conduct('release', B)
  assert.equal(refused.code, 3)
  assert.match(
    refused.stderr,
    /^The line is stopped: the line is stopped by ben until .*: database upgrade; nothing was written/m,
  )
  assert.equal((await fleet.conduct('rollback', '--to', B)).code, 0, 'a rollback by name is a rollback')
  const lifted = await fleet.conduct('unhold')
  assert.match(lifted.stdout, /^The hold of ben on every ring is lifted\.$/m)
  assert.match((await fleet.conduct('unhold')).stdout, /^Nothing to do: no hold names every ring\.$/m)
  await fleet.publish(C)
  assert.equal((await fleet.conduct('release', C)).code, 0)
  const told = (await events(fleet)).filter(({ event }) => event.startsWith('line-'))
  assert.deepEqual(
    told.map(({ event, by, facts }) => [event, by, facts.reason]),
    [
      ['line-held', 'ben', 'database upgrade'],
      ['line-released', 'ana', ''],
    ],
  )
})

test('a hold of one ring lets the rings before it go on and stops the rollout at its door', async (t) => {
  const fleet = await onA(t, 2, ['staging', 'production'])
  assert.equal((await fleet.conduct('hold', '--ring', 'production', '--reason', 'black friday')).code, 0)
  const typo = await fleet.conduct('hold', '--ring', 'prodction', '--reason', 'black friday')
  assert.equal(typo.code, 3)
  assert.match(typo.stderr, /web has no ring prodction, so nothing was stopped/)
  const release = fleet.start('release', B)
  await until('it stops at production', async () =>
    (await rolloutOf(fleet)).because.some(({ code }) => code === 'line-held'),
  )
  assert.ok(fleet.nodes.every(({ name, hot }) => hot === (name.startsWith('staging') ? B : A)))
  assert.match((await fleet.conduct('unhold')).stdout, /no hold names every ring; still stopped: production by ana/)
  assert.equal((await fleet.conduct('unhold', '--ring', 'production')).code, 0)
  assert.equal((await release.end).code, 0)
})

test('a holder of the lease that does not answer: hold is written at once, every other verb says who holds it and what helps', async (t) => {
  const fleet = await onA(t, 2)
  const note = {
    holder: 'ghost@elsewhere',
    since: '2026-11-22T16:04:30.000Z',
    rollout: 'r-1',
    build: B,
    reason: 'release b-build',
  }
  const lease = await fleet.locks.acquire(note, t.signal)
  const held = await fleet.conduct('hold', '--reason', 'fire', '--timeout', '1s')
  assert.equal(held.code, 3)
  assert.match(held.stderr, /Written without the lease: the line is stopped for every ring/)
  assert.match(
    held.stderr,
    /ghost@elsewhere holds the lease since 2026-11-22T16:04:30.000Z \(.*release b-build, b-build, r-1\) and does not answer; the hold stands/,
  )
  assert.match((await fleet.conduct('status')).stdout, /! The line is stopped by ana/)
  const pin = await fleet.conduct('pin', 'production-1', '--reason', 'look into it', '--timeout', '1s')
  assert.equal(pin.code, 3)
  assert.match(
    pin.stderr,
    /nothing was written: conduct release BUILD --take-over takes the lease away and goes on, conduct rollback/,
  )
  assert.deepEqual((await fleet.ledger.view([], t.signal)).requests, [], 'requests that nobody answered are withdrawn')

  const waiting = fleet.start('hold', '--reason', 'fire and smoke')
  await until('it waits', () => waiting.stderr().includes('waiting for its session to end'))
  await lease[Symbol.asyncDispose]()
  assert.equal((await waiting.end).code, 0)
  const told = (await events(fleet)).filter(({ event }) => event === 'line-held')
  assert.deepEqual(
    told.map(({ facts }) => facts.reason),
    ['fire and smoke'],
    'what stood without the lease is told once it is free',
  )
})

test('a build under quarantine is released by nobody until it is cleared, and its open rollout is paused', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  const put = await fleet.conduct('quarantine', B, '--by', 'ben', '--reason', 'leaks memory')
  assert.equal(put.code, 0, put.stderr)
  assert.match(
    put.stdout,
    /^b-build is under quarantine: nothing releases it until conduct clear b-build; rollout r-\S+ of it is paused/,
  )
  assert.match(
    (await fleet.conduct('quarantine', B, '--reason', 'again')).stdout,
    /^Nothing to do: b-build is under quarantine by ben: leaks memory/,
  )
  const resumed = await fleet.conduct('resume')
  assert.equal(resumed.code, 3)
  assert.match(
    resumed.stderr,
    /This build may not be released: b-build is under quarantine by ben: leaks memory; conduct clear b-build lifts that/,
  )
  letGo(fleet)
  assert.equal((await fleet.conduct('rollback')).code, 0)
  await release.end
  for (const argv of [
    ['release', B],
    ['release', B, '--retry'],
    ['release', B, '--adopt'],
    ['rollback', '--to', B],
  ]) {
    const refused = await fleet.conduct(...argv)
    assert.equal(refused.code, 3, argv.join(' '))
    assert.match(refused.stderr, /b-build is under quarantine by ben: leaks memory/)
  }
  assert.equal((await fleet.conduct('clear', 'nope', '--reason', 'x')).code, 3)
  const cleared = await fleet.conduct('clear', B, '--reason', 'it was the probe')
  assert.match(cleared.stdout, /^the quarantine of b-build by ben is lifted/i)
  assert.match(
    (await fleet.conduct('clear', B, '--reason', 'twice')).stdout,
    /^Nothing to do: b-build is not under quarantine/,
  )
  assert.equal((await fleet.conduct('release', B)).code, 0)
  const told = (await fleet.conduct('history')).stdout
  assert.match(told, /ben {2}put b-build under quarantine: leaks memory/)
  assert.match(told, /ana {2}lifted the quarantine of b-build by ben: it was the probe/)
})

test('pin, unpin and forget: the node reads its pin, and only a node whose session is gone leaves the roster', async (t) => {
  const fleet = await onA(t, 3)
  const pin = pins(fleet.client, { app: APP, ring: 'production', node: 'production-2' })
  const pinned = await fleet.conduct('pin', 'production-2', '--reason', 'heap dump', '--expires', '90m')
  assert.equal(pinned.code, 0, pinned.stderr)
  const read = await pin.read(t.signal)
  assert.deepEqual([read?.by, read?.reason], ['ana', 'heap dump'])
  assert.ok(Date.parse(read?.expires ?? '') > Date.now() + 80 * 60_000)
  assert.equal((await fleet.conduct('pin', 'production-9', '--reason', 'typo')).code, 3, 'there is no such node')
  assert.equal((await fleet.conduct('unpin', 'production-2')).code, 0)
  assert.equal(await pin.read(t.signal), null)
  assert.match(
    (await fleet.conduct('unpin', 'production-2')).stdout,
    /^Nothing to do: production-2 is not pinned in production/,
  )

  const alive = await fleet.conduct('forget', 'production-3', '--reason', 'decommissioned')
  assert.equal(alive.code, 3)
  assert.match(alive.stderr, /The node is alive: production-3 of production reports now/)
  await fleet.nodes[2]?.die()
  const dry = await fleet.conduct('forget', 'production-3', '--reason', 'decommissioned', '--dry-run')
  assert.match(dry.stdout, /^Would forget: production-3 is forgotten/)
  const gone = await fleet.conduct('forget', 'production-3', '--reason', 'decommissioned')
  assert.equal(gone.code, 0, gone.stderr)
  assert.match((await fleet.conduct('status')).stdout, /2 nodes: 2 converged/)
  assert.equal((await fleet.conduct('release', B)).code, 0, 'nothing waits for it any more')
  const told = (await fleet.conduct('history')).stdout
  for (const said of [
    'pinned production-2 of production until',
    'lifted the pin of ana on production-2',
    'forgot production-3 of production: decommissioned',
  ]) {
    assert.ok(told.includes(said), said)
  }
})

test('F7: release --wait queues behind the rollout of another build, says so, and begins when that is over', async (t) => {
  const fleet = await onA(t, 3)
  await fleet.publish(C)
  const release = await standing(fleet)
  const refused = await fleet.conduct('release', C, '--by', 'ben')
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /--wait queues behind it/)
  const late = await fleet.conduct('release', C, '--wait', '--timeout', '1s')
  assert.equal(late.code, 3)
  assert.match(
    late.stderr,
    /Another rollout is open: waited 1\.0 s in vain\. Waiting behind rollout r-\S+ of b-build by ana \(staging\)/,
  )
  const next = fleet.start('release', C, '--wait', '--by', 'ben')
  await until('it says whom it waits for', () =>
    /Waiting behind rollout r-\S+ of b-build by ana \(staging\)/.test(next.stderr()),
  )
  letGo(fleet)
  assert.equal((await release.end).code, 0)
  const done = await next.end
  assert.equal(done.code, 0, done.stderr)
  assert.ok(fleet.nodes.every(({ hot, cold }) => hot === C && cold === B))
})

test('A22: a take-over is explicit, fences the driver, goes on at the same place, and the history has both names', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  const { id } = await rolloutOf(fleet)
  const silent = await fleet.conduct('release', B, '--take-over', '--by', 'ben')
  assert.equal(silent.code, 2, 'not without a reason')
  const taking = fleet.start('release', B, '--take-over', '--by', 'ben', '--reason', 'ana is on a plane')
  const fenced = await release.end
  assert.equal(fenced.code, 3)
  assert.match(
    fenced.stderr,
    /The lease was lost: nothing was written: .*ben@desk has it since \S+ \(release b-build: ana is on a plane\)/,
  )
  assert.match(
    (await fleet.conduct('status')).stdout,
    /Held by ben@desk for \d+ s: release b-build: ana is on a plane\./,
  )
  const view = await rolloutOf(fleet)
  assert.deepEqual([view.id, view.commander], [id, 'ben'])
  letGo(fleet)
  const done = await taking.end
  assert.equal(done.code, 0, done.stderr)
  const told = await events(fleet)
  const taken = told.find(({ event }) => event === 'taken-over')
  assert.deepEqual([taken?.by, taken?.facts.from, taken?.facts.to], ['ben', 'ana@desk', 'ben@desk'])
  const staged = told.filter(({ event, facts }) => event === 'ordered' && facts.kind === 'stage' && facts.build === B)
  assert.equal(staged.length, 1, 'no stage is repeated')
  const nobody = await fleet.conduct('release', C, '--take-over', '--reason', 'x')
  assert.equal(nobody.code, 3, 'an unknown build fences nobody')
})
