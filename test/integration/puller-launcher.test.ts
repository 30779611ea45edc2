// Owns the proof that what the launcher sets for the puller alone does not reach the programs that the puller starts.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { oneNode } from '#test/support/puller.ts'

test('a hook is started in the environment that the puller was started in', async (t: TestContext) => {
  const node = await oneNode(t, { hooks: { afterSwap: ['sh', '-c', 'env > env.txt'] } })
  await node.publish('b1')
  await node.order(1, 'b1', null)
  node.start({ OF_THE_OPERATOR: 'kept' })
  await node.reports('b1 runs', ({ hot, phase }) => hot === 'b1' && phase === 'idle')
  const seen = await readFile(join(node.root, 'env.txt'), 'utf8')
  assert.match(seen, /^OF_THE_OPERATOR=kept$/m)
  assert.doesNotMatch(seen, /GLIBC_TUNABLES|HOTCOLD_TUNED|NODE_COMPILE_CACHE/)
})

test('tunables that the operator chose himself stay, for the puller and for its hooks', async (t: TestContext) => {
  const node = await oneNode(t, { hooks: { afterSwap: ['sh', '-c', 'env > env.txt'] } })
  await node.publish('b1')
  await node.order(1, 'b1', null)
  node.start({ GLIBC_TUNABLES: 'glibc.malloc.arena_max=3' })
  await node.reports('b1 runs', ({ hot, phase }) => hot === 'b1' && phase === 'idle')
  const seen = await readFile(join(node.root, 'env.txt'), 'utf8')
  assert.match(seen, /^GLIBC_TUNABLES=glibc\.malloc\.arena_max=3$/m)
})
