// Owns the proof of the quick way of staging: the tree becomes the build although only what changed was looked at, whatever was done to it.
import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
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
import type { BuildStore } from '#fleet/ports.ts'
import { tmp } from '#test/support/tmp.ts'
import {
  putFiles,
  type TestBuild,
  type TestNode,
  type TestStore,
  testNode,
  testStore,
} from '#test/support/tree-node.ts'

/** Forwards to a store, and keeps the names of what was read. */
function counted(store: BuildStore): { readonly store: BuildStore; readonly read: string[] } {
  const read: string[] = []
  const counting: BuildStore = {
    find: (name, signal) => store.find(name, signal),
    read: (name, options, signal) => {
      read.push(name)
      return store.read(name, options, signal)
    },
    create: (name, body, signal) => store.create(name, body, signal),
    remove: (name, signal) => store.remove(name, signal),
  }
  return { store: counting, read }
}

/** What stays the same in every build: enough of it that a change is a small part. */
const KEPT = Object.fromEntries(
  Array.from({ length: 40 }, (_, at) => [`kept/dir-${at % 4}/file-${at}`, `kept ${at}\n`.repeat(20)]),
)

interface Scene {
  readonly shop: TestStore
  readonly dir: string
  readonly node: TestNode
  readonly read: string[]
  readonly builds: TestBuild[]
  publish(running?: readonly TestBuild[]): Promise<TestBuild>
}

/** Builds one and two lie on the node: two in hot, one in cold, armed; the source is as two was published. */
async function scene(t: TestContext, edit: (dir: string) => void = () => undefined): Promise<Scene> {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, { ...KEPT, 'touched/page': 'page one', 'touched/same': 'the same', 'lone/file': 'lone', top: 'top' })
  const builds: TestBuild[] = []
  const publish = async (running: readonly TestBuild[] = builds.slice(-2)) => {
    const build = await shop.publish(`b${builds.length + 1}`, dir, running)
    builds.push(build)
    return build
  }
  const { store, read } = counted(shop.store)
  const node = await testNode(t, { store })
  await node.deploy(await publish())
  edit(dir)
  putFiles(dir, { 'touched/page': 'page two' })
  const two = await publish()
  await node.deploy(two)
  const [one = two] = builds
  const swept = await node.stage(one, 'sweep')
  assert.deepEqual([swept.armed, swept.drift], [true, []])
  read.splice(0)
  return { shop, dir, node, read, builds, publish }
}

/** Stages, and proves by an independent reader, by `verify` and by a sweep that the tree and its record are right. */
async function becomes(node: TestNode, build: TestBuild, how?: string): Promise<void> {
  const tree = (await node.trees.survey()).coldTree
  const result = await node.stage(build)
  assert.deepEqual(node.linesOf(tree), build.lines)
  if (how !== undefined) assert.equal(result.how, how)
  const { missing, changed, extra } = await node.trees.verify(tree, new AbortController().signal)
  assert.deepEqual([missing, changed, extra], [[], [], []])
  const swept = await node.stage(build, 'sweep')
  assert.deepEqual([swept.fetchedBytes, swept.writtenFiles, swept.drift, swept.armed], [0, 0, [], true])
}

const swap = async ({ trees }: TestNode) => trees.swap((await trees.survey()).coldTree)

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
    await swap(it.node)
  }
})

