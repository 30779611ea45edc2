// Owns the proof that nothing below a tree is ever reached through a link, also one that comes between two looks.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { prepare } from '#puller/shell/tree-shape.ts'
import { hashFiles } from '#puller/shell/walk.ts'
import { tmp } from '#test/support/tmp.ts'
import { testNode, testStore } from '#test/support/tree-node.ts'

async function withLink(t: TestContext) {
  const outside = await tmp(t, 'outside')
  const tree = await tmp(t, 'tree')
  writeFileSync(join(outside, 'secret'), 'not of the tree')
  symlinkSync(outside, join(tree, 'lib'))
  symlinkSync(join(outside, 'secret'), join(tree, 'page'))
  return { outside, tree, shape: { tree, attempt: tree, owner: null } }
}

test('E3: a directory that has become a link is not entered: nothing is removed or made where it leads', async (t: TestContext) => {
  const { outside, shape } = await withLink(t)
  const nothing = { lift: [], remove: [], mkdir: [] }
  const made = {
    type: 'd',
    mode: 0o755,
    size: 0,
    mtime: 1,
    content: '',
    frame: 0,
    offset: 0,
    path: 'lib/made',
  } as const
  const attempts = [
    () => prepare(shape, { ...nothing, remove: [{ path: 'lib/secret', directory: false }] }),
    () => prepare(shape, { ...nothing, mkdir: [made] }),
  ]
  const outcomes = attempts.map((attempt) => {
    try {
      attempt()
      return 'done'
    } catch {
      return 'refused'
    }
  })
  assert.deepEqual(readdirSync(outside), ['secret'])
  assert.deepEqual(outcomes, ['refused', 'refused'])
})

test('E3: a file that has become a link is not read: it counts as not there', async (t: TestContext) => {
  const { tree } = await withLink(t)
  assert.deepEqual(hashFiles(tree, ['page']), [null])
})

test('E3: links that an application put in the place of a directory and of a file are replaced, and nothing is written where they lead', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { 'lib/page': 'one', logo: 'one' })
  const two = await shop.publishFiles('b2', { 'lib/page': 'two', logo: 'two' })
  const three = await shop.publishFiles('b3', { 'lib/page': 'three', logo: 'three' }, [one, two])
  const node = await testNode(t, { store: shop.store })
  const outside = await tmp(t, 'outside')
  mkdirSync(join(outside, 'lib'))
  writeFileSync(join(outside, 'lib/page'), 'outside')
  await node.deploy(one)
  await node.deploy(two)
  for (const name of ['lib', 'logo']) {
    rmSync(join(node.root, 'cold', name), { recursive: true })
    symlinkSync(join(outside, name), join(node.root, 'cold', name))
  }
  await node.deploy(three)
  assert.deepEqual(node.hotLines(), three.lines)
  assert.equal(readFileSync(join(outside, 'lib/page'), 'utf8'), 'outside')
  assert.ok(!existsSync(join(outside, 'logo')))
})
