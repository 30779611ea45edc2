// Owns the proof that the tree which went out of service is repaired and armed, and that a rollback never waits for what cannot be had.
import assert from 'node:assert/strict'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { bystander, end } from '#test/support/child.ts'
import { type TestNode, testNode, testStore } from '#test/support/tree-node.ts'

const FILES = { 'bin/run': 'old\n', 'lib/one.txt': 'one\n', 'lib/two.txt': 'two\n'.repeat(5_000), 'var/empty': null }

async function twoBuilds(t: TestContext) {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', FILES)
  const two = await shop.publishFiles('b2', { ...FILES, 'bin/run': 'new\n' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  return { shop, one, two, node }
}

function spoil(node: TestNode): void {
  const tree = join(node.root, 'trees/a')
  writeFileSync(join(tree, 'lib/one.txt'), 'ONE\n')
  rmSync(join(tree, 'lib/two.txt'))
  mkdirSync(join(tree, 'lib/two.txt'))
  writeFileSync(join(tree, 'lib/two.txt/inside'), 'cache\n')
  writeFileSync(Buffer.from(`${tree}/var/empty/\xff\xfe.pid`, 'latin1'), '1\n')
  symlinkSync('/etc/passwd', join(tree, 'var/link'))
  chmodSync(join(tree, 'bin/run'), 0o777)
}

test('an app that wrote into its tree, also a file that became a directory: the sweep repairs and arms it', async (t: TestContext) => {
  const { one, node } = await twoBuilds(t)
  assert.equal((await node.trees.survey()).armed, false)
  spoil(node)
  const result = await node.stage(one, 'sweep')
  assert.deepEqual([result.how, result.drift, result.armed], ['sweep', [], true])
  assert.deepEqual(node.linesOf('a'), one.lines)
  assert.equal((await node.trees.survey()).armed, true)
  // What hot has too was copied from there; only the file that hot has otherwise came from the store.
  assert.ok(result.copiedBytes >= 'two\n'.length * 5_000)
})

test('a file of cold that somebody gave a second name is written anew: what happens to the other stays outside', async (t: TestContext) => {
  const { one, node } = await twoBuilds(t)
  const file = join(node.root, 'trees/a/lib/one.txt')
  const second = join(node.root, 'kept-by-somebody')
  linkSync(file, second)
  assert.equal((await node.stage(one, 'sweep')).armed, true)
  assert.equal(statSync(file).nlink, 1)
  writeFileSync(second, 'ONE\n')
  assert.deepEqual(node.linesOf('a'), one.lines)
})

test('a tree that was armed, was in service, and came back, is not armed: the application may have written into it', async (t: TestContext) => {
  const { one, node } = await twoBuilds(t)
  const worker = await bystander(t, ['sleep', '600'], { cwd: join(node.root, 'trees/a/lib') })
  assert.equal((await node.stage(one, 'sweep')).armed, false)
  await node.trees.swap('a')
  // Cold is b now. It was armed when it was staged, before it was hot.
  assert.deepEqual([(await node.trees.survey()).cold?.build, (await node.trees.survey()).armed], ['b2', false])
  await end(worker, 'SIGKILL')
})

test('the mark of an armed tree counts for the tree and the manifest that it names, and for no other', async (t: TestContext) => {
  const { one, two, node } = await twoBuilds(t)
  const marks = join(node.root, '.hotcold/marks.json')
  const armedBy = async (tree: string, { manifest }: typeof one) => {
    await node.trees.close(true)
    writeFileSync(marks, JSON.stringify({ ...JSON.parse(readFileSync(marks, 'utf8')), armed: { tree, manifest } }))
    const { trees } = await node.reopen()
    const { armed } = await trees.survey()
    await trees.close(true)
    return armed
  }
  assert.equal(await armedBy('a', one), true)
  assert.equal(await armedBy('b', one), false, 'the tree is another')
  assert.equal(await armedBy('a', two), false, 'the build in it is another')
})

test('a sweep that finds everything as it was sealed reads no file, fetches nothing and arms', async (t: TestContext) => {
  const { shop, one, node } = await twoBuilds(t)
  rmSync(shop.directory, { recursive: true })
  const result = await node.stage(one, 'sweep')
  assert.deepEqual([result.fetchedBytes, result.writtenFiles, result.armed], [0, 0, true])
})

test('B12: with the store down a rollback to a spoilt tree goes ahead and names the files that drifted', async (t: TestContext) => {
  const { shop, one, node } = await twoBuilds(t)
  writeFileSync(join(node.root, 'trees/a/bin/run'), 'spoilt\n')
  renameSync(shop.directory, `${shop.directory}.away`)
  const result = await node.stage(one, 'sweep')
  assert.deepEqual([result.drift, result.armed], [['bin/run'], false])
  assert.equal((await node.trees.survey()).cold?.build, 'b1', 'the seal is not given up for bytes that never come')
  await node.trees.swap('a')

  await node.trees.swap('b')
  renameSync(`${shop.directory}.away`, shop.directory)
  const repaired = await node.stage(one, 'sweep')
  assert.deepEqual([repaired.drift, repaired.armed], [[], true])
  assert.deepEqual(node.linesOf('a'), one.lines)
})

test('a mute store holds up a rollback for no longer than repairSeconds', async (t: TestContext) => {
  const { shop, one, node } = await twoBuilds(t)
  await node.trees.close(true)
  const mute = { ...shop.store, find: () => new Promise<never>(() => undefined) }
  const again = await testNode(t, { root: node.root, store: mute, options: { repairSeconds: 0.3 } })
  writeFileSync(join(node.root, 'trees/a/bin/run'), 'spoilt\n')
  const result = await again.stage(one, 'sweep')
  assert.deepEqual(result.drift, ['bin/run'])
  assert.ok(result.ms >= 300 && result.ms < 60_000, `${result.ms} ms`)
})

test('a sound tree that is still in use can be rolled back to, and is armed later', async (t: TestContext) => {
  const { one, node } = await twoBuilds(t)
  const worker = await bystander(t, ['sleep', '600'], { cwd: join(node.root, 'trees/a/lib') })
  const busy = await node.stage(one, 'sweep')
  assert.deepEqual([busy.busy?.code, busy.armed, busy.drift], ['COLD_BUSY', false, []])
  assert.match(busy.busy?.message ?? '', new RegExp(`pid ${worker.pid} \\(sleep\\)`))

  await end(worker, 'SIGKILL')
  assert.equal((await node.stage(one, 'sweep')).armed, true)
})
