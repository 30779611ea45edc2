// Owns the proof that what was seen of a cold tree is not believed for long: while a staging waits for bytes, anything can be done to it.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { bystander } from '#test/support/child.ts'
import { becomes, noise, type Scene, scene, spoil } from '#test/support/patch-scene.ts'
import { failsWithHotUnchanged, putFiles } from '#test/support/tree-node.ts'
import { QUICK } from '#test/support/tree-options.ts'
import { volume } from '#test/support/volume.ts'

/** Longer than any look is believed. */
const LONG_MS = 60_000

/** A node whose store takes its time: what happens meanwhile is done at the first question about an artifact, or at the first read of one. */
async function waiting(
  t: TestContext,
  when: 'find' | 'read',
  more: { readonly waitMs?: number; readonly root?: string; readonly edit?: (dir: string) => void } = {},
): Promise<Scene & { meanwhile: (deed: () => unknown) => void }> {
  const { waitMs = LONG_MS, edit, ...world } = more
  let aheadMs = 0
  let deed: (() => unknown) | null = null
  const pass = async (at: typeof when, name: string) => {
    if (at !== when || !name.includes('artifact') || deed === null) return
    const now = deed
    deed = null
    aheadMs += waitMs
    await now()
  }
  const slow = (store: BuildStore): BuildStore => ({
    ...store,
    find: async (name, signal) => {
      await pass('find', name)
      return await store.find(name, signal)
    },
    read: async function* (name, options, signal) {
      await pass('read', name)
      yield* store.read(name, options, signal)
    },
  })
  const it = await scene(t, edit, (store) => ({
    ...world,
    store: slow(store),
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs },
    options: { fetch: { ...QUICK.fetch, stallSeconds: 10 * LONG_MS } },
  }))
  const meanwhile = (now: () => unknown) => {
    deed = now
  }
  return { ...it, meanwhile }
}

test('C13: what is done to cold while the staging waits for its moment is not in the build', async (t: TestContext) => {
  const it = await waiting(t, 'find')
  const cold = await it.cold()
  const DEEDS: readonly (() => void)[] = [
    () => writeFileSync(join(cold, 'touched/added'), 'added'),
    () => writeFileSync(join(cold, 'added'), 'added'),
    () => spoil(join(cold, 'kept/dir-1/file-1')),
    () => rmSync(join(cold, 'touched'), { recursive: true }),
  ]
  for (const [turn, deed] of DEEDS.entries()) {
    putFiles(it.dir, { 'touched/page': `page of turn ${turn}` })
    const build = await it.publish([])
    it.meanwhile(deed)
    await becomes(it.node, build)
  }
})

test('C13: what is done to cold while its bytes are fetched is not in the build', async (t: TestContext) => {
  const it = await waiting(t, 'read')
  const cold = await it.cold()
  const DEEDS: readonly (() => void)[] = [
    () => spoil(join(cold, 'kept/dir-1/file-1')),
    () => spoil(join(cold, 'lone/file')),
    () => writeFileSync(join(cold, 'kept/dir-1/added'), 'added'),
  ]
  for (const [turn, deed] of DEEDS.entries()) {
    putFiles(it.dir, { 'touched/page': `page of turn ${turn}` })
    const build = await it.publish([])
    it.meanwhile(deed)
    await becomes(it.node, build)
  }
})

/** Something is put at a path of cold while bytes of the directory `touched` are fetched: the build has none of it. */
async function addedMeanwhile(t: TestContext, path: string, waitMs = LONG_MS): Promise<void> {
  const it = await waiting(t, 'read', { waitMs })
  const cold = await it.cold()
  putFiles(it.dir, { 'touched/page': 'page three' })
  const build = await it.publish([])
  it.meanwhile(() => writeFileSync(join(cold, path), 'added'))
  await becomes(it.node, build)
}

test('C13: what is put into a directory that changes while its bytes are fetched is not in the build', async (t: TestContext) => {
  await addedMeanwhile(t, 'touched/added')
})

test('C13: what is put into a directory that changes is not in the build, however short its bytes are on their way', async (t: TestContext) => {
  await addedMeanwhile(t, 'touched/added', 0)
})

test('C13: what is put where a directory is to be made for the build is not in the build', async (t: TestContext) => {
  const it = await waiting(t, 'read', { waitMs: 0 })
  const cold = await it.cold()
  putFiles(it.dir, { 'new/page': 'page three' })
  const build = await it.publish([])
  it.meanwhile(() => {
    mkdirSync(join(cold, 'new'), { recursive: true })
    writeFileSync(join(cold, 'new/added'), 'added')
  })
  await failsWithHotUnchanged(it.node, 'COLD_BUSY', () => it.node.stage(build))
  await becomes(it.node, build)
})

