// Owns the proof that a puller which is not root can bring in a directory that its owner may not list. A file of its own: it changes who this process is.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, testNode, testStore } from '#test/support/tree-node.ts'

const NOBODY = 65_534

test('a directory that its owner may not list is brought in by a puller that is not root', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, { 'a/b/file': 'x', 'c/file': 'y' })
  chmodSync(join(dir, 'a/b'), 0o311)
  const build = await shop.publish('b1', dir)
  execFileSync('chmod', ['-R', 'a+rX', shop.directory])
  const root = await tmp(t, 'root')
  const isRoot = process.geteuid?.() === 0
  if (isRoot) {
    chmodSync(root, 0o755)
    chownSync(root, NOBODY, NOBODY)
    process.setegid?.(NOBODY)
    process.seteuid?.(NOBODY)
  }
  try {
    const node = await testNode(t, { root, store: shop.store })
    assert.equal((await node.stage(build)).armed, true)
    await node.trees.close(true)
  } finally {
    if (isRoot) {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  }
  assert.deepEqual(execFileSync('cat', [join(root, 'trees/a/a/b/file')], { encoding: 'utf8' }), 'x')
})
