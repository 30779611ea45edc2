// Owns the story of one node: it follows its order from the first install to a rollback, and says so.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { oneNode } from '#test/support/puller.ts'

test('a node installs its first build, stages the next, swaps when its place falls under the cutoff, and comes back', async (t: TestContext) => {
  const node = await oneNode(t)
  await node.publish('build-a')
  await node.publish('build-b')
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ phase, hot }) => phase === 'idle' && hot === 'build-a')
  assert.equal(await node.hotFile('BUILD'), 'build-a')

  await node.order(2, 'build-b', 'build-a', { cutoff: 0 })
  await node.reports(
    'build-b lies staged',
    ({ phase, hot, cold, generation }) =>
      phase === 'staged' && hot === 'build-a' && cold === 'build-b' && generation === 2,
  )
  assert.equal(await node.hotFile('BUILD'), 'build-a')

  await node.order(3, 'build-b', 'build-a')
  await node.reports(
    'build-b runs and build-a is armed',
    ({ phase, hot, armed }) => phase === 'idle' && hot === 'build-b' && armed,
  )
  assert.equal(await node.hotFile('BUILD'), 'build-b')

  await node.order(4, 'build-a', null)
  await node.reports(
    'build-a runs again',
    ({ phase, hot, generation }) => phase === 'idle' && hot === 'build-a' && generation === 4,
  )
  assert.equal(await node.hotFile('BUILD'), 'build-a')
  assert.equal(await node.stop(), 0)
})