/** What was done to cold after it was armed, and what is in the next build besides a new page. */
const DRIFTS: Readonly<Record<string, (cold: string) => void>> = {
  'a kept file was edited in place': (cold) => edit(join(cold, 'kept/dir-1/file-1')),
  'a kept file was edited in place, its time put back': (cold) => inPlace(join(cold, 'kept/dir-1/file-1')),
  'a kept file was cut short, its time put back': (cold) =>
    keepingTime(join(cold, 'lone/file'), (at) => truncateSync(at, 2)),
  'a kept file was replaced': (cold) => replaced(join(cold, 'lone/file')),
  'a kept file was given a second name': (cold) => linkSync(join(cold, 'lone/file'), join(cold, '../outside')),
  'a kept file was given a second name in the tree': (cold) =>
    linkSync(join(cold, 'lone/file'), join(cold, 'touched/second')),
  'a kept file is gone': (cold) => rmSync(join(cold, 'lone/file')),
  'a kept file became a directory': (cold) => {
    rmSync(join(cold, 'lone/file'))
    mkdirSync(join(cold, 'lone/file/deep'), { recursive: true })
  },
  'a file was added at the root': (cold) => writeFileSync(join(cold, 'added'), ''),
  'a file was added where nothing changes': (cold) => writeFileSync(join(cold, 'kept/dir-2/added'), ''),
  'a file was added where something changes': (cold) => writeFileSync(join(cold, 'touched/added'), ''),
  'a file was added and is gone again': (cold) => {
    writeFileSync(join(cold, 'touched/added'), '')
    rmSync(join(cold, 'touched/added'))
  },
  'a directory became a link': (cold) => {
    renameSync(join(cold, 'touched'), join(cold, 'moved'))
    symlinkSync('moved', join(cold, 'touched'))
  },
  'a kept directory became a link to the same elsewhere': (cold) => {
    renameSync(join(cold, 'lone'), join(cold, '../lone-elsewhere'))
    symlinkSync('../lone-elsewhere', join(cold, 'lone'))
  },
  'a mode was changed': (cold) => chmodSync(join(cold, 'lone/file'), 0o600),
  'the mode of a directory was changed': (cold) => chmodSync(join(cold, 'touched'), 0o700),
  'the file that changes was edited in place': (cold) => inPlace(join(cold, 'touched/page')),
  'the file whose mode changes was edited in place, its time put back': (cold) => inPlace(join(cold, 'touched/same')),
  'the file whose mode changes was given a second name': (cold) =>
    linkSync(join(cold, 'touched/same'), join(cold, '../x')),
  'the file that changes is a link out of the tree': (cold) => {
    writeFileSync(join(cold, '../victim'), 'victim')
    rmSync(join(cold, 'touched/page'))
    symlinkSync('../../victim', join(cold, 'touched/page'))
  },
}

function edit(path: string): void {
  appendFileSync(path, 'more')
}

function keepingTime(path: string, change: (path: string) => void): void {
  const { atime, mtime } = statSync(path)
  change(path)
  utimesSync(path, atime, mtime)
}

/** Other content of the same length, at the same time. */
function inPlace(path: string): void {
  keepingTime(path, (at) => writeFileSync(at, readFileSync(at, 'utf8').replace(/./g, 'X')))
}

function replaced(path: string): void {
  keepingTime(path, (at) => {
    const content = readFileSync(at)
    rmSync(at)
    writeFileSync(at, content)
  })
}

for (const [story, drift] of Object.entries(DRIFTS)) {
  test(`C13: ${story} in cold after it was armed, and the next build is whole`, async (t: TestContext) => {
    const it = await scene(t)
    const cold = join(it.node.root, 'trees', (await it.node.trees.survey()).coldTree)
    putFiles(it.dir, { 'touched/page': 'page three' })
    keepingTime(join(it.dir, 'touched/same'), (at) => chmodSync(at, 0o755))
    const three = await it.publish()
    drift(cold)
    await becomes(it.node, three)
    assert.deepEqual(it.node.hotLines(), it.builds[1]?.lines, 'hot is as it was')
  })
}

/** What the next build does to its paths; each of them once more with what the two builds before differ in. */
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

for (const [story, change] of Object.entries(CHANGES)) {
  test(`${story}, first in hot and then back from it, and cold follows both times`, async (t: TestContext) => {
    const it = await scene(t)
    const before = await tmp(t, 'before')
    putFiles(before, {
      ...KEPT,
      'touched/page': 'page two',
      'touched/same': 'the same',
      'lone/file': 'lone',
      top: 'top',
    })
    change(it.dir)
    const three = await it.publish()
    await becomes(it.node, three)
    await swap(it.node)
    putFiles(it.dir, { 'new/file': 'a build between' })
    const four = await it.publish()
    await becomes(it.node, four)
    await swap(it.node)
    const five = await it.shop.publish('b5', before, [four, three])
    await becomes(it.node, five)
  })
}

test('what came with the build in hot and was damaged there is fetched from its place in the new artifact', async (t: TestContext) => {
  // One frame holds some 4 MiB: what comes before it decides where a file lies.
  const it = await scene(t, (dir) =>
    putFiles(dir, { 'zoo/animal': 'an animal that build two brought', 'zoo/big': noise(300_000, 1) }),
  )
  putFiles(it.dir, { 'aaa/first': noise(200_000, 2), 'touched/page': 'three' })
  const three = await it.publish([it.builds[1] ?? assert.fail()])
  inPlace(join(it.node.root, 'hot/zoo/animal'))
  keepingTime(join(it.node.root, 'hot/zoo/big'), (at) => writeFileSync(at, Buffer.alloc(300_000)))
  await becomesBesideDamagedHot(it.node, three)
})

