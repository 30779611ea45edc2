// Owns the proof that an empty node is filled in plain surroundings too: by a web server that knows no ranges, and in a folder with setgid.
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openStore } from '#adapters/store.ts'
import { startLyingStore } from '#test/support/lying-store.ts'
import { becomes, noise } from '#test/support/patch-scene.ts'
import { recordedLog } from '#test/support/recorded-log.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, testNode, testStore } from '#test/support/tree-node.ts'

const MIB = 1024 * 1024

test('a web server that knows no ranges is asked for the artifact once, and the node takes all of it', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`big/${at}`, noise(MIB, at + 1)])))
  const build = await shop.publish('b1', dir)
  const server = await startLyingStore(t, shop.directory)
  const reads = () => server.requests.flatMap(({ method, name }) => (method === 'GET' ? [name] : []))
  const filled = async () => {
    const store = await openStore({ url: server.url }, { clock: systemClock, log: recordedLog().log })
    await becomes(await testNode(t, { store }), build, 'whole')
  }
  server.lie({ kind: 'no ranges' })
  await filled()
  assert.deepEqual(reads(), ['b1/manifest.json.zst', 'b1/artifact.tar.zst'])
  server.lie(null)
  await filled()
  assert.ok(reads().length > 4, 'one that knows them is asked on several connections')
})

test('an empty tree whose group is handed down is filled: its directories have the modes of the build', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, { 'some/deep/file': 'content', other: 'other' })
  const build = await shop.publish('b1', dir)
  const node = await testNode(t, { store: shop.store })
  chmodSync(join(node.root, 'trees/a'), 0o2755)
  await node.stage(build)
  assert.deepEqual(node.linesOf('a'), build.lines)
})
