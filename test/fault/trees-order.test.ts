// Owns the proof, by the system calls of a deploy, that the disk learns things in the order in which a power cut may stop it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { changedUnderSeal, renamesTo, sealedTooSoon, unsyncedAfter, unsyncedBefore } from '#test/support/disk-order.ts'
import { type Call, isChange, traced } from '#test/support/strace.ts'
import { testNode, testStore } from '#test/support/tree-node.ts'

const STAGER = fileURLToPath(new URL('../support/tree-stager.ts', import.meta.url))
const SAME = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`lib/file-${at}`, `content ${at}`]))

interface Deploy {
  readonly root: string
  readonly calls: readonly Call[]
  /** The tree that was cold, sealed and armed, and became hot. */
  readonly tree: string
}

/** A node that runs b2 and has b1 armed in cold gets b3, and arms b2 after the swap. */
async function deploy(t: TestContext, by: 'delta' | 'ranges'): Promise<Deploy> {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { ...SAME, 'app/page': 'one', gone: 'gone' })
  const two = await shop.publishFiles('b2', { ...SAME, 'app/page': 'two' }, [one])
  const running = by === 'delta' ? [one, two] : []
  const three = await shop.publishFiles('b3', { ...SAME, 'app/page': 'three', 'new/er': 'newer' }, running)
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  await node.stage(one, 'sweep')
  await node.trees.close(true)
  const argv = [process.execPath, STAGER, node.root, shop.directory, three.build, three.manifest]
  const { calls, code, printed } = await traced(t, argv)
  assert.deepEqual([code, printed], [0, ''])
  assert.deepEqual(node.hotLines(), three.lines)
  const ours = calls.filter((call) => call.paths.some((path) => `${path}/`.startsWith(`${node.root}/`)))
  return { root: node.root, calls: ours, tree: join(node.root, 'trees/a') }
}

let recorded: Promise<readonly Deploy[]> | null = null

/** Recorded once: all rules are read off the same two deploys. */
function deploys(t: TestContext): Promise<readonly Deploy[]> {
  recorded ??= Promise.all([deploy(t, 'delta'), deploy(t, 'ranges')])
  return recorded
}

test('D2: one syncfs stands between the last change of a tree and its seal', async (t: TestContext) => {
  for (const { calls, tree } of await deploys(t)) {
    const changes = calls.filter((call) => isChange(call) && call.paths.at(-1)?.startsWith(`${tree}/`))
    assert.ok(changes.length >= 4, `only ${changes.length} changes were seen below ${tree}`)
    assert.equal(renamesTo(calls, (path) => path === `${tree}.seal`).length, 1)
    assert.deepEqual(sealedTooSoon(calls, tree), [])
  }
})

test('D2: a seal, and all that stands beside a tree, is synced before it has its name, and its name before anything relies on it', async (t: TestContext) => {
  for (const { calls, root } of await deploys(t)) {
    const trees = `${root}/trees`
    const seals = renamesTo(calls, (path) => /^[ab]\.[^/]+$/.test(path.slice(trees.length + 1)))
    assert.ok(seals.length >= 1)
    const isElsewhere = (path: string) => !path.startsWith(`${trees}/`)
    assert.deepEqual(
      seals.flatMap((seal) => [...unsyncedBefore(calls, seal), ...unsyncedAfter(calls, seal, isElsewhere)]),
      [],
    )
  }
})

test('D2: the old seal is gone from the disk before the first change of its tree', async (t: TestContext) => {
  for (const { calls, tree } of await deploys(t)) assert.deepEqual(changedUnderSeal(calls, tree, true), [])
})

test('D2: the hot link moves after the seal and the mark of what it leaves, and is synced before anything else happens', async (t: TestContext) => {
  for (const { calls, root, tree } of await deploys(t)) {
    const [swap, ...more] = renamesTo(calls, (path) => path === `${root}/hot`)
    assert.ok(swap !== undefined && more.length === 0)
    const marks = renamesTo(calls, (path) => path === `${root}/.hotcold/marks.json`)
    const before = [...renamesTo(calls, (path) => path === `${tree}.seal`), ...marks.slice(0, 2)]
    assert.ok(before.length === 3 && before.every((call) => call.ended < swap.began))
    assert.deepEqual(
      marks.flatMap((mark) => [...unsyncedBefore(calls, mark), ...unsyncedAfter(calls, mark, () => true)]),
      [],
    )
    assert.deepEqual(
      unsyncedAfter(calls, swap, () => true),
      [],
    )
  }
})
