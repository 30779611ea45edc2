// Owns the proof that cold is never written while a process uses it, however that process came by it.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { processFacts } from '#puller/shell/processes.ts'
import { bystander } from '#test/support/child.ts'
import { tmp } from '#test/support/tmp.ts'
import { failsWithHotUnchanged, type TestNode, testNode, testStore } from '#test/support/tree-node.ts'
import { until } from '#test/support/until.ts'
import { volume } from '#test/support/volume.ts'

/** A node whose cold tree, `trees/a`, was hot, and a build to stage into it. */
async function retiredTree(t: TestContext, options: Parameters<typeof testNode>[1]['options'] = {}) {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', {
    'bin/worker': readFileSync('/bin/sleep'),
    'lib/maths.so': readFileSync(sharedLibrary()),
    'var/data': 'one',
  })
  const two = await shop.publishFiles('b2', { 'var/data': 'two' })
  const three = await shop.publishFiles('b3', { 'var/data': 'three' })
  const node = await testNode(t, { store: shop.store, options })
  await node.deploy(one)
  await node.deploy(two)
  return { node, three, cold: join(node.root, 'trees/a') }
}

/** Some library of this system that can be loaded into any program. */
function sharedLibrary(): string {
  const report = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  const found = report.sharedObjects.find((path) => /\/libm\.so/.test(path))
  assert.ok(found, 'node itself is linked with libm')
  return found
}

/** Waits until the process does nothing any more but sleep: it has opened, mapped and entered all that it was to. */
async function settled(user: ChildProcess): Promise<void> {
  const program = () => basename(readlinkSync(`/proc/${user.pid}/exe`))
  const isAsleep = () => processFacts(user.pid ?? 0)?.state === 'S'
  await until('the process sleeps', () => ['sleep', 'worker'].includes(program()) && isAsleep())
}

/** Staging is refused as long as the process lives, naming it; then it goes through. */
async function refusedWhile(
  { node, three }: { node: TestNode; three: Awaited<ReturnType<typeof retiredTree>>['three'] },
  user: ChildProcess,
  why: RegExp,
): Promise<void> {
  await settled(user)
  const message = await failsWithHotUnchanged(node, 'COLD_BUSY', () => node.stage(three))
  assert.match(message, why)
  assert.ok(message.includes(`pid ${user.pid} `), message)
  assert.deepEqual((await node.trees.survey()).cold?.build, 'b1', 'cold is as it was')
  const gone = once(user, 'exit')
  user.kill('SIGKILL')
  await gone
  await node.deploy(three)
  assert.deepEqual(node.hotLines(), three.lines)
}

test('F17: a process that has its working directory in cold keeps it from being written', async (t: TestContext) => {
  const world = await retiredTree(t)
  await refusedWhile(
    world,
    await bystander(t, ['sleep', '600'], { cwd: join(world.cold, 'lib') }),
    /working directory in/,
  )
})

test('F17: a process that holds a file of cold open keeps it from being written', async (t: TestContext) => {
  const world = await retiredTree(t)
  const user = await bystander(t, ['sh', '-c', 'exec 7<"$0"; exec sleep 600', join(world.cold, 'var/data')])
  await refusedWhile(world, user, /holds .*var\/data open/)
})

test('F17: a process that runs a program out of cold keeps it from being written', async (t: TestContext) => {
  const shop = await tmp(t, 'bin')
  copyFileSync('/bin/sleep', join(shop, 'sleep'))
  const world = await retiredTree(t)
  chmodSync(join(world.cold, 'bin/worker'), 0o755)
  await refusedWhile(world, await bystander(t, [join(world.cold, 'bin/worker'), '600']), /runs .*bin\/worker/)
})

test('F17: a process that only maps a library out of cold keeps it from being written', async (t: TestContext) => {
  const world = await retiredTree(t)
  const env = { ...process.env, LD_PRELOAD: join(world.cold, 'lib/maths.so') }
  await refusedWhile(world, await bystander(t, ['sleep', '600'], { env }), /maps .*lib\/maths\.so/)
})

