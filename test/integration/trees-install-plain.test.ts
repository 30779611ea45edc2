// Owns the proof that an empty node is filled in plain surroundings too: by a web server that knows no ranges, and in a folder with setgid.
import assert from 'node:assert/strict'
import { chmodSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { httpStore } from '#adapters/http/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { noise } from '#test/support/patch-scene.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, type TestStore, testNode, testStore } from '#test/support/tree-node.ts'

const MIB = 1024 * 1024

/** Serves a store's objects, always whole. `asked` are the names of what was read. */
async function plainServer(t: TestContext, { directory }: TestStore): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, answer) => {
    const name = decodeURIComponent((request.url ?? '').slice(1))
    let bytes: Buffer
    try {
      bytes = readFileSync(join(directory, name))
    } catch {
      answer.writeHead(404).end()
      return
    }
    if (request.method === 'GET') asked.push(name)
    answer.writeHead(200, { 'content-length': bytes.byteLength, etag: '"one"' })
    answer.end(request.method === 'GET' ? bytes : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('a web server that knows no ranges is asked for the artifact once, and the node takes all of it', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`big/${at}`, noise(MIB, at + 1)])))
  const build = await shop.publish('b1', dir)
  const { url, asked } = await plainServer(t, shop)
  const patience = { answerMs: 10_000, stallMs: 10_000 }
  const node = await testNode(t, { store: httpStore(url, patience, systemClock) })
  const { how } = await node.stage(build)
  assert.equal(how, 'whole')
  assert.deepEqual(node.linesOf('a'), build.lines)
  assert.deepEqual(asked, ['b1/manifest.json.zst', 'b1/artifact.tar.zst'])
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
