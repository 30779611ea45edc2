// Owns the story of 16:40: the store is away, the new build is bad, and the fleet goes back all the same.
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { startFleet } from '#test/support/fleet.ts'
import { changeSourceTree, makeSourceTree, treeLines } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'

async function fetchedBytes(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text()
  const line = text.split('\n').find((entry) => entry.startsWith('puller_fetched_bytes_total'))
  assert.ok(line !== undefined, `no puller_fetched_bytes_total in:\n${text}`)
  return Number(line.split(' ').at(-1))
}

test('B12: with the store switched off a rollback of warm nodes fetches nothing and brings the old bytes back', async (t) => {
  const consul = await startConsul(t)
  const store = await tmp(t, 'store')
  const port = (index: number) => 9_470 + index
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store: { url: `file://${store}` },
    nodes: 4,
    puller: ({ index }) => ({ metrics: { listen: `${consul.address}:${port(index)}` } }),
  })
  const source = join(fleet.dir, 'source')
  mkdirSync(source)
  makeSourceTree(source, 300, 7)
  const before = treeLines(source)
  assert.equal((await fleet.conduct('publish', source, '--build', 'build-a')).code, 0)
  assert.equal((await fleet.conduct('release', 'build-a', '--reason', 'first')).code, 0)
  changeSourceTree(source, 300, 0.05, 8)
  writeFileSync(join(source, 'BUILD'), 'b')
  assert.equal((await fleet.conduct('publish', source, '--build', 'build-b')).code, 0)
  assert.equal((await fleet.conduct('release', 'build-b', '--reason', 'second')).code, 0)

  renameSync(store, `${store}-away`)
  t.after(() => renameSync(`${store}-away`, store))
  const bytes = await Promise.all(
    fleet.nodes.map((_, index) => fetchedBytes(`http://${consul.address}:${port(index)}/metrics`)),
  )
  const back = await fleet.conduct('rollback', '--reason', 'spike in errors')
  assert.equal(back.code, 0, back.stderr)
  assert.match(back.stdout + back.stderr, /build-a/)
  for (const [index, node] of fleet.nodes.entries()) {
    assert.deepEqual(treeLines(join(node.root, 'hot')), before, `${node.name} serves build-a byte for byte`)
    assert.equal(
      await fetchedBytes(`http://${consul.address}:${port(index)}/metrics`),
      bytes[index],
      `${node.name} fetched nothing`,
    )
  }
  const target = JSON.parse((await consul.kv.get('hotcold/v1/web/production/target')) ?? '{}')
  assert.equal(target.build, 'build-a')
})
