// Owns the proof that a tree becomes its build, whatever lay there before.
import assert from 'node:assert/strict'
import { readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { changeSourceTree, makeSourceTree } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, testNode, testStore } from '#test/support/tree-node.ts'

test('a first build, a changed one and the way back are each the published tree, and the way back fetches nothing', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 600, 1)
  const one = await shop.publish('b1', dir)
  const node = await testNode(t, { store: shop.store })
  const first = await node.deploy(one)
  assert.deepEqual(node.hotLines(), one.lines)
  assert.equal(first.how, 'whole')

  changeSourceTree(dir, 600, 0.05, 2)
  const two = await shop.publish('b2', dir)
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
  assert.equal(readlinkSync(join(node.root, 'hot')), 'trees/b')

  const back = await node.stage(one, 'sweep')
  assert.deepEqual([back.fetchedBytes, back.writtenFiles, back.armed, back.drift], [0, 0, true, []])
  await node.trees.swap('a')
  assert.deepEqual(node.hotLines(), one.lines)
})

test('C13: what an application left behind in its tree is not in the next build that is staged there', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { page: 'one', 'lib/same': 'same' })
  const two = await shop.publishFiles('b2', { page: 'two', 'lib/same': 'same' }, [one])
  const three = await shop.publishFiles('b3', { page: 'three', 'lib/same': 'same' }, [one, two])
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  putFiles(join(node.root, 'hot'), { 'cache.tmp': 'left', 'uploads/deep/file': 'left', 'lib/extra': 'left' })
  await node.deploy(two)
  await assert.doesNotReject(node.deploy(three), 'it is removed, not stumbled upon')
  assert.deepEqual(node.hotLines(), three.lines)
})

test('what an application changed in hot is not copied into cold: it comes from the store', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { page: 'one', 'lib/same': 'the same in both' })
  const two = await shop.publishFiles('b2', { page: 'two', 'lib/same': 'the same in both' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  const same = join(node.root, 'hot/lib/same')
  const { atime, mtime } = statSync(same)
  writeFileSync(same, 'THE SAME in both')
  utimesSync(same, atime, mtime)
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
  assert.equal(readFileSync(join(node.root, 'cold/lib/same'), 'utf8'), 'THE SAME in both', 'hot was not touched')
})

test('a change of one in a hundred costs what changed: by a delta where the store has one, by ranges else', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 600, 1)
  const one = await shop.publish('b1', dir)
  const before = await tmp(t, 'source')
  makeSourceTree(before, 600, 1)
  changeSourceTree(before, 600, 0.01, 2)
  const two = await shop.publish('b2', before, [one])
  const whole = statSync(join(shop.directory, 'b2/artifact.tar.zst')).size

  const byDelta = await testNode(t, { store: shop.store })
  await byDelta.deploy(one)
  const delta = await byDelta.deploy(two)
  assert.deepEqual(byDelta.hotLines(), two.lines)
  assert.equal(delta.how, 'delta')

  rmSync(join(shop.directory, 'b2/from'), { recursive: true })
  const byRanges = await testNode(t, { store: shop.store })
  await byRanges.deploy(one)
  const ranges = await byRanges.deploy(two)
  assert.deepEqual(byRanges.hotLines(), two.lines)
  assert.equal(ranges.how, 'ranges')
  assert.ok(
    delta.fetchedBytes < ranges.fetchedBytes && ranges.fetchedBytes < whole / 3,
    `${delta.fetchedBytes} by delta, ${ranges.fetchedBytes} by ranges, ${whole} in all`,
  )
})
