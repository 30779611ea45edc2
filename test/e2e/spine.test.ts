// Owns the story of the whole way: 20,000 files through S3 and Consul to three nodes, changed, and brought back, byte for byte.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { run, startFleet } from '#test/support/fleet.ts'
import { startRgw } from '#test/support/rgw.ts'
import { changeSourceTree, makeSourceTree, treeLines } from '#test/support/source-tree.ts'

const FILES = 20_000

test('20,000 files go to S3 and to three nodes, change by 1 %, and come back, each time byte for byte with modes and links', async (t) => {
  const [consul, rgw] = await Promise.all([startConsul(t), startRgw(t)])
  const store = { url: `s3://${rgw.bucket}/builds/web`, endpoint: rgw.endpoint, region: 'us-east-1', pathStyle: true }
  const fleet = await startFleet(t, { consulUrl: consul.url, store, nodes: 3, env: rgw.env })
  const source = join(fleet.dir, 'source')
  mkdirSync(source)
  const conduct = async (...args: readonly string[]): Promise<string> => {
    const said = await fleet.conduct(...args)
    assert.equal(said.code, 0, `conduct ${args.join(' ')}: ${said.stderr}`)
    return said.stdout.trim()
  }
  const everyHotIs = (lines: readonly string[], mtimes: boolean): void => {
    for (const node of fleet.nodes) assert.deepEqual(treeLines(join(node.root, 'hot'), { mtimes }), lines, node.name)
  }

  makeSourceTree(source, FILES, 20)
  const first = treeLines(source)
  const buildA = await conduct('publish', source, '--commit', '3f2a9c1', '--check', 'ci=passed')
  await conduct('release', '--reason', 'first deploy')
  everyHotIs(first, false)

  changeSourceTree(source, FILES, 0.01, 21)
  const second = treeLines(source)
  assert.notDeepEqual(second, first)
  const buildB = await conduct('publish', source, '--commit', '9be01d2', '--contains', '3f2a9c1')
  await conduct('release', buildB, '--reason', 'one per cent')
  everyHotIs(second, false)
  const untouched = fleet.nodes.map((node) => treeLines(join(node.root, 'hot'), { mtimes: true }))
  assert.deepEqual(untouched[1], untouched[0], 'every node has the same modification times')

  await t.test('any `tar --zstd -x` unpacks the artifact to the same tree', async () => {
    const unpacked = join(fleet.dir, 'unpacked')
    mkdirSync(unpacked)
    const url = `${rgw.url}/builds/web/${buildB}/artifact.tar.zst`
    const object = await fetchObject(rgw, `builds/web/${buildB}/artifact.tar.zst`)
    const file = join(fleet.dir, 'artifact.tar.zst')
    await import('node:fs/promises').then((fs) => fs.writeFile(file, object))
    const said = await run(['tar', '--zstd', '-xf', file, '-C', unpacked])
    assert.equal(said.code, 0, `${url}: ${said.stderr}`)
    assert.deepEqual(treeLines(unpacked, { mtimes: true }), untouched[0])
  })

  await conduct('rollback', '--reason', 'back')
  everyHotIs(first, false)
  const view = await fleet.status()
  assert.equal(view.rings[0]?.target?.build, buildA)
  assert.equal(view.rings[0]?.counts.converged, 3)
})

async function fetchObject(rgw: Awaited<ReturnType<typeof startRgw>>, key: string): Promise<Uint8Array> {
  const { GetObjectCommand } = await import('@aws-sdk/client-s3')
  const answer = await rgw.client.send(new GetObjectCommand({ Bucket: rgw.bucket, Key: key }))
  assert.ok(answer.Body !== undefined, `${key} has a body`)
  return await answer.Body.transformToByteArray()
}