test('F17: a process in another mount namespace, that sees cold under another path, keeps it from being written', async (t: TestContext) => {
  const world = await retiredTree(t)
  const elsewhere = await tmp(t, 'elsewhere')
  const script = 'mount --bind "$1" "$2" && cd "$2/lib" && exec sleep 60'
  const user = await bystander(t, ['unshare', '-m', 'sh', '-c', script, 'sh', world.cold, elsewhere])
  await refusedWhile(world, user, new RegExp(`working directory in ${elsewhere}/lib`))
})

test('a process that uses hot, or the root, is no obstacle', async (t: TestContext) => {
  const { node, three } = await retiredTree(t)
  await bystander(t, ['sleep', '600'], { cwd: join(node.root, 'trees/b/var') })
  await bystander(t, ['sleep', '600'], { cwd: node.root })
  await node.stage(three)
  assert.equal((await node.trees.survey()).cold?.build, 'b3')
})

test('a process on another volume, whose files have the inode numbers of cold’s, is no obstacle', async (t: TestContext) => {
  const shop = await testStore(t)
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`f${at}`, `${at}`]))
  const [one, two] = [await shop.publishFiles('b1', files), await shop.publishFiles('b2', { page: 'two' })]
  const [ours, other] = [await volume(t, 'size=8m'), await volume(t, 'size=8m')]
  const node = await testNode(t, { root: ours.path, store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  // Numbers are given out in order on each volume of its own, so they soon meet.
  const taken = new Set(
    readdirSync(join(node.root, 'trees/a')).map((name) => statSync(join(node.root, 'trees/a', name)).ino),
  )
  const cwd = Array.from({ length: 500 }, (_, at) => join(other.path, `d${at}`)).find((path) => {
    mkdirSync(path)
    return taken.has(statSync(path).ino)
  })
  assert.ok(cwd, 'a directory with the number of a file of cold')
  await bystander(t, ['sleep', '600'], { cwd })
  const { armed, busy } = await node.stage(one, 'sweep')
  assert.deepEqual([armed, busy], [true, null])
})

test('cold is not written within coldQuietSeconds of the swap that retired it, also over a restart', async (t: TestContext) => {
  const { node, three } = await retiredTree(t, { coldQuietSeconds: 2 })
  const message = await failsWithHotUnchanged(node, 'COLD_QUIET', () => node.stage(three))
  assert.match(message, /trees\/a went out of service .* ago and is not written for another /)
  const again = await node.reopen()
  await failsWithHotUnchanged(again, 'COLD_QUIET', () => again.stage(three))
  await until('the tree was quiet for long enough', () => again.stage(three))
  assert.equal((await again.trees.survey()).cold?.build, 'b3')
})

test('F17: an inode that cold has given up, and that is a file of somebody else by now, does not make cold busy', async (t: TestContext) => {
  const { node, three, cold } = await retiredTree(t)
  const log = join(node.root, 'somebody.log')
  writeFileSync(log, '')
  await settled(await bystander(t, ['sh', '-c', 'exec sleep 600 3<"$0"', log]))
  // As it is when cold's file was removed and its number went to the log: the record still names it.
  rmSync(join(cold, 'var/data'))
  const path = join(node.root, '.hotcold/a.record')
  const record = readFileSync(path)
  record.writeDoubleLE(statSync(log).ino, 0)
  writeFileSync(path, record)
  const seal = JSON.parse(readFileSync(`${cold}.seal`, 'utf8')) as Record<string, unknown>
  writeFileSync(`${cold}.seal`, `${JSON.stringify({ ...seal, record: hash('sha256', record) })}\n`)
  await node.deploy(three)
  assert.deepEqual(node.hotLines(), three.lines)
})
