// Owns the proof of the `assets` hook: it is told of a complete tree, nothing counts as staged before it, and it is tried again, also after a death.
import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type OneNode, oneNode } from '#test/support/puller.ts'
import { until } from '#test/support/until.ts'

/** Publishes, unless a file says that it must wait or fail: what it was told, and what lies in the tree that it was told of. */
const SCRIPT = `
while [ -e "$DIR/wait" ]; do echo waiting > "$DIR/waits"; sleep 0.02; done
if [ -e "$DIR/fail" ]; then echo "no room in the bucket" >&2; exit 3; fi
echo "$HOTCOLD_BUILD $(cat "$HOTCOLD_TREE/BUILD") $HOTCOLD_PREVIOUS $(cat hot/BUILD 2>/dev/null)" >> "$DIR/published"
`

async function scene(t: TestContext) {
  const node: OneNode = await oneNode(t)
  const script = join(node.dir, 'assets.sh')
  await writeFile(script, `DIR=${node.dir}\n${SCRIPT}`)
  await node.configure({ hooks: { assets: ['sh', script] } })
  for (const build of ['build-a', 'build-b']) await node.publish(build)
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ phase, hot }) => phase === 'idle' && hot === 'build-a')
  const file = (name: string) => join(node.dir, name)
  return {
    node,
    published: async () =>
      (await readFile(file('published'), 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => line.trim()),
    say: (name: 'wait' | 'fail') => writeFile(file(name), ''),
    unsay: (name: 'wait' | 'fail') => rm(file(name)),
    waits: () =>
      until('the hook runs', () =>
        readFile(file('waits')).then(
          () => true,
          () => false,
        ),
      ),
  }
}

const staged = (node: OneNode) =>
  node.reports('build-b lies staged', ({ phase, cold }) => phase === 'staged' && cold === 'build-b')

test('assets are published from the complete tree before a node says staged; a tree that was in service is not published again', async (t) => {
  const { node, published } = await scene(t)
  assert.deepEqual(await published(), ['build-a build-a'], 'of a first install too')
  await node.order(2, 'build-b', 'build-a', { cutoff: 0 })
  await staged(node)
  assert.deepEqual((await published()).slice(1), ['build-b build-b build-a build-a'])
  await node.order(3, 'build-b', 'build-a')
  await node.reports('build-a is armed', ({ hot, armed, phase }) => hot === 'build-b' && armed && phase === 'idle')
  await node.order(4, 'build-a', null)
  await node.reports('build-a runs again', ({ phase, hot }) => phase === 'idle' && hot === 'build-a')
  assert.equal((await published()).length, 2, 'a rollback to what is armed runs no hook')
})

test('a failing assets hook keeps a node from being staged, is named with its last words, and is tried until it succeeds', async (t) => {
  const { node, published, say, unsay } = await scene(t)
  await say('fail')
  await node.order(2, 'build-b', 'build-a', { cutoff: 0 })
  const told = await node.reports('it says why', ({ troubles }) =>
    troubles.some(({ code }) => code === 'ASSETS_FAILED'),
  )
  assert.match(told.troubles[0]?.message ?? '', /hook assets exited with 3; last output: no room in the bucket/)
  assert.deepEqual([told.phase, told.hot, told.refusal], ['fetching', 'build-a', null])
  await unsay('fail')
  assert.deepEqual((await staged(node)).troubles, [])
  assert.deepEqual((await published()).slice(1), ['build-b build-b build-a build-a'])
})

test('a puller that dies while its assets hook runs has not staged: the next one runs it again', async (t) => {
  const { node, published, say, unsay, waits } = await scene(t)
  await say('wait')
  await node.order(2, 'build-b', 'build-a', { cutoff: 0 })
  await waits()
  await node.stop('SIGKILL')
  assert.notEqual((await node.status())?.phase, 'staged')
  node.start()
  await unsay('wait')
  await staged(node)
  assert.deepEqual([...new Set((await published()).slice(1))], ['build-b build-b build-a build-a'])
})
