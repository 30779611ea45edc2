// Owns the proof that what is brought beside a tree gets there however it is disturbed, and that what only saves work costs nothing.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { becomes, noise, type Scene, scene, spoil } from '#test/support/patch-scene.ts'
import { putFiles } from '#test/support/tree-node.ts'
import { QUICK } from '#test/support/tree-options.ts'
import { volume } from '#test/support/volume.ts'

/** A node whose store breaks a delta off for good after most of its bytes, once it is told to. */
async function breaking(t: TestContext, code: 'STORE_DENIED' | 'DELTA_INVALID'): Promise<Scene & { go: () => void }> {
  let broken = false
  const cut = (store: BuildStore): BuildStore => ({
    ...store,
    read: async function* (name, options, signal) {
      const facts = broken && name.includes('/from/') ? await store.find(name, signal) : null
      let left = facts === null ? Number.POSITIVE_INFINITY : Math.floor(facts.bytes * 0.9) - (options.range?.start ?? 0)
      for await (const part of store.read(name, options, signal)) {
        if (left < part.byteLength) {
          if (left > 0) yield part.subarray(0, left)
          throw new FleetError(code, 'the delta breaks off')
        }
        left -= part.byteLength
        yield part
      }
    },
  })
  const large = (dir: string) => {
    for (let at = 0; at < 60; at += 1) writeFileSync(join(dir, `kept/large-${at}`), noise(120_000, 900 + at))
  }
  const it = await scene(t, large, (store) => ({ store: cut(store) }))
  putFiles(it.dir, { 'touched/page': 'page three' })
  await it.node.deploy(await it.publish())
  await it.node.stage(it.last(1), 'sweep')
  for (let at = 0; at < 40; at += 1) writeFileSync(join(it.dir, `touched/new-${at}`), noise(100_000, at))
  const go = () => {
    broken = true
  }
  return { ...it, go }
}

for (const code of ['STORE_DENIED', 'DELTA_INVALID'] as const) {
  test(`B5: a delta that breaks off half-way (${code}) is made good by ranges: what it had brought lies in nobody's way`, async (t: TestContext) => {
    const it = await breaking(t, code)
    const build = await it.publish()
    it.go()
    await becomes(it.node, build)
  })
}

const columnsOf = (root: string): string[] => {
  const directory = join(root, '.hotcold/manifests')
  return readdirSync(directory).flatMap((name) => (name.endsWith('.columns') ? [join(directory, name)] : []))
}

test('C12: kept columns that cannot be read are as good as none', async (t: TestContext) => {
  const it = await scene(t)
  for (const path of columnsOf(it.node.root)) {
    rmSync(path)
    // A link to itself: nobody can read that.
    symlinkSync(path, path)
  }
  putFiles(it.dir, { 'touched/page': 'page three' })
  await becomes(it.node, await it.publish([]))
})

test('E16: a puller that ends in the middle of a sweep of a tree in doubt leaves no failure that nobody hears of', async (t: TestContext) => {
  const it = await scene(t)
  for (const path of columnsOf(it.node.root)) rmSync(path)
  const node = await it.node.reopen(false)
  const unheard: unknown[] = []
  const hear = (error: unknown) => void unheard.push(error)
  process.on('unhandledRejection', hear)
  t.after(() => process.off('unhandledRejection', hear))
  const swept = node.stage(it.last(1), 'sweep').then(
    () => 'swept',
    () => 'ended',
  )
  await node.trees.close(true)
  assert.match(await swept, /swept|ended/)
  await new Promise(setImmediate)
  assert.deepEqual(unheard, [])
})

test('C2: columns are not kept in the room that record and seal need', async (t: TestContext) => {
  const { path } = await volume(t, 'size=64m')
  const many = (dir: string) => {
    mkdirSync(join(dir, 'many'))
    for (let at = 0; at < 12_000; at += 1) writeFileSync(join(dir, `many/file-${at}`), '')
  }
  const it = await scene(t, many, (store) => ({ store, root: join(path, 'root') }))
  await it.node.deploy(await it.publish([]))
  rmSync(join(it.dir, 'lone'), { recursive: true })
  const build = await it.publish([])
  const manifests = join(it.node.root, '.hotcold/manifests')
  const manifestBytes = Math.max(...readdirSync(manifests).map((name) => statSync(join(manifests, name)).size))
  const { bavail, bsize } = statfsSync(path)
  // Enough for the manifest and the record, and not for columns besides.
  writeFileSync(join(path, 'filler'), noise(bavail * bsize - manifestBytes - 560_000, 1))
  await becomes(it.node, build)
})

test('C1: what a staging that was given up had brought does not take the room of the next way', async (t: TestContext) => {
  const { path } = await volume(t, 'size=24m')
  let aheadMs = 0
  let deed: (() => void) | null = null
  const slow = (store: BuildStore): BuildStore => ({
    ...store,
    read: async function* (name, options, signal) {
      if (name.includes('artifact') && deed !== null) {
        aheadMs += 60_000
        deed()
        deed = null
      }
      yield* store.read(name, options, signal)
    },
  })
  const it = await scene(t, undefined, (store) => ({
    root: join(path, 'root'),
    store: slow(store),
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs },
    options: { fetch: { ...QUICK.fetch, stallSeconds: 600_000 } },
  }))
  const cold = await it.cold()
  for (let at = 0; at < 8; at += 1) writeFileSync(join(it.dir, `touched/large-${at}`), noise(500_000, at))
  const build = await it.publish([])
  const { bavail, bsize } = statfsSync(path)
  writeFileSync(join(path, 'filler'), noise(bavail * bsize - 7_000_000, 1))
  deed = () => spoil(join(cold, 'kept/dir-1/file-1'))
  await becomes(it.node, build)
})
