// Owns the proof that a disk which is full, out of inodes, frozen or shared costs a deploy and never what runs.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { mortal } from '#test/support/child.ts'
import { tmp } from '#test/support/tmp.ts'
import { failsWithHotUnchanged, type TestStore, testNode, testStore } from '#test/support/tree-node.ts'
import { until } from '#test/support/until.ts'
import { volume } from '#test/support/volume.ts'

const MIB = 1024 * 1024
const BIG = randomBytes(4 * MIB)

/** Makes empty files until there are so many, or no inodes are left. */
function takeInodes(path: string, count: number): void {
  mkdirSync(join(path, 'fill'))
  try {
    for (let index = 0; index < count; index += 1) writeFileSync(join(path, 'fill', `${index}`), '')
  } catch {
    // As intended.
  }
}

/** Leaves no block of a volume of less than 24 MiB free. */
function fillUp(path: string): void {
  try {
    writeFileSync(join(path, 'filler'), randomBytes(24 * MIB))
  } catch {
    // As intended.
  }
}

/** A store that does something to the world before it gives the first byte of an artifact. */
function whenFetching({ store }: TestStore, act: () => void): BuildStore {
  let done = false
  return {
    ...store,
    read(name, options, signal) {
      if (!done && name.endsWith('artifact.tar.zst')) {
        done = true
        act()
      }
      return store.read(name, options, signal)
    },
  }
}

test('D4: a second puller on one root is turned away by name, and gets it when the first has died', async (t: TestContext) => {
  const shop = await testStore(t)
  const root = await tmp(t, 'root')
  const first = await testNode(t, { root, store: shop.store })
  await first.deploy(await shop.publishFiles('b1', { page: 'one' }))
  await first.trees.close(true)

  const script = `import { takeRootLock } from '#puller/shell/root-lock.ts'
    await takeRootLock(${JSON.stringify(join(root, '.hotcold/lock'))}); console.log('locked'); setInterval(() => {}, 1000)`
  const other = spawn(...mortal(process.execPath, '--input-type=module', '-e', script), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => other.kill('SIGKILL'))
  await once(other.stdout, 'data')
  await assert.rejects(
    () => testNode(t, { root, store: shop.store }),
    (error) => error instanceof FleetError && error.code === 'ROOT_TAKEN' && error.message.includes(`pid ${other.pid}`),
  )
  assert.equal(readFileSync(join(root, 'hot/page'), 'utf8'), 'one')

  other.kill('SIGKILL')
  const second = await until('the kernel gives the lock back', () => testNode(t, { root, store: shop.store }))
  assert.equal((await second.trees.survey()).hot?.build, 'b1')
})

