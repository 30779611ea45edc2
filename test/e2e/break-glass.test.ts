// Owns the story of the key written by hand: a bare build id moves the fleet, and nothing that is no order moves anybody.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { type Fleet, startFleet } from '#test/support/fleet.ts'
import { makeSourceTree } from '#test/support/source-tree.ts'
import { until } from '#test/support/until.ts'

const KEY = 'hotcold/v1/web/production/target'

async function publish(fleet: Fleet, build: string, seed: number): Promise<void> {
  const dir = join(fleet.dir, `source-${build}`)
  mkdirSync(dir)
  makeSourceTree(dir, 40, seed)
  writeFileSync(join(dir, 'BUILD'), build)
  const said = await fleet.conduct('publish', dir, '--build', build)
  assert.equal(said.code, 0, said.stderr)
  assert.equal(said.stdout.trim(), build)
}

async function release(fleet: Fleet, build: string): Promise<void> {
  const said = await fleet.conduct('release', build, '--reason', 'test')
  assert.equal(said.code, 0, said.stderr)
}

const hots = (fleet: Fleet) => Promise.all(fleet.nodes.map((node) => node.hot()))

async function startTwoBuilds(t: TestContext) {
  const consul = await startConsul(t)
  const fleet = await startFleet(t, { consulUrl: consul.url, store: { url: `file://${await storeDir(t)}` }, nodes: 3 })
  await publish(fleet, 'build-a', 1)
  await publish(fleet, 'build-b', 2)
  await release(fleet, 'build-a')
  await release(fleet, 'build-b')
  assert.deepEqual(await hots(fleet), ['build-b', 'build-b', 'build-b'])
  return { consul, fleet }
}

async function storeDir(t: TestContext): Promise<string> {
  const { tmp } = await import('#test/support/tmp.ts')
  return await tmp(t, 'store')
}

test('`consul kv put` of a bare build id by the real binary moves the whole fleet, and release works again afterwards', async (t) => {
  const { consul, fleet } = await startTwoBuilds(t)
  await consul.cli('kv', 'put', KEY, 'build-a')
  await until('every node runs build-a', async () => (await hots(fleet)).every((build) => build === 'build-a'))
  const view = await until('status counts them as converged', async () => {
    const seen = await fleet.status()
    return seen.rings[0]?.counts.converged === 3 ? seen : null
  })
  assert.equal(view.rings[0]?.target?.build, 'build-a')

  const back = await fleet.conduct('release', 'build-b', '--adopt', '--yes', '--reason', 'the conductor is back')
  assert.equal(back.code, 0, back.stderr)
  assert.deepEqual(await hots(fleet), ['build-b', 'build-b', 'build-b'])
})

test('A4 A9 A10: garbage, an older generation, an empty value and a deleted key move nobody and are each told in one sentence', async (t) => {
  const { consul, fleet } = await startTwoBuilds(t)
  const good = (await consul.kv.get(KEY)) ?? ''
  const older = JSON.stringify({ ...JSON.parse(good), generation: 1, build: 'build-a' })
  const faults: { name: string; code: string; write: () => Promise<unknown> }[] = [
    { name: 'garbage', code: 'TARGET_INVALID', write: () => consul.cli('kv', 'put', KEY, '{"v":1,"this is":') },
    { name: 'an older generation', code: 'TARGET_REGRESSED', write: () => consul.cli('kv', 'put', KEY, older) },
    {
      name: 'an unknown build id',
      code: 'TARGET_UNRESOLVED',
      write: () => consul.cli('kv', 'put', KEY, 'no-such-build'),
    },
    { name: 'an empty value', code: 'TARGET_EMPTY', write: () => consul.cli('kv', 'put', KEY, '') },
    { name: 'a deleted key', code: 'TARGET_GONE', write: () => consul.cli('kv', 'delete', KEY) },
  ]
  for (const fault of faults) {
    await fault.write()
    for (const node of fleet.nodes) {
      const line = await until(`${node.name} logs ${fault.code}`, async () => lastLogged(await node.log(), fault.code))
      assert.match(String(line.msg), /^[a-z]/, 'one constant lower-case message')
      assert.match(String(line.detail ?? line.error ?? ''), /\w+ \w+/, 'and a sentence about this case')
      await until(`${node.name} says ${fault.code} in its status`, async () => {
        const status = JSON.parse((await consul.kv.get(`hotcold/v1/web/production/nodes/${node.name}`)) ?? '{}')
        return status.troubles?.some((trouble: { code: string }) => trouble.code === fault.code)
      })
    }
    const shown = await fleet.conduct('status')
    assert.match(shown.stdout, new RegExp(fault.code), `conduct status tells of ${fault.name}:\n${shown.stdout}`)
    assert.deepEqual(await hots(fleet), ['build-b', 'build-b', 'build-b'], fault.name)
  }
  const repaired = await fleet.conduct('release', 'build-a', '--adopt', '--yes', '--reason', 'the key was damaged')
  assert.equal(repaired.code, 0, repaired.stderr)
  assert.deepEqual(await hots(fleet), ['build-a', 'build-a', 'build-a'])
  const view = await fleet.status()
  assert.equal(view.rings[0]?.counts.converged, 3)
})

function lastLogged(log: string, code: string): Record<string, unknown> | null {
  const lines = log.split('\n').filter((line) => line.includes(`"${code}"`))
  const last = lines.at(-1)
  return last === undefined ? null : (JSON.parse(last) as Record<string, unknown>)
}
