// Owns the proof that the demo's own measuring is honest: its load finds a swap without a drain, and finds nothing when there is one.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeBuild } from '#conductor/demo/builds.ts'
import type { LoadReport } from '#conductor/demo/traffic.ts'
import { PROJECT } from '#test/support/source.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

interface Node {
  readonly root: string
  readonly url: string
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill()
  return exit
}

async function startNode(t: TestContext, broken = false): Promise<Node> {
  const root = await tmp(t, 'demo-node')
  for (const [tree, ordinal] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    await mkdir(join(root, 'trees', tree), { recursive: true })
    writeBuild(join(root, 'trees', tree), { id: `build-${ordinal}`, ordinal, broken: broken && ordinal === 2 })
  }
  await symlink('trees/a', join(root, 'hot'))
  const app = fork(join(PROJECT, 'conductor/demo/app.ts'), [root], { stdio: 'inherit' })
  t.after(() => ended(app))
  const { port } = await new Promise<{ port: number }>((resolve) => {
    app.once('message', (message) => resolve(message as { port: number }))
  })
  return { root, url: `http://127.0.0.1:${port}` }
}

async function swap(root: string): Promise<void> {
  await symlink('trees/b', join(root, 'hot.new'))
  await rename(join(root, 'hot.new'), join(root, 'hot'))
}

interface Load {
  readonly now: () => LoadReport['nodes'][string]
  /** Every sighting so far. */
  readonly builds: readonly string[]
  finish(): Promise<LoadReport['nodes'][string]>
}

async function startLoad(t: TestContext, url: string): Promise<Load> {
  const child = fork(join(PROJECT, 'conductor/demo/load.ts'), [], { stdio: 'inherit' })
  t.after(() => ended(child))
  let last: LoadReport | null = null
  const builds: string[] = []
  child.on('message', (message) => {
    last = message as LoadReport
    builds.push(...last.sightings.map(({ build }) => build))
  })
  child.send({ urls: { node: `${url}/` }, perSecond: 60 })
  const now = (): LoadReport['nodes'][string] => {
    const load = last?.nodes.node
    assert.ok(load !== undefined)
    return load
  }
  await until('the first answers', () => last !== null && now().served > 20)
  return {
    now,
    builds,
    finish: async () => {
      child.send('stop')
      await until('the last answer', () => last?.over === true)
      return now()
    },
  }
}

test('a swap under load without a drain mixes two builds in one answer, and the load sees it', async (t: TestContext) => {
  const { root, url } = await startNode(t)
  const load = await startLoad(t, url)
  await swap(root)
  await until('the new build answers', () => load.builds.includes('build-2'))
  const total = await load.finish()
  assert.ok(total.mixed > 0, 'no answer was mixed: skipping the drain would go unnoticed')
  assert.equal(total.failed, 0)
  assert.match(total.why.mixed[0] ?? '', /layout of build-1, content of build-2/)
})

test('a drained node holds new requests: a swap mixes nothing and every request is answered', async (t: TestContext) => {
  const { root, url } = await startNode(t)
  const load = await startLoad(t, url)
  const ask = async (path: string): Promise<{ active: number; held: number }> => {
    const response = await fetch(`${url}${path}`)
    return (await response.json()) as { active: number; held: number }
  }
  assert.ok((await ask('/active')).active > 0, 'requests are in work')
  await until('nothing is in work', async () => (await ask('/drain')).active === 0)
  await until('requests wait', async () => (await ask('/active')).held > 10)
  await swap(root)
  const health = await fetch(`${url}/healthz`)
  assert.equal(health.status, 200)
  assert.equal(health.headers.get('x-hotcold-build'), 'build-2')
  await rm(join(root, 'maintenance'))
  await until('the new build answers', () => load.builds.includes('build-2'))
  const total = await load.finish()
  assert.deepEqual([total.failed, total.mixed, total.served], [0, 0, total.sent])
  assert.deepEqual(load.builds, ['build-1', 'build-2'])
})

test('a broken build fails its health check and every page', async (t: TestContext) => {
  const { root, url } = await startNode(t, true)
  await swap(root)
  const health = await fetch(`${url}/healthz`)
  assert.equal(health.status, 500)
  assert.equal((await fetch(`${url}/`)).status, 500)
})
