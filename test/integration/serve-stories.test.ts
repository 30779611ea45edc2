// Owns the proof of longer stories with a daemon that leads, on a real Consul: a hotfix, ways back from several builds, orders by hand, two apps.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { conducting, run } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B, C } from '#test/support/rollout-sim.ts'
import { type DaemonHere, serving } from '#test/support/serving.ts'
import { startShop } from '#test/support/shop.ts'
import { events, letGo, onA, orderOf, refusesAll, standing } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

// Each has a Consul of its own and mostly waits: together they take as long as the slowest.
suite('stories with a daemon that leads', { concurrency: 3 }, () => {
  test('a hotfix through the daemon: the open rollout is recalled, the new one comes, and the command after each is run once', async (t) => {
    const shop = await startShop(t, { rings: ['production'], nodes: 3 })
    const script = '#!/bin/sh\necho "$HOTCOLD_OUTCOME $HOTCOLD_BUILD by $HOTCOLD_BY" >> after.log\n'
    await writeFile(join(shop.cwd, 'after.sh'), script, { mode: 0o755 })
    await shop.configure('afterRollout: [./after.sh]\n')
    const daemon = await serving(t, { start: (...argv) => shop.start(...argv, '--by', 'hotcold') })
    await daemon.leads()
    for (const build of ['b1', 'b2', 'b3']) {
      await shop.put({ 'app.js': build })
      await shop.publish(build)
    }
    assert.equal((await shop.conduct('release', 'b1', '--by', 'ana')).code, 0)
    const running = shop.start('release', 'b2', '--by', 'ben')
    await until('a node runs b2', () => {
      const there = shop.fleet.nodes.filter(({ hot }) => hot === 'b2')
      if (there.length > 0) for (const node of shop.fleet.nodes) node.stalled = node.hot !== 'b2'
      return there.length > 0
    })
    for (const node of shop.fleet.nodes) node.stalled = false
    const hotfix = await shop.conduct('release', 'b3', '--supersede', '--reason', 'the cart is down', '--by', 'chloe')
    assert.equal(hotfix.code, 0, hotfix.stdout + hotfix.stderr)
    assert.match(hotfix.stdout, /^Released b3 to production: all 3 nodes run it after/)
    assert.equal((await running.end).code, 1)
    assert.match(running.stdout(), /^b2 was rolled back, after .*: rolled back by chloe: superseded by b3/)
    const log = join(shop.cwd, 'after.log')
    const lines = async () => (await readFile(log, 'utf8').catch(() => '')).trim().split('\n')
    await until('the last command has run', async () => (await lines()).length >= 3)
    assert.deepEqual(await lines(), ['done b1 by ana', 'rolledBack b2 by ben', 'done b3 by chloe'])
    assert.equal((await shop.conduct('audit', 'verify')).code, 0)
  })

  test('prune borrows the lease while no rollout is open, and the daemon leads again afterwards', async (t) => {
    const shop = await startShop(t, { rings: ['production'], nodes: 2 })
    const daemon = await serving(t, shop)
    await daemon.leads()
    for (const build of ['b1', 'b2', 'b3', 'b4']) {
      await shop.put({ 'app.js': build })
      await shop.publish(build)
    }
    const [slow] = shop.fleet.nodes
    assert.ok(slow)
    slow.stalled = true
    const release = shop.start('release', 'b3')
    await until('it stages', () => release.stderr().includes('waiting for nodes to stage'))
    const refused = await shop.conduct('prune', '--keep', '1')
    assert.equal(refused.code, 3)
    assert.match(refused.stderr, /drives rollout r-\S+ of b3 \(staging\)/)
    slow.stalled = false
    assert.equal((await release.end).code, 0)
    const pruned = await shop.conduct('prune', '--keep', '1', '--reason', 'room')
    assert.equal(pruned.code, 0, pruned.stderr)
    assert.match(pruned.stderr, /leads: taking the lease for the moment/)
    assert.match(pruned.stdout, /^Removed 2 builds/)
    await until('it leads again', () => daemon.lines().filter(({ msg }) => msg === 'leads from here on').length === 2)
    const next = await shop.conduct('release', 'b4')
    assert.equal(next.code, 0, next.stderr)
    assert.match(next.stderr, /leads: asking to release b4/)
  })

  test('a way back from two builds is two rollouts: the daemon does both, and the command line waits for the second', async (t) => {
    const fleet = await onA(t, 2, ['staging', 'production'])
    await fleet.publish(C)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    assert.equal((await fleet.conduct('release', B, '--ring', 'staging')).code, 0)
    assert.equal((await fleet.conduct('release', C, '--ring', 'production')).code, 0)
    const back = await fleet.conduct('rollback', '--ring', 'staging', '--ring', 'production', '--reason', 'both')
    assert.equal(back.code, 0, back.stderr)
    assert.doesNotMatch(back.stderr, /did not answer/)
    assert.match(back.stdout, /^staging is back on a-build: all 2 nodes run it/m)
    assert.match(back.stdout, /^production is back on a-build: all 2 nodes run it/m)
    assert.deepEqual([(await orderOf(fleet, 'staging')).build, (await orderOf(fleet)).build], [A, A])
    assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  })

  test('rollback --to previous ends the open rollout and goes one build further back, all by the daemon; --now is its asker’s word', async (t) => {
    const fleet = await onA(t, 3)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    assert.equal((await fleet.conduct('release', B, '--now')).code, 0)
    await fleet.publish(C)
    const release = await standing(fleet, C)
    letGo(fleet)
    const back = await fleet.conduct('rollback', '--to', 'previous', '--now')
    assert.equal(back.code, 0, back.stderr)
    assert.doesNotMatch(back.stderr, /did not answer/)
    assert.equal((await release.end).code, 1)
    assert.equal((await orderOf(fleet)).build, A)
    assert.ok(fleet.nodes.every(({ hot }) => hot === A))
    const named = await fleet.conduct('rollback', '--to', C)
    assert.equal(named.code, 0, named.stderr)
    assert.equal((await orderOf(fleet)).build, C)
  })

  test('an order by hand is in the history within a look, though no rollout is open; release --adopt through the daemon goes on from it', async (t) => {
    const fleet = await onA(t, 2)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    await fleet.put('production', B)
    await until('it is told', async () => (await events(fleet)).some(({ event }) => event === 'orphan-write'), 5_000)
    const refused = await fleet.conduct('release', B)
    assert.equal(refused.code, 3)
    const adopted = await fleet.conduct('release', B, '--adopt', '--reason', 'it was me')
    assert.equal(adopted.code, 0, adopted.stderr)
    assert.match(adopted.stderr, /hotcold@desk leads: asking to release b-build/)
    assert.ok(fleet.nodes.every(({ hot }) => hot === B))
    assert.equal((await fleet.conduct('audit', 'verify')).code, 0)
  })

  test('a request that names nonsense is refused in the history, and the daemon goes on', async (t) => {
    const fleet = await onA(t, 2)
    const daemon = await serving(t, fleet, '--by', 'hotcold')
    await daemon.leads()
    const asks: readonly (readonly [string, Record<string, unknown>])[] = [
      ['release', { build: '../etc' }],
      ['release', { build: 'nobody-knows-it' }],
      ['release', { build: B, rings: '../x' }],
      ['release', { build: B, rings: ['nowhere'] }],
      ['release', { build: B, reason: 'x'.repeat(3_000) }],
      ['release', { build: B, force: ['nothing'] }],
      ['rollback', { rings: [7] }],
      ['dance', {}],
    ]
    await refusesAll(fleet, asks, t.signal)
    assert.equal((await fleet.conduct('release', B)).code, 0)
    assert.equal((await fleet.conduct('audit', 'verify')).code, 0)
  })

  test('two daemons of two apps on one Consul: each leads its own, and neither hears of the other', async (t) => {
    const { url } = await startConsul(t)
    const fleet = await conducting(t, { url, nodes: 2 })
    const other = (...argv: readonly string[]) =>
      run([...argv, '--app', 'shop', '--consul', url, '--ring', 'production'])
    assert.equal((await other('init').end).code, 0)
    const [web, shop] = [await serving(t, fleet), await serving(t, { start: other })]
    await Promise.all([web.leads(), shop.leads()])
    await fleet.publish(A)
    assert.equal((await fleet.conduct('release', A)).code, 0)
    const held = await other('hold', '--reason', 'not today').end
    assert.equal(held.code, 0, held.stderr)
    interface Status {
      readonly app: string
      readonly rings: readonly {
        readonly target: { readonly build: string | null }
        readonly counts: { readonly total: number }
      }[]
      readonly holds: readonly object[]
    }
    const seen = async (daemon: DaemonHere) => {
      const { app, rings, holds } = await daemon.json<Status>('/api/v1/status')
      return [app, rings[0]?.target.build, rings[0]?.counts.total, holds.length]
    }
    await until('each sees its own', async () => {
      assert.deepEqual(await Promise.all([seen(web), seen(shop)]), [
        ['web', A, 2, 0],
        ['shop', null, 0, 1],
      ])
      return true
    })
    assert.equal(await shop.stop(), 0)
    assert.equal((await web.json<{ leads: boolean }>('/readyz')).leads, true)
  })
})
