// Owns the proof of the quick way of staging: the tree becomes the build although only what changed was looked at.
import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { objectsOf } from '#fleet/manifest.ts'
import { becomes, keepingTime, noise, scene, spoil } from '#test/support/patch-scene.ts'
import { tmp } from '#test/support/tmp.ts'
import { putFiles } from '#test/support/tree-node.ts'

test('build after build is staged by its delta alone: neither the manifest nor the artifact is asked for', async (t: TestContext) => {
  const it = await scene(t)
  for (let turn = 3; turn < 7; turn += 1) {
    putFiles(it.dir, { 'touched/page': `page ${turn}`, [`new/${turn}`]: 'new', 'touched/grows': 'line\n'.repeat(turn) })
    if (turn > 4) rmSync(join(it.dir, `new/${turn - 2}`))
    const build = await it.publish()
    await becomes(it.node, build, 'delta')
    assert.deepEqual(
      it.read.filter((name) => !name.endsWith('.delta.zst')),
      [],
    )
    await it.swap()
  }
})

/** What a build does to its paths. */
const CHANGES: Readonly<Record<string, (dir: string) => void>> = {
  'a file becomes a directory': (dir) => putFiles(dir, remade(dir, 'top', { 'top/inside/file': 'x' })),
  'a directory becomes a file': (dir) => putFiles(dir, remade(dir, 'lone', { lone: 'a file' })),
  'a file becomes a link': (dir) => {
    rmSync(join(dir, 'top'))
    symlinkSync('lone/file', join(dir, 'top'))
  },
  'a directory becomes a link': (dir) => {
    rmSync(join(dir, 'lone'), { recursive: true })
    symlinkSync('touched', join(dir, 'lone'))
  },
  'files are renamed': (dir) => {
    renameSync(join(dir, 'top'), join(dir, 'lone/top'))
    renameSync(join(dir, 'kept/dir-0'), join(dir, 'kept/renamed'))
  },
  'only a mode changes': (dir) => keepingTime(join(dir, 'lone/file'), (at) => chmodSync(at, 0o755)),
  'only a time changes': (dir) => utimesSync(join(dir, 'lone/file'), 5, 1_000_000),
  'only the mode of a directory changes': (dir) => chmodSync(join(dir, 'lone'), 0o700),
  'a directory is emptied': (dir) => rmSync(join(dir, 'lone/file')),
  'a directory is gone': (dir) => rmSync(join(dir, 'touched'), { recursive: true }),
  'a directory is closed to its owner': (dir) => chmodSync(join(dir, 'lone'), 0o500),
  'an empty file comes and one gets content': (dir) => putFiles(dir, { 'lone/empty': '', 'lone/file': '' }),
  'files swap their contents': (dir) => putFiles(dir, { 'lone/file': 'top', top: 'lone' }),
}

function remade(dir: string, path: string, files: Record<string, string>): Record<string, string> {
  rmSync(join(dir, path), { recursive: true })
  return files
}

test('types, names, modes and times change and change back, over a build between, and cold follows each time', async (t: TestContext) => {
  const it = await scene(t)
  const before = await tmp(t, 'before')
  const copy = (from: string, to: string) => {
    rmSync(to, { recursive: true })
    cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
  }
  copy(it.dir, before)
  for (const [story, change] of Object.entries(CHANGES)) {
    await t.test(story, async () => {
      change(it.dir)
      await becomes(it.node, await it.publish())
      await it.swap()
      putFiles(it.dir, { 'new/file': story })
      await becomes(it.node, await it.publish())
      await it.swap()
      copy(before, it.dir)
      await becomes(it.node, await it.publish())
      await it.swap()
    })
  }
})

test('what came with the build in hot and was damaged there is fetched from its place in the new artifact', async (t: TestContext) => {
  // One frame holds some 4 MiB: what comes before it decides where a file lies.
  const it = await scene(t, (dir) =>
    putFiles(dir, { 'zoo/animal': 'an animal that build two brought', 'zoo/big': noise(300_000, 1) }),
  )
  putFiles(it.dir, { 'aaa/first': noise(200_000, 2), 'touched/page': 'three' })
  const three = await it.publish([it.last()])
  spoil(join(it.node.root, 'hot/zoo/animal'))
  keepingTime(join(it.node.root, 'hot/zoo/big'), (at) => writeFileSync(at, Buffer.alloc(300_000)))
  assert.equal((await it.node.stage(three)).armed, true)
  assert.deepEqual(it.node.linesOf('a'), three.lines)
})

const MIB = 1024 * 1024

test('large files that are patched, added to and cut off are brought by parts, also where hot or the delta cannot help', async (t: TestContext) => {
  const large = (seed: number) => noise(2 * MIB + 700_000, seed)
  const it = await scene(t, (dir) => putFiles(dir, { 'big/one': large(1), 'big/two': large(2), 'big/three': large(3) }))
  const patch = (path: string, at: number) => {
    const content = readFileSync(join(it.dir, path))
    content.write('patched', at)
    writeFileSync(join(it.dir, path), content)
  }
  for (const help of ['all', 'no delta', 'no delta, hot damaged'] as const) {
    patch('big/one', MIB + 5_000)
    appendFileSync(join(it.dir, 'big/two'), 'appended')
    truncateSync(join(it.dir, 'big/three'), statSync(join(it.dir, 'big/three')).size - 100_000)
    putFiles(it.dir, { 'a-first': help })
    const build = await it.publish(help === 'all' ? undefined : [])
    if (help === 'no delta, hot damaged') {
      keepingTime(join(it.node.root, 'hot/big/one'), (at) => writeFileSync(at, Buffer.alloc(2 * MIB + 700_000)))
    }
    await becomes(it.node, build, help === 'all' ? 'delta' : 'ranges')
    await it.swap()
  }
})

test('F4: a staging that was broken off at any of its bytes is done by the next, and so is the build after it', async (t: TestContext) => {
  const it = await scene(t)
  putFiles(it.dir, Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`new/${at}`, noise(400_000, at)])))
  // Large enough for its delta to be worth it.
  const two = it.last()
  const three = await it.publish([two])
  for (const most of [0, 1, 3]) {
    const stop = new AbortController()
    let told = 0
    const onProgress = () => {
      if (told === most) stop.abort(new Error('broken off'))
      told += 1
    }
    const order = { build: three.build, manifest: three.manifest, mode: 'stage' as const }
    await assert.rejects(it.node.trees.stage(order, { signal: stop.signal, onProgress }), /broken off/)
    assert.deepEqual(it.node.hotLines(), two.lines)
  }
  await becomes(it.node, three)
  await it.swap()
  putFiles(it.dir, { 'touched/page': 'page four' })
  await becomes(it.node, await it.publish(), 'delta')
})

test('after a way back the next build comes by the shorter of the deltas from both trees', async (t: TestContext) => {
  const it = await scene(t)
  const [one, two] = it.builds
  assert.ok(one !== undefined && two !== undefined)
  await it.swap()
  // Hot is one again, and two lies in cold.
  await it.node.stage(two, 'sweep')
  putFiles(it.dir, { 'lone/file': 'three' })
  const three = await it.publish([one, two])
  const bytes = (from: string) => statSync(join(it.shop.directory, objectsOf.delta('b3', from))).size
  assert.ok(bytes('b2') < bytes('b1'))
  it.read.splice(0)
  await becomes(it.node, three, 'delta')
  assert.deepEqual(it.read, [objectsOf.delta('b3', 'b2')])
  await it.swap()
  putFiles(it.dir, { 'lone/file': 'four' })
  await becomes(it.node, await it.publish([one, three]), 'delta')
})
