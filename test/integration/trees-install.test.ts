// Owns the proof of filling an empty tree: in one pass over the artifact, out of hot and the store, and again after it was broken off.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isFleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { becomes, counted, flip, keepingTime, noise, spoil } from '#test/support/patch-scene.ts'
import { tmp } from '#test/support/tmp.ts'
import {
  failsWithHotUnchanged,
  putFiles,
  type TestBuild,
  type TestNode,
  type TestStore,
  testNode,
  testStore,
} from '#test/support/tree-node.ts'

const MIB = 1024 * 1024

/** One of each: large files, more small ones than one frame holds, empty ones, links, closed and empty directories. */
function fill(dir: string): void {
  putFiles(dir, {
    ...Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`small/${at % 7}/${at}`, noise(1 + at * 40, at)])),
    ...{ 'big/one': noise(3 * MIB, 1), 'big/two': noise(MIB + 1, 2), 'big/three': noise(5 * MIB + 77, 3) },
    ...{ empty: '', 'small/empty': '', 'an/empty/directory': null, 'closed/file': 'x', 'ünï/😀': 'named' },
  })
  symlinkSync('../big/one', join(dir, 'small/link'))
  chmodSync(join(dir, 'big/two'), 0o755)
  chmodSync(join(dir, 'closed'), 0o555)
}

/** Reads of artifacts go through `change`, with how many there were before. */
function changing(store: BuildStore, change: (bytes: Uint8Array, read: number) => Uint8Array): BuildStore {
  let reads = 0
  return {
    find: (name, signal) => store.find(name, signal),
    create: (name, body, signal) => store.create(name, body, signal),
    list: (prefix, signal) => store.list(prefix, signal),
    remove: (name, signal) => store.remove(name, signal),
    async *read(name, options, signal) {
      const isArtifact = name.includes('artifact')
      const read = reads
      if (isArtifact) reads += 1
      for await (const bytes of store.read(name, options, signal)) yield isArtifact ? change(bytes, read) : bytes
    },
  }
}

/** One byte of each part turned over, somewhere in its middle. */
function wrong(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  const at = copy.byteLength >> 1
  copy[at] = (copy[at] ?? 0) ^ 0xff
  return copy
}

const coldOf = async ({ root, trees }: TestNode) => join(root, 'trees', (await trees.survey()).coldTree)

test('an empty node is filled from the artifact, each byte of which is asked for once, and keeps what it wrote', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  const { store, read, ranges } = counted(shop.store)
  const node = await testNode(t, { store })
  await becomes(node, one, 'whole')
  const asked = ranges.filter(({ name }) => name.includes('artifact')).sort((a, b) => a.start - b.start)
  assert.ok(asked.length > 1, 'on more than one connection')
  assert.deepEqual(
    [0, ...asked.map(({ end }) => end)],
    [...asked.map(({ start }) => start), await artifactBytes(shop, one)],
  )
  await node.trees.swap('a')
  read.splice(0)
  // The second tree is empty too, and all but the change lies in hot.
  putFiles(dir, { 'small/0/0': 'changed', new: 'new' })
  const two = await shop.publish('b2', dir, [one])
  await becomes(node, two, 'delta')
  assert.deepEqual(read, ['b2/from/b1.delta.zst'])
})

async function artifactBytes({ store }: TestStore, { build }: TestBuild): Promise<number> {
  return (await store.find(objectsOf.artifact(build), new AbortController().signal))?.bytes ?? 0
}

test('what hot has otherwise than its build is not copied into an empty tree: it is fetched', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  putFiles(dir, { 'aaa/first': noise(100_000, 9) })
  const deltas = [one, null]
  for (const from of deltas) {
    const two = await shop.publish(from === null ? 'b3' : 'b2', dir, from === null ? [] : [from])
    const node = await testNode(t, { store: shop.store })
    await node.deploy(one)
    for (const path of ['small/6/300', 'big/three', 'ünï/😀']) spoil(join(node.root, 'hot', path))
    keepingTime(join(node.root, 'hot/big/one'), (at) => writeFileSync(at, 'short'))
    rmSync(join(node.root, 'hot/small/4/4'))
    await becomes(node, two)
  }
})

