// Owns the proof that a survey says what lies on the disk now, though a seal is read only when it is not the file that was read before.
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { testNode, testStore } from '#test/support/tree-node.ts'

/** A clock for which every seal on this disk is old, so that what was read of it is kept. */
const later = { ...systemClock, now: () => systemClock.now() + 3_600_000 }

async function sealed(t: TestContext) {
  const store = await testStore(t)
  const b1 = await store.publishFiles('b1', { index: 'one' })
  const b2 = await store.publishFiles('b2', { index: 'two' })
  const node = await testNode(t, { store: store.store, clock: later })
  await node.deploy(b1)
  await node.stage(b2)
  const seal = join(node.root, 'trees/b.seal')
  const cold = async () => (await node.trees.survey()).cold?.build ?? null
  assert.deepEqual([await cold(), await cold()], ['b2', 'b2'])
  return { node, seal, cold }
}

test('a seal that was damaged in place is not believed any more, though its size and its time are those that were read', async (t: TestContext) => {
  const { seal, cold } = await sealed(t)
  const bytes = readFileSync(seal)
  const { atime, mtime } = statSync(seal)
  writeFileSync(seal, Buffer.alloc(bytes.byteLength, '{'))
  utimesSync(seal, atime, mtime)
  assert.equal(await cold(), null)
  writeFileSync(seal, bytes)
  assert.equal(await cold(), 'b2', 'and one that was mended is read again')
})

test('a seal that another took the place of says what that one says; one that is gone says nothing', async (t: TestContext) => {
  const { node, seal, cold } = await sealed(t)
  copyFileSync(join(node.root, 'trees/a.seal'), `${seal}.new`)
  renameSync(`${seal}.new`, seal)
  assert.equal(await cold(), 'b1')
  rmSync(seal)
  assert.equal(await cold(), null)
})

test('a tree that is gone is not sealed, whatever lies beside it', async (t: TestContext) => {
  const { node, cold } = await sealed(t)
  renameSync(join(node.root, 'trees/b'), join(node.root, 'elsewhere'))
  assert.equal(await cold(), null)
  renameSync(join(node.root, 'elsewhere'), join(node.root, 'trees/b'))
  assert.equal(await cold(), 'b2')
})
