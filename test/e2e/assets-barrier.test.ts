// Owns the story of assets on all hosts before any host has new code: a plan with a barrier, and a node whose assets take longer.
import assert from 'node:assert/strict'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { startFleet } from '#test/support/fleet.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

test('with a barrier every node has published its assets before the first one swaps', async (t: TestContext) => {
  const consul = await startConsul(t)
  const dir = await tmp(t, 'assets')
  const [story, gate] = [join(dir, 'story'), join(dir, 'gate')]
  const script = join(dir, 'hook.sh')
  const slow = `[ "$1 $HOTCOLD_NODE" = "assets node-3" ] && while [ -e ${gate} ]; do sleep 0.02; done`
  await writeFile(script, `${slow}\necho "$1 $HOTCOLD_NODE $HOTCOLD_BUILD" >> ${story}\n`)
  await mkdir(join(dir, 'store'))
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store: { url: `file://${join(dir, 'store')}` },
    nodes: 3,
    conductor: { plan: [{ ring: 'production', barrier: true }], maxUnavailable: '100%' },
    puller: () => ({ hooks: { assets: ['sh', script, 'assets'], afterSwap: ['sh', script, 'swap'] } }),
  })
  for (const build of ['build-a', 'build-b']) {
    const source = join(dir, build)
    await mkdir(source)
    await writeFile(join(source, 'BUILD'), build)
    assert.equal((await fleet.conduct('publish', source, '--build', build)).code, 0)
  }
  assert.equal((await fleet.conduct('release', 'build-a')).code, 0)
  const lines = async () => (await readFile(story, 'utf8')).split('\n').filter((line) => line.endsWith('build-b'))

  await writeFile(gate, '')
  const running = fleet.conduct('release', 'build-b')
  const two = await until('the other two have staged', async () => {
    const [ring] = (await fleet.status()).rings
    return ring?.counts.staged === 2 ? ring : null
  })
  assert.deepEqual(
    two.nodes.map(({ hot }) => hot),
    ['build-a', 'build-a', 'build-a'],
  )
  assert.equal(two.target?.cutoff, 0, 'nobody is asked to swap')
  await rm(gate)
  const said = await running
  assert.equal(said.code, 0, said.stdout + said.stderr)
  const told = await lines()
  assert.equal(told.filter((line) => line.startsWith('assets')).length, 3)
  assert.ok(
    told.slice(0, 3).every((line) => line.startsWith('assets')),
    told.join(', '),
  )
})
