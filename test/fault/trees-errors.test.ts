// Owns the proof that an error of the disk costs an attempt and is told by its code, and that what could not be synced is thrown away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mortal } from '#test/support/child.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles, type TestBuild, testNode, testStore } from '#test/support/tree-node.ts'

const STAGER = fileURLToPath(new URL('../support/tree-stager.ts', import.meta.url))

/** Runs one deploy. @returns the signal or code that it ended with, and the error code that it printed */
async function runStager(root: string, store: string, build: TestBuild, failpoint: string): Promise<[unknown, string]> {
  const child = spawn(...mortal(process.execPath, STAGER, root, store, build.build, build.manifest), {
    env: { ...process.env, HOTCOLD_FAILPOINT: failpoint },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return [signal ?? code, printed]
}

/** A root that runs b1 and has b0 armed in cold, as a template, and b2 to deploy. */
async function beforeDeploy(t: TestContext) {
  const shop = await testStore(t)
  const files = { 'a/one': 'one', 'a/two': 'two', 'b/three': 'three' }
  const zero = await shop.publishFiles('b0', { ...files, unique: 'zero' })
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
  const copy = async () => {
    const root = await tmp(t, 'copy')
    cpSync(template.root, root, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
    return root
  }
  return { shop, one, two, copy }
}

const FAULTS = [
  ['syncfs:error:EIO', 'DISK_ERROR'],
  ['seal.fsync:error:EIO', 'DISK_ERROR'],
  ['stage.write@2:error:EDQUOT', 'DISK_QUOTA'],
  ['swap.rename:error:EIO', 'SWAP_FAILED'],
] as const

test('C5, C7: a disk that reports an error costs the attempt, never hot; what could not be synced is not believed again', async (t: TestContext) => {
  const { shop, one, two, copy } = await beforeDeploy(t)
  const failAt = async ([failpoint, code]: (typeof FAULTS)[number]): Promise<void> => {
    const root = await copy()
    assert.deepEqual(await runStager(root, shop.directory, two, failpoint), [1, code], failpoint)
    const node = await testNode(t, { root, store: shop.store })
    assert.deepEqual(node.hotLines(), one.lines, failpoint)
    if (failpoint.startsWith('syncfs')) assert.deepEqual(node.linesOf('a'), [], 'the poisoned tree was discarded')
    await node.deploy(two)
    assert.deepEqual(node.hotLines(), two.lines, failpoint)
  }
  await Promise.all(FAULTS.map(failAt))
})
