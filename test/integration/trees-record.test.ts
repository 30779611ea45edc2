// Owns the proof that what a node keeps to save work vouches for nothing that it did not see: the record of a tree, the difference of two.
import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  linkSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import type { BuildId } from '#fleet/build.ts'
import { encodeManifest } from '#fleet/manifest.ts'
import { Rows } from '#fleet/manifest-columns.ts'
import { readManifest } from '#fleet/manifest-table.ts'
import { packColumns } from '#fleet/packed-columns.ts'
import { look } from '#puller/shell/look.ts'
import { emptyRecord } from '#puller/shell/seal.ts'
import { type Made, manifestOf, sha256 } from '#test/support/manifests.ts'
import { tmp } from '#test/support/tmp.ts'
import {
  failsWithHotUnchanged,
  putFiles,
  type TestBuild,
  type TestNode,
  testNode,
  testStore,
} from '#test/support/tree-node.ts'

const SAME = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`lib/file-${at}`, `content ${at}`]))
const LARGE_BYTES = 1_500_000
const MOST_SWEEPS = 10

/** A node that runs b2 and has b1 armed in cold, tree a, and the build that it will be ordered to stage there. */
async function armed(t: TestContext) {
  const shop = await testStore(t)
  const publish = async (build: string, page: string, mode: number, running: readonly TestBuild[]) => {
    const dir = await tmp(t, 'source')
    putFiles(dir, { ...SAME, 'app/page': page, 'mode/file': 'file' })
    chmodSync(join(dir, 'mode'), mode)
    return await shop.publish(build, dir, running)
  }
  const one = await publish('b1', 'one', 0o755, [])
  const two = await publish('b2', 'two', 0o755, [one])
  // By way of hot alone: what cold and hot differ in must be known from the time before.
  const three = await publish('b3', '333', 0o750, [two])
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  // A record that was taken within a tick of the last change says "look again", and the next staging would: swept again it does not.
  const record = join(node.root, '.hotcold/a.record')
  const isFresh = () => new Float64Array(Uint8Array.from(readFileSync(record)).buffer).includes(0)
  for (let sweeps = 0; sweeps === 0 || (sweeps < MOST_SWEEPS && isFresh()); sweeps += 1) {
    assert.equal((await node.stage(one, 'sweep')).armed, true)
  }
  assert.equal(isFresh(), false)
  return { shop, one, two, three, node, cold: join(node.root, 'trees/a') }
}

/** Other bytes in the same file, as many as before, under the times that it had. */
function editInPlace(path: string): void {
  const { atime, mtime } = statSync(path)
  writeFileSync(
    path,
    readFileSync(path).map((byte) => byte ^ 0x20),
  )
  utimesSync(path, atime, mtime)
}

/** Whatever somebody did to cold: what is staged there next is the build. */
async function stagesTheBuild(node: TestNode, build: TestBuild): Promise<void> {
  await node.stage(build)
  assert.deepEqual(node.linesOf('a'), build.lines)
}

test('C12: a kept file that was edited in place in an armed tree is noticed by the next staging, though its size and time are the same', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  editInPlace(join(cold, 'lib/file-3'))
  await stagesTheBuild(node, three)
})

test('C13: what was added to a directory of cold that the next build does not touch is not in it', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  putFiles(cold, { 'lib/extra': 'left' })
  await stagesTheBuild(node, three)
})

test('C13: what was added to a directory of cold in which the next build changes a file is not in it', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  putFiles(cold, { 'app/extra': 'left' })
  await stagesTheBuild(node, three)
})

test('C13: what was added to a directory of cold that the next build gives another mode is not in it', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  putFiles(cold, { 'mode/extra': 'left' })
  await stagesTheBuild(node, three)
})

test('C13: what was added to the root of cold is not in the next build that is staged there', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  putFiles(cold, { extra: 'left' })
  await stagesTheBuild(node, three)
})

test('C13: what was added to the root of cold is not there any more after a sweep', async (t: TestContext) => {
  const { node, cold, one } = await armed(t)
  putFiles(cold, { extra: 'left' })
  assert.equal((await node.stage(one, 'sweep')).armed, true)
  assert.deepEqual(node.linesOf('a'), one.lines)
})

test('C12: a record that is not the one which the seal names vouches for nothing', async (t: TestContext) => {
  const { node, cold, three } = await armed(t)
  const file = join(cold, 'lib/file-3')
  const sealedMs = statSync(file).ctimeMs
  editInPlace(file)
  // Bytes that went wrong in the one place where it matters: the file seems to be as it was sealed.
  const path = join(node.root, '.hotcold/a.record')
  const record = readFileSync(path)
  const times = new Float64Array(Uint8Array.from(record).buffer)
  const ino = times.indexOf(statSync(file).ino)
  const row = times.length / 2 + ino
  assert.ok(ino >= 0 && times[row] === sealedMs, 'the record has the file in this row')
  record.writeDoubleLE(statSync(file).ctimeMs, row * 8)
  writeFileSync(path, record)
  await stagesTheBuild(node, three)
})

test('C12: a kept difference of the two trees that rotted is not gone by', async (t: TestContext) => {
  const { node, three } = await armed(t)
  const path = join(node.root, '.hotcold/diff')
  const text = readFileSync(path, 'utf8')
  // It says that cold has the page of b3 already.
  const rotten = text.replace(sha256('one'), sha256('333'))
  assert.notEqual(rotten, text)
  writeFileSync(path, rotten)
  await stagesTheBuild(node, three)
})