test('C13: what is put into an empty tree while it is filled is not in the build', async (t: TestContext) => {
  const it = await waiting(t, 'read', { waitMs: 0 })
  const cold = await it.cold()
  for (const name of readdirSync(cold)) rmSync(join(cold, name), { recursive: true })
  rmSync(`${cold}.seal`)
  putFiles(it.dir, { 'touched/page': 'page three' })
  const build = await it.publish([])
  it.meanwhile(() => writeFileSync(join(cold, 'kept/added'), 'added'))
  await assert.rejects(it.node.stage(build), { code: 'COLD_BUSY', message: /paths instead of/ })
  await becomes(it.node, build)
})

test('C13: what is put into a tree without a record while its bytes are fetched is not in the build', async (t: TestContext) => {
  const it = await waiting(t, 'read', { waitMs: 0 })
  const cold = await it.cold()
  rmSync(`${cold}.seal`)
  putFiles(it.dir, { 'touched/page': 'page three' })
  const build = await it.publish([])
  it.meanwhile(() => writeFileSync(join(cold, 'kept/dir-1/added'), 'added'))
  await assert.rejects(it.node.stage(build), { code: 'COLD_BUSY', message: /paths instead of/ })
  await becomes(it.node, build)
})

test('C13: what is put into the tree itself while bytes of another directory are fetched is not in the build', async (t: TestContext) => {
  await addedMeanwhile(t, 'added')
})

test('B12: bytes that never come leave cold whole and armed: the build that lies there runs again without a store', async (t: TestContext) => {
  const it = await waiting(t, 'read')
  putFiles(it.dir, { 'touched/page': 'page three', 'touched/more': 'more' })
  const build = await it.publish([])
  it.meanwhile(() => {
    throw new FleetError('STORE_DENIED', 'the store refused the request')
  })
  const before = await it.node.trees.survey()
  await failsWithHotUnchanged(it.node, 'STORE_DENIED', () => it.node.stage(build))
  assert.deepEqual(await it.node.trees.survey(), before)
  it.read.splice(0)
  await it.swap()
  assert.deepEqual([it.node.hotLines(), it.read], [it.last(2).lines, []])
})

/** Files that take more room than the volume of `cramped` has beside them. */
function putLarge(dir: string, seed: number): void {
  for (let at = 0; at < 8; at += 1) writeFileSync(join(dir, `large-${at}`), noise(400_000, seed + at))
}

/** As `waiting`, on a volume that has no room for what is new beside what is old. */
async function cramped(t: TestContext): ReturnType<typeof waiting> {
  const { path } = await volume(t, 'size=12m')
  const it = await waiting(t, 'read', { root: join(path, 'root'), edit: (dir) => putLarge(dir, 100) })
  putLarge(it.dir, 200)
  await it.node.deploy(await it.publish())
  writeFileSync(join(path, 'filler'), noise(3_000_000, 1))
  assert.equal((await it.node.stage(it.last(1), 'sweep')).armed, true)
  putLarge(it.dir, 300)
  return it
}

test('C1: where there is no room for what is new beside what is old, it is put in its place file by file', async (t: TestContext) => {
  const it = await cramped(t)
  await becomes(it.node, await it.publish([]))
})

test('C13: what is done to cold while bytes are fetched into it is not in the build', async (t: TestContext) => {
  const it = await cramped(t)
  const cold = await it.cold()
  const build = await it.publish([])
  it.meanwhile(() => spoil(join(cold, 'kept/dir-1/file-1')))
  await becomes(it.node, build)
})

test('F17: a process that comes to use cold while the staging waits for its moment stops it', async (t: TestContext) => {
  const it = await waiting(t, 'find')
  const cold = await it.cold()
  putFiles(it.dir, { 'touched/page': 'page three' })
  const build = await it.publish([])
  it.meanwhile(() => bystander(t, ['sleep', '600'], { cwd: join(cold, 'kept') }))
  const tree = cold.endsWith('/a') ? 'a' : 'b'
  const before = it.node.linesOf(tree)
  const message = await failsWithHotUnchanged(it.node, 'COLD_BUSY', () => it.node.stage(build))
  assert.match(message, /busy: pid \d+ \(sleep\)/)
  assert.deepEqual(it.node.linesOf(tree), before, 'nothing was changed')
})