test('C1: a build that does not fit is refused before anything changes, and deployed once there is room', async (t: TestContext) => {
  const shop = await testStore(t)
  const { path } = await volume(t, 'size=10m')
  const node = await testNode(t, { root: path, store: shop.store })
  const one = await shop.publishFiles('b1', { page: 'one', old: randomBytes(1 * MIB) })
  const two = await shop.publishFiles('b2', { page: 'two', big: BIG })
  await node.deploy(one)
  await node.stage(one)
  writeFileSync(join(path, 'filler'), randomBytes(5 * MIB))
  const message = await failsWithHotUnchanged(node, 'DISK_FULL', () => node.stage(two))
  assert.match(message, /needs 4\.\d MiB, \d\.\d MiB free on the volume of the trees; nothing changed/)
  assert.equal((await node.trees.survey()).cold?.build, 'b1', 'cold is sealed as before')

  rmSync(join(path, 'filler'))
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('C2: a disk that fills up while a build is written stops it, and the next try goes on from what is there', async (t: TestContext) => {
  const shop = await testStore(t)
  const { path } = await volume(t, 'size=24m')
  const one = await shop.publishFiles('b1', { page: 'one' })
  const two = await shop.publishFiles('b2', { page: 'two', 'a/big': BIG })
  const first = await testNode(t, { root: path, store: shop.store })
  await first.deploy(one)
  await first.trees.close(true)

  const node = await testNode(t, { root: path, store: whenFetching(shop, () => fillUp(path)) })
  const message = await failsWithHotUnchanged(node, 'DISK_FULL', () => node.stage(two))
  assert.match(message, /no space left.*hot still runs/)
  // C4: what must be remembered still can be.
  await node.trees.journal.save({ phase: 'fetching', note: 'x'.repeat(4_000) })
  assert.deepEqual(await node.trees.journal.load(), { phase: 'fetching', note: 'x'.repeat(4_000) })

  rmSync(join(path, 'filler'))
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('C2: a full disk does not keep the tree that went out of service from being armed: what only saves work is left', async (t: TestContext) => {
  const shop = await testStore(t)
  const { path } = await volume(t, 'size=24m')
  const one = await shop.publishFiles('b1', { page: 'one', same: 'same' })
  const two = await shop.publishFiles('b2', { page: 'two', same: 'same' })
  const node = await testNode(t, { root: join(path, 'root'), store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  const state = join(node.root, '.hotcold')
  const saved = () => [
    ...readdirSync(state).filter((name) => name === 'diff'),
    ...readdirSync(join(state, 'manifests')).filter((name) => name.endsWith('.columns')),
  ]
  await node.stage(one, 'sweep')
  assert.equal(saved().length, 3)
  rmSync(join(state, 'diff'))
  for (const name of saved()) rmSync(join(state, 'manifests', name))
  fillUp(path)
  const { armed, drift } = await node.stage(one, 'sweep')
  assert.deepEqual([armed, drift, saved()], [true, [], []])
  await node.trees.swap('a')
  assert.deepEqual(node.hotLines(), one.lines)
})

test('C3: a volume without inodes says inodes, before and in the middle of a staging', async (t: TestContext) => {
  const shop = await testStore(t)
  const { path } = await volume(t, 'size=24m,nr_inodes=260')
  const one = await shop.publishFiles('b1', { page: 'one' })
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`d/${index}`, `${index}`]))
  const two = await shop.publishFiles('b2', many)
  const first = await testNode(t, { root: path, store: shop.store })
  await first.deploy(one)
  takeInodes(path, 150)
  const early = await failsWithHotUnchanged(first, 'INODES_FULL', () => first.stage(two))
  assert.match(early, /needs \d+ inodes, \d+ free/)
  await first.trees.close(true)
  rmSync(join(path, 'fill'), { recursive: true })

  const node = await testNode(t, { root: path, store: whenFetching(shop, () => takeInodes(path, 260)) })
  const late = await failsWithHotUnchanged(node, 'INODES_FULL', () => node.stage(two))
  assert.match(late, /no inodes left/)

  rmSync(join(path, 'fill'), { recursive: true })
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('C6: a disk that turns read-only is reported as that, and deploys go on when it can be written again', async (t: TestContext) => {
  const shop = await testStore(t)
  const disk = await volume(t, 'size=24m')
  const node = await testNode(t, { root: disk.path, store: shop.store })
  const one = await shop.publishFiles('b1', { page: 'one' })
  const two = await shop.publishFiles('b2', { page: 'two' })
  await node.deploy(one)
  disk.remount('ro')
  const message = await failsWithHotUnchanged(node, 'DISK_READ_ONLY', () => node.stage(two))
  assert.match(message, /read-only disk; hot still runs/)
  await failsWithHotUnchanged(node, 'DISK_READ_ONLY', () => node.trees.journal.save({}))

  disk.remount('rw')
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('C9, C10: a root that is a link, has a tree on another volume, or may not be written is refused at the start', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'roots')
  const refused = async (root: string, why: RegExp) =>
    assert.rejects(
      () => testNode(t, { root, store: shop.store }),
      (error) => error instanceof FleetError && error.code === 'ROOT_UNFIT' && why.test(error.message),
    )
  symlinkSync(await tmp(t, 'real'), join(dir, 'link'))
  await refused(join(dir, 'link'), /is a symbolic link/)
  await refused(join(dir, 'no/parent'), /parent directory is missing/)
  writeFileSync(join(dir, 'file'), '')
  await refused(join(dir, 'file'), /is not a directory/)

  const { path: root } = await volume(t, 'size=1m')
  await (await testNode(t, { root, store: shop.store })).trees.close(true)
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'trees/b')])
  await refused(root, /trees\/b is on another file system/)
})

test('C11: a file that may not be changed is named, and hot runs on', async (t: TestContext) => {
  const shop = await testStore(t)
  const node = await testNode(t, { store: shop.store })
  const one = await shop.publishFiles('b1', { page: 'one' })
  const two = await shop.publishFiles('b2', { page: 'two' })
  await node.deploy(one)
  await node.deploy(two)
  const stuck = join(node.root, 'trees/a/cache')
  writeFileSync(stuck, 'kept by the app')
  execFileSync('chattr', ['+i', stuck])
  t.after(() => execFileSync('sh', ['-c', 'chattr -i "$1" 2>&- || :', 'sh', stuck]))
  const three = await shop.publishFiles('b3', { page: 'three' })
  const message = await failsWithHotUnchanged(node, 'DISK_DENIED', () => node.stage(three))
  assert.match(message, /cannot change cache in the cold tree/)

  execFileSync('chattr', ['-i', stuck])
  await node.deploy(three)
  assert.deepEqual(node.hotLines(), three.lines)
})

test('C9: a directory without any permission in the build and on the disk is no obstacle', async (t: TestContext) => {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  execFileSync('sh', ['-c', 'mkdir -p deep/er; echo x > deep/er/file; chmod 500 deep/er; chmod 555 deep'], { cwd: dir })
  const one = await shop.publish('b1', dir)
  chmodSync(join(dir, 'deep'), 0o755)
  chmodSync(join(dir, 'deep/er'), 0o755)
  const two = await shop.publish('b2', dir)
  const node = await testNode(t, { store: shop.store })
  for (const build of [one, two, one]) {
    await node.deploy(build)
    assert.deepEqual(node.hotLines(), build.lines)
  }
})