async function becomesBesideDamagedHot(node: TestNode, build: TestBuild): Promise<void> {
  const tree = (await node.trees.survey()).coldTree
  await node.stage(build)
  assert.deepEqual(node.linesOf(tree), build.lines)
}

function noise(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  let state = seed
  for (let at = 0; at < bytes; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    buffer[at] = state >>> 16
  }
  return buffer
}

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
    if (help === 'no delta, hot damaged') await becomesBesideDamagedHot(it.node, build)
    else await becomes(it.node, build, help === 'all' ? 'delta' : 'ranges')
    await swap(it.node)
  }
})

/** What is done to the small files that only save work. */
const COURTESIES: Readonly<Record<string, (it: Scene) => void>> = {
  'the difference of the trees is damaged': ({ node }) => appendFileSync(join(node.root, '.hotcold/diff'), 'x'),
  'the difference of the trees is gone': ({ node }) => rmSync(join(node.root, '.hotcold/diff')),
  'the record is damaged': ({ node }) => writeFileSync(join(node.root, '.hotcold/a.record'), Buffer.alloc(64)),
  'the record is gone': ({ node }) => rmSync(join(node.root, '.hotcold/a.record')),
  'the delta from hot is damaged in its middle': ({ shop }) => flip(join(shop.directory, objectsOf.delta('b3', 'b2'))),
  'both deltas are damaged in their middle': ({ shop }) => {
    for (const from of ['b1', 'b2']) flip(join(shop.directory, objectsOf.delta('b3', from)))
  },
  'there is no delta': ({ shop }) => rmSync(join(shop.directory, 'b3/from'), { recursive: true }),
  'there is no delta from hot': ({ shop }) => rmSync(join(shop.directory, objectsOf.delta('b3', 'b2'))),
  'there is no delta from cold': ({ shop }) => rmSync(join(shop.directory, objectsOf.delta('b3', 'b1'))),
}

function flip(path: string): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.byteLength * 0.8)
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
}

for (const [story, harm] of Object.entries(COURTESIES)) {
  test(`B6: ${story}, and the next build is whole all the same`, async (t: TestContext) => {
    const it = await scene(t, (dir) => putFiles(dir, { 'zoo/animal': 'build two brought it' }))
    putFiles(it.dir, { 'touched/page': noise(4_000, 3), 'new/a': noise(900, 4), 'aaa/b': noise(700, 5) })
    await it.publish()
    harm(it)
    const three = it.builds[2] ?? assert.fail()
    await becomes(it.node, three)
    await swap(it.node)
    putFiles(it.dir, { 'touched/page': 'page four' })
    await becomes(it.node, await it.publish(), 'delta')
  })
}

test('F4: a staging that was broken off at any of its bytes is done by the next, and so is the build after it', async (t: TestContext) => {
  const it = await scene(t)
  putFiles(it.dir, Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`new/${at}`, noise(400_000, at)])))
  // Large enough for its delta to be worth it.
  const two = it.builds[1] ?? assert.fail()
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
  await swap(it.node)
  putFiles(it.dir, { 'touched/page': 'page four' })
  await becomes(it.node, await it.publish(), 'delta')
})

test('after a way back the next build comes by the shorter of the deltas from both trees', async (t: TestContext) => {
  const it = await scene(t)
  const [one, two] = it.builds
  assert.ok(one !== undefined && two !== undefined)
  await swap(it.node)
  // Hot is one again, and two lies in cold.
  await it.node.stage(two, 'sweep')
  putFiles(it.dir, { 'lone/file': 'three' })
  const three = await it.publish([one, two])
  const bytes = (from: string) => statSync(join(it.shop.directory, objectsOf.delta('b3', from))).size
  assert.ok(bytes('b2') < bytes('b1'))
  it.read.splice(0)
  await becomes(it.node, three, 'delta')
  assert.deepEqual(it.read, [objectsOf.delta('b3', 'b2')])
  await swap(it.node)
  putFiles(it.dir, { 'lone/file': 'four' })
  await becomes(it.node, await it.publish([one, three]), 'delta')
})
