// Owns the proof of retention on a real Consul and a store: what goes is gone from both, what anybody needs stays, and a crash leaves nothing dangling.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalog as consulCatalog } from '#adapters/consul/catalog.ts'
import { pruneBuild } from '#conductor/shell/prune.ts'
import type { BuildId } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { type Shop, startShop } from '#test/support/shop.ts'

const signal = new AbortController().signal
const objects = async ({ store }: Shop, ...builds: readonly string[]) => {
  const found = await Promise.all(builds.map((build) => Array.fromAsync(store.list(`${build}/`, signal))))
  return found.flat().sort()
}
const known = async (shop: Shop): Promise<readonly string[]> => {
  const said = JSON.parse((await shop.conduct('builds', '--json', '--limit', '99')).stdout)
  return said.builds.map(({ build }: { build: string }) => build)
}

/** Six builds: b1 and b3 were released, b3 runs and b1 is its fallback; b2, b4, b5 and b6 never were. */
async function stocked(shop: Shop): Promise<void> {
  for (const [build, released] of [
    ['b1', true],
    ['b2', false],
    ['b3', true],
    ['b4', false],
    ['b5', false],
    ['b6', false],
  ] as const) {
    await shop.put({ 'app.js': `${build} ${'x'.repeat(3_000)}`, 'lib/big.js': 'same '.repeat(9_000) })
    await shop.publish(build)
    if (!released) continue
    const said = await shop.conduct('release', build)
    assert.equal(said.code, 0, said.stderr)
  }
}

test('prune removes what nobody runs, holds or could go back to, from store and catalog; --dry-run names it and why the rest stays', async (t) => {
  const shop = await startShop(t)
  await stocked(shop)
  const deltas = (await objects(shop, 'b5')).filter((name) => name.includes('/from/'))
  assert.deepEqual(deltas, ['b5/from/b3.delta.zst'])
  const dry = JSON.parse((await shop.conduct('prune', '--keep', '1', '--dry-run', '--json')).stdout)
  assert.deepEqual(
    dry.remove.map(({ build }: { build: string }) => build),
    ['b2', 'b4', 'b5'],
  )
  const why = Object.fromEntries(
    dry.keep.map(({ build, because }: { build: string; because: string[] }) => [build, because]),
  )
  assert.deepEqual(Object.keys(why), ['b6', 'b3', 'b1'])
  assert.deepEqual(why.b6, ['one of the newest 1'])
  assert.ok(why.b3.includes('hot on production-1') && why.b3.includes('good in production'))
  assert.ok(why.b1.includes('cold on staging-2') && why.b1.includes('fallback in staging'))
  assert.equal((await known(shop)).length, 6, 'and nothing happened')
  const young = await shop.conduct('prune', '--keep', '1', '--older-than', '1h')
  assert.equal(young.stdout, 'Nothing to remove: all 6 builds stay.\n')

  // A delta that a build which stays has from one that goes.
  await shop.store.create('b6/from/b2.delta.zst', (async function* () {})(), signal)
  const said = await shop.conduct('prune', '--keep', '1', '--reason', 'disk')
  assert.equal(said.code, 0, said.stderr)
  assert.match(said.stdout, /^Removed 3 builds, .* in 10 objects:\n {2}b2, /)
  assert.deepEqual(await known(shop), ['b6', 'b3', 'b1'])
  assert.deepEqual(await objects(shop, 'b2', 'b4', 'b5'), [])
  assert.ok((await objects(shop, 'b1', 'b3', 'b6')).length >= 6)
  assert.ok(!(await objects(shop, 'b6')).includes('b6/from/b2.delta.zst'))
  assert.match((await shop.conduct('history')).stdout, /ana +pruned b2, b4, b5: disk/)
  assert.equal((await shop.conduct('audit', 'verify')).code, 0)
  assert.equal((await shop.conduct('rollback')).code, 0)
  const again = await shop.conduct('prune', '--keep', '9')
  assert.match(again.stdout, /^Nothing to remove/)
})

test('a silent node, a ring that no config names and an open rollout keep their builds', async (t) => {
  const shop = await startShop(t)
  await stocked(shop)
  const [first] = shop.fleet.nodes
  assert.ok(first)
  first.stalled = true
  await first.die()
  await shop.fleet.put('edge', 'b4')
  for (const node of shop.fleet.nodes) node.stalled = true
  const open = await shop.conduct('release', 'b5', '--timeout', '1s')
  assert.equal(open.code, 1)
  const { remove, keep } = JSON.parse((await shop.conduct('prune', '--keep', '1', '--keep-good', '1', '--json')).stdout)
  assert.deepEqual(
    remove.map(({ build }: { build: string }) => build),
    ['b2'],
  )
  const why = (build: string) => keep.find((one: { build: string }) => one.build === build)?.because
  assert.ok(why('b4').includes('ordered in edge'))
  assert.ok(why('b5').includes('of the open rollout'))
  assert.ok(why('b3').includes(`hot on ${first.name}`))
  await shop.fleet.put('edge', '{')
  const doubt = await shop.conduct('prune', '--keep', '1')
  assert.equal(doubt.code, 1)
  assert.match(doubt.stderr, /the target of edge: the target record is not JSON; nothing was removed/)
})

test('a prune that dies anywhere leaves an entry that nobody can release and that the next prune finishes; never an object without an entry', async (t) => {
  const shop = await startShop(t, { rings: ['production'], nodes: 1 })
  await stocked(shop)
  const book = consulCatalog(shop.fleet.client, { app: 'web' })
  const whole = (await objects(shop, 'b2')).length
  for (let alive = 0; alive <= whole; alive += 1) {
    const build = 'b2' as BuildId
    let left = alive
    const dying: BuildStore = {
      ...shop.store,
      remove: async (name, inner) => {
        if (left === 0) throw new FleetError('STORE_UNREACHABLE', 'killed here')
        left -= 1
        await shop.store.remove(name, inner)
      },
    }
    const found = await book.find(build, signal)
    assert.ok(found)
    const of = { by: 'ana', at: '2026-11-22T16:04:30Z' }
    await pruneBuild({ store: dying, catalog: book }, found.entry, of, signal).catch(() => undefined)
    const after = await book.find(build, signal)
    const remain = await objects(shop, build)
    if (after === null) {
      assert.deepEqual(remain, [], `after ${alive}`)
      break
    }
    assert.equal(after.entry.quarantine?.reason, 'being pruned')
    const refused = await shop.conduct('release', build)
    assert.equal(refused.code, 3, 'nobody can release it')
  }
  assert.equal(await book.find('b2' as BuildId, signal), null)
  const b4 = await book.find('b4' as BuildId, signal)
  assert.ok(b4)
  const marked = { ...b4.entry, quarantine: { by: 'ana', reason: 'being pruned', at: '' } }
  await book.put(marked, b4.index, signal)
  const next = await shop.conduct('prune', '--keep', '9')
  assert.match(next.stdout, /^Removed 1 build, .*\n {2}b4, /, 'whatever --keep says: something of it may be gone')
  assert.deepEqual(await objects(shop, 'b4'), [])
})

test('while somebody drives, prune is refused and names them', async (t) => {
  const shop = await startShop(t, { rings: ['production'], nodes: 1 })
  await stocked(shop)
  const note = { holder: 'ben@desk', since: '2026-11-22T16:04:30Z', rollout: null, reason: 'release b6' }
  await using _lease = await shop.fleet.locks.acquire(note, signal)
  const refused = await shop.conduct('prune', '--keep', '1')
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /Someone else is deploying this app: .*ben@desk/)
  assert.equal((await known(shop)).length, 6)
})