test('C12: kept columns of a manifest that rotted are not gone by', async (t: TestContext) => {
  const shop = await testStore(t)
  const files = (page: string) => ({ ...SAME, 'app/other': '333', 'app/page': page })
  const one = await shop.publishFiles('b1', files('one'))
  const two = await shop.publishFiles('b2', files('two'))
  const three = await shop.publishFiles('b3', files('333'))
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  await node.stage(one, 'sweep')

  // They say that cold has the page of b3 already.
  const path = (end: string) => join(node.root, '.hotcold/manifests', `${one.manifest.slice('sha256:'.length)}.${end}`)
  const read = readManifest(Uint8Array.from(readFileSync(path('json'))))
  const ordered = readManifest(zstdDecompressSync(readFileSync(join(shop.directory, 'b3/manifest.json.zst'))))
  assert.ok(read !== null && ordered !== null)
  const { count, content, mtime } = read.columns
  const rows = new Rows(read.columns)
  const at = (name: string) => Array.from({ length: count }, (_, row) => rows.path(row)).indexOf(name)
  const page = at('app/page')
  content[page] = content[at('app/other')] ?? 0
  mtime[page] = ordered.columns.mtime[page] ?? 0
  const kept = readFileSync(path('columns'))
  const rotten = Buffer.from(packColumns(read.columns, one.manifest))
  rotten.set(kept.subarray(0, 64))
  assert.notDeepEqual(rotten, kept)
  writeFileSync(path('columns'), rotten)
  await stagesTheBuild(node, three)
})

test('what an application changed in hot is not copied into a tree that has most of the build: it comes from the store', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { ...SAME })
  const two = await shop.publishFiles('b2', { ...SAME, 'app/new': 'new in two' })
  const three = await shop.publishFiles('b3', { ...SAME, 'app/new': 'new in two', page: 'three' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  editInPlace(join(node.root, 'hot/app/new'))
  await stagesTheBuild(node, three)
})

test('what an application changed in a large file of hot is not copied into an empty tree: it comes from the store', async (t: TestContext) => {
  const shop = await testStore(t)
  const large = Buffer.alloc(LARGE_BYTES, 'large ')
  const one = await shop.publishFiles('b1', { large, page: 'one' })
  const two = await shop.publishFiles('b2', { large, page: 'two' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  editInPlace(join(node.root, 'hot/large'))
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('an order that names the manifest of another build is refused by a tree that is empty', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { page: 'one' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  const two = await shop.publishFiles('b2', { page: 'two' })
  cpSync(join(shop.directory, 'b2'), join(shop.directory, 'b3'), { recursive: true })
  await failsWithHotUnchanged(node, 'MANIFEST_INVALID', () => node.stage({ ...two, build: 'b3' as BuildId }))
  assert.equal((await node.trees.survey()).cold, null)
})

/** A tree whose manifest has one path, `file`; compares what lies there with a record of just that, but for `change`. */
async function onePath(t: TestContext, made: Made) {
  const dir = await tmp(t, 'tree')
  const columns = readManifest(Buffer.from(encodeManifest(manifestOf({ file: made }))))?.columns
  assert.ok(columns)
  const differs = (change: { ino?: number; ctimeMs?: number } = {}) => {
    const record = emptyRecord(2)
    const { ino, ctimeMs } = lstatSync(join(dir, 'file'))
    record.ino[0] = change.ino ?? ino
    record.ctimeMs[0] = change.ctimeMs ?? ctimeMs
    const next = new Int32Array(new SharedArrayBuffer(4))
    const skip = new Uint8Array(new SharedArrayBuffer(1))
    return look({ tree: dir, columns, record, skip, next }).length > 0
  }
  return { dir, file: join(dir, 'file'), differs }
}

async function oneFile(t: TestContext) {
  const made = { text: 'text', mode: 0o644, mtime: 1_700_000_000 }
  const path = await onePath(t, made)
  const dress = () => {
    chmodSync(path.file, made.mode)
    utimesSync(path.file, made.mtime, made.mtime)
  }
  writeFileSync(path.file, made.text)
  dress()
  assert.equal(path.differs(), false, 'as it was built and recorded')
  return { ...path, made, dress }
}

test('a file that is as the build has it, but not the one that the record saw, is looked at again', async (t: TestContext) => {
  const { file, differs } = await oneFile(t)
  const { ino, ctimeMs } = lstatSync(file)
  assert.equal(differs({ ino: ino + 1 }), true, 'another inode')
  assert.equal(differs({ ctimeMs: ctimeMs - 1 }), true, 'changed since')
})

test('a file that the record saw with a second name is looked at again', async (t: TestContext) => {
  const { dir, file, differs } = await oneFile(t)
  linkSync(file, join(dir, 'second'))
  assert.equal(differs(), true)
  rmSync(join(dir, 'second'))
  assert.equal(differs(), false)
})

test('a file that the record saw with another size is looked at again', async (t: TestContext) => {
  const { file, dress, differs } = await oneFile(t)
  writeFileSync(file, 'longer text')
  dress()
  assert.equal(differs(), true)
})

test('a file that the record saw with another time is looked at again', async (t: TestContext) => {
  const { file, made, differs } = await oneFile(t)
  utimesSync(file, made.mtime, made.mtime + 1)
  assert.equal(differs(), true)
})

test('a file that the record saw with another mode is looked at again', async (t: TestContext) => {
  const { file, differs } = await oneFile(t)
  chmodSync(file, 0o600)
  assert.equal(differs(), true)
})

test('a file that the record saw in the place of a link is looked at again', async (t: TestContext) => {
  const { dir, file, differs } = await onePath(t, { link: 'aside' })
  symlinkSync('aside', file)
  assert.equal(differs(), false, 'as it was built and recorded')
  writeFileSync(join(dir, 'aside'), 'aside')
  renameSync(join(dir, 'aside'), file)
  assert.equal(differs(), true)
})
