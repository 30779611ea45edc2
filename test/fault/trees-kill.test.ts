// Owns the proof that a puller may die at every step of a deploy: hot always leads to a whole build, and the next start gets through.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readlinkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { treeLines } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, type TestBuild, testNode, testStore } from '#test/support/tree-node.ts'

const STAGER = fileURLToPath(new URL('../support/tree-stager.ts', import.meta.url))

async function runStager(
  root: string,
  store: string,
  build: TestBuild,
  failpoint: string | null,
): Promise<number | string> {
  const env = { ...process.env, ...(failpoint && { HOTCOLD_FAILPOINT: failpoint }) }
  const child: ChildProcess = spawn(process.execPath, [STAGER, root, store, build.build, build.manifest], {
    env,
    stdio: ['ignore', 'ignore', failpoint === null ? 'inherit' : 'ignore'],
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  return signal ?? code ?? -1
}

/** Steps of a deploy at which something becomes true, or stops being true; see `disk.ts` for what they are. */
const STEPS = [
  ...['manifest.rename', 'unseal', 'stage.remove', 'stage.place@3', 'stage.mode', 'syncfs', 'seal.rename', 'seal.sync'],
  ...['marks.rename@2', 'swap.rename', 'swap.sync', 'cold.rename'],
]

test('D1: a puller killed at any step of a deploy leaves hot whole, and the next one gets through', async (t: TestContext) => {
  const shop = await testStore(t)
  const files = { 'a/one': 'one', 'a/two': 'two', 'b/three': 'three' }
  const zero = await shop.publishFiles('b0', { ...files, only: 'zero' })
  const one = await shop.publishFiles('b1', { ...files, 'a/one': 'ONE' })
  const dir = await tmp(t, 'source')
  putFiles(dir, { 'a/one': 'two', 'a/two': 'two', 'c/new': 'new', 'c/d/newer': 'newer' })
  symlinkSync('a/one', join(dir, 'current'))
  const two = await shop.publish('b2', dir)
  const template = await testNode(t, { store: shop.store })
  await template.deploy(zero)
  await template.deploy(one)
  await template.stage(zero, 'sweep')
  await template.trees.close(true)

  const killAt = async (step: string): Promise<void> => {
    const root = await tmp(t, 'killed')
    cpSync(template.root, root, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
    const end = await runStager(root, shop.directory, two, `${step}:kill`)
    assert.equal(end, 'SIGKILL', `${step} is passed`)
    const hot = readlinkSync(join(root, 'hot'))
    const expected = hot === 'trees/b' ? one : two
    assert.deepEqual(treeLines(join(root, 'hot')), expected.lines, `hot is whole after ${step}`)

    const node = await testNode(t, { root, store: shop.store })
    const survey = await node.trees.survey()
    assert.equal(survey.hot?.build, expected.build, `hot is sealed after ${step}`)
    assert.equal(survey.unclean, true, `${step}: the stop was not clean`)
    const difference = await node.trees.verify(survey.hot?.tree ?? 'a', new AbortController().signal)
    assert.deepEqual(difference, { missing: [], extra: [], changed: [] }, step)
    if (survey.hot?.build !== two.build) await node.deploy(two)
    assert.deepEqual(node.hotLines(), two.lines, `recovered after ${step}`)
    assert.equal((await node.trees.survey()).unclean, false)
    await node.trees.close(true)
  }
  const left = STEPS.values()
  const lane = async () => {
    for (const step of left) await killAt(step)
  }
  await Promise.all([lane(), lane()])
  assert.equal(await runStager(template.root, shop.directory, two, null), 0)
})
