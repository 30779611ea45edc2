// Owns the proof that a tree becomes its build, whatever lay there before.
import assert from 'node:assert/strict'
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { changeSourceTree, makeSourceTree } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'
import { testNode, testStore } from '#test/support/tree-node.ts'

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