test('F4: a first install that was broken off anywhere is gone on with by the next, on the same node and on one that starts anew', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  let node = await testNode(t, { store: shop.store })
  for (const most of [0, 3, 9]) {
    const stop = new AbortController()
    let told = 0
    const onProgress = () => {
      if (told === most) stop.abort(new Error('broken off'))
      told += 1
    }
    const order = { build: one.build, manifest: one.manifest, mode: 'stage' as const }
    await assert.rejects(node.trees.stage(order, { signal: stop.signal, onProgress }), /broken off/)
    assert.equal((await node.trees.survey()).cold, null)
    if (most === 3) node = await node.reopen(false)
  }
  assert.ok(readdirSync(await coldOf(node)).length > 0, 'something was left behind')
  await becomes(node, one)
})

test('B6: a frame that is wrong on its way is fetched again, and one that stays wrong ends the staging with hot unchanged', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  putFiles(dir, { 'big/one': noise(3 * MIB, 7), 'small/1/1': noise(50_000, 8) })
  const two = await shop.publish('b2', dir)
  const once = await testNode(t, { store: changing(shop.store, (bytes, read) => (read === 0 ? wrong(bytes) : bytes)) })
  await becomes(once, one)

  let isWrong = false
  const node = await testNode(t, { store: changing(shop.store, (bytes) => (isWrong ? wrong(bytes) : bytes)) })
  await node.deploy(one)
  isWrong = true
  for (let turn = 0; turn < 2; turn += 1) {
    await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () => node.stage(two))
    assert.equal((await node.trees.survey()).cold, null, 'the tree has no seal')
  }
  isWrong = false
  await becomes(node, two)

  const never = await testNode(t, { store: changing(shop.store, wrong) })
  await assert.rejects(never.stage(one), (error) => isFleetError(error, 'DIGEST_MISMATCH'))
  assert.equal((await never.trees.survey()).cold, null)
})

test('threads that stay warm carry nothing from one staging into the next, nor from one that failed', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const builds: TestBuild[] = [await shop.publish('b1', dir)]
  let isWrong = false
  const node = await testNode(t, { store: changing(shop.store, (bytes) => (isWrong ? wrong(bytes) : bytes)) })
  for (let turn = 2; turn < 5; turn += 1) {
    putFiles(dir, { 'big/two': noise(MIB + turn, turn), [`small/new-${turn}`]: 'new' })
    builds.push(await shop.publish(`b${turn}`, dir, turn === 3 ? [] : builds.slice(-1)))
  }
  for (const build of builds) {
    await becomes(node, build)
    if (build === builds[1]) {
      const broken = builds[2] ?? assert.fail()
      isWrong = true
      await node.trees.swap((await node.trees.survey()).coldTree)
      await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () => node.stage(broken))
      isWrong = false
    } else await node.trees.swap((await node.trees.survey()).coldTree)
  }
})

test('a tree that is not empty is not taken for one: what lies there is not in the build', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  const node = await testNode(t, { store: shop.store })
  const cold = await coldOf(node)
  putFiles(cold, { 'small/0/0': 'left', left: 'left', big: 'a file' })
  mkdirSync(join(cold, 'empty'))
  await becomes(node, one)
})

test('every path belongs to the owner that was set, or none can be set without root', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  const options = { store: shop.store, options: { owner: { uid: 12_345, gid: 23_456 } } }
  if (process.getuid?.() !== 0) {
    await assert.rejects(testNode(t, options), (error) => isFleetError(error, 'ROOT_UNFIT'))
    return
  }
  const node = await testNode(t, options)
  putFiles(dir, { 'small/0/0': 'changed', 'new/file': 'new' })
  chmodSync(join(dir, 'big/two'), 0o700)
  const two = await shop.publish('b2', dir, [one])
  putFiles(dir, { 'small/0/0': 'changed again' })
  const three = await shop.publish('b3', dir, [two])
  for (const build of [one, two, three]) {
    await becomes(node, build)
    await node.trees.swap((await node.trees.survey()).coldTree)
    for (const path of readdirSync(join(node.root, 'hot'), { recursive: true, encoding: 'utf8' })) {
      if (path === 'small/link') continue
      const { uid, gid } = statSync(join(node.root, 'hot', path))
      assert.deepEqual([uid, gid], [12_345, 23_456], path)
    }
  }
})

test('B6: an artifact that is damaged in the store is told as such, and one that is mended is taken', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  fill(dir)
  const one = await shop.publish('b1', dir)
  const artifact = join(shop.directory, 'b1/artifact.tar.zst')
  const bytes = readFileSync(artifact)
  flip(artifact)
  const node = await testNode(t, { store: shop.store })
  await assert.rejects(node.stage(one), (error) => isFleetError(error, 'DIGEST_MISMATCH'))
  assert.equal((await node.trees.survey()).cold, null)
  writeFileSync(artifact, bytes)
  await becomes(node, one)
})
