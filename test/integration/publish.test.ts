// Owns the proof of publishing: what comes out of the store is what was in the directory, for tar and for a node.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { systemClock } from '#adapters/runtime/clock.ts'
import { publishBuild } from '#conductor/shell/publish.ts'
import type { Name } from '#fleet/build.ts'
import { CHUNK_BYTES, type Manifest, objectsOf, treeDigestOf } from '#fleet/manifest.ts'
import { contentOf, FOREVER, type Publishing, publishing } from '#test/support/publishing.ts'
import { changeSourceTree, makeSourceTree, treeLines } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'

const run = promisify(execFile)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A tree with all that a tar header finds hard. */
async function oddTree(t: TestContext): Promise<string> {
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 60, 1)
  const deep = Array.from({ length: 12 }, (_, index) => `a-rather-long-directory-name-${index}`).join('/')
  await mkdir(join(dir, deep), { recursive: true })
  await writeFile(join(dir, deep, `${'x'.repeat(120)}.txt`), 'deep')
  await writeFile(join(dir, 'ünïcode ☃ "quoted".txt'), 'ü')
  await writeFile(join(dir, 'y'.repeat(100)), 'exactly as long as the field')
  await writeFile(join(dir, '\u{1f600}'), 'beyond the first plane')
  await symlink(`../${'z'.repeat(150)}/../assets`, join(dir, 'assets', 'long-link'))
  await symlink('ünïcode ☃ "quoted".txt', join(dir, 'link'))
  await writeFile(join(dir, 'private'), 'only mine', { mode: 0o600 })
  await writeFile(join(dir, 'setuid'), 'x')
  await chmod(join(dir, 'setuid'), 0o6777)
  await writeFile(join(dir, 'medium'), Buffer.alloc(200_000, 'm'))
  await writeFile(join(dir, 'one-chunk'), Buffer.alloc(CHUNK_BYTES, '1'))
  await writeFile(join(dir, 'three-chunks'), Buffer.alloc(2 * CHUNK_BYTES + 1, '3'))
  return dir
}

async function start(t: TestContext): Promise<Publishing & { readonly directory: string }> {
  const directory = await tmp(t, 'store')
  return Object.assign(publishing(directory), { directory })
}

test('tar --zstd -x on an artifact gives the published tree: paths, modes, links, contents and the times of the manifest', async (t) => {
  const dir = await oddTree(t)
  const world = await start(t)
  await world.publish(dir, 'b1')
  const out = await tmp(t, 'unpacked')
  await run('tar', ['--zstd', '-xf', join(world.directory, objectsOf.artifact('b1')), '-C', out])
  assert.deepEqual(treeLines(out), treeLines(dir))
  for (const { path, type, mtime } of (await world.manifest('b1')).entries) {
    if (type !== 'l') assert.equal(Math.floor((await stat(join(out, path))).mtimeMs / 1_000), mtime, path)
  }
  assert.equal((await stat(join(out, 'setuid'))).mode & 0o7777, 0o755)
  assert.equal((await stat(join(out, 'private'))).mode & 0o7777, 0o600)
})

test('every file can be had by the frames its entry names, each of them decompressed on its own', async (t) => {
  const dir = await oddTree(t)
  const world = await start(t)
  const { treeDigest, rawBytes, entries, bytes } = await world.publish(dir, 'b1')
  const manifest = await world.manifest('b1')
  const artifact = await world.object(objectsOf.artifact('b1'))
  for (const entry of manifest.entries) {
    if (entry.type === 'f') assert.equal(sha256(contentOf(artifact, manifest, entry)), entry.content, entry.path)
  }
  assert.deepEqual(manifest.artifact, { digest: `sha256:${sha256(artifact)}`, bytes: artifact.byteLength })
  assert.equal(treeDigest, treeDigestOf(manifest.entries))
  const sizes = manifest.entries.reduce((sum, { size }) => sum + size, 0)
  assert.deepEqual([rawBytes, entries, bytes], [sizes, manifest.entries.length, artifact.byteLength])
})

test('a flipped byte in any frame is noticed by that frame alone, before its content is used', async (t) => {
  const dir = await oddTree(t)
  const world = await start(t)
  await world.publish(dir, 'b1')
  const manifest = await world.manifest('b1')
  const artifact = await world.object(objectsOf.artifact('b1'))
  for (const { offset, bytes } of manifest.frames) {
    const frame = Buffer.from(artifact.subarray(offset, offset + bytes))
    const middle = frame.byteLength >> 1
    frame[middle] = (frame[middle] ?? 0) ^ 0x10
    assert.throws(() => zstdDecompressSync(frame))
  }
})

test('a piece of a large file is a frame of its own whose digest is in the manifest, so that unchanged pieces can be kept', async (t) => {
  const dir = await oddTree(t)
  const world = await start(t)
  await world.publish(dir, 'b1')
  const manifest = await world.manifest('b1')
  const large = manifest.entries.find(({ path }) => path === 'three-chunks')
  assert.ok(large)
  const content = await readFile(join(dir, 'three-chunks'))
  const frames = manifest.frames.slice(large.frame, large.frame + 3)
  assert.deepEqual(
    frames.map(({ rawBytes }) => rawBytes),
    [CHUNK_BYTES, CHUNK_BYTES, 1],
  )
  assert.deepEqual(
    frames.map(({ digest }) => digest),
    [0, 1, 2].map((chunk) => sha256(content.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES))),
  )
  assert.equal(large.offset, 0)
})

test('a build that differs in some files shares the frames of all others with the build before', async (t) => {
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 700, 7)
  const world = await start(t)
  await world.publish(dir, 'b1')
  changeSourceTree(dir, 700, 0.005, 8)
  await world.publish(dir, 'b2')
  const bytesOf = async (build: string) => {
    const artifact = await world.object(objectsOf.artifact(build))
    return (await world.manifest(build)).frames.map(({ offset, bytes }) =>
      sha256(artifact.subarray(offset, offset + bytes)),
    )
  }
  const before = new Set(await bytesOf('b1'))
  const now = await bytesOf('b2')
  const shared = now.filter((frame) => before.has(frame)).length
  t.diagnostic(`${shared} of ${now.length} frames are those of the build before`)
  assert.ok(shared > now.length * 0.8)
})

test('the same tree has the same digest wherever it lies and whenever it is published, and its content keeps its times', async (t) => {
  const dir = await oddTree(t)
  const copy = join(await tmp(t, 'copy'), 'elsewhere')
  await cp(dir, copy, { recursive: true, verbatimSymlinks: true })
  await utimes(join(copy, 'private'), 1, 1)
  const world = await start(t)
  const first = await world.publish(dir, 'b1')
  world.nowMs += 3_600_000
  const second = await world.publish(copy, 'b2')
  assert.equal(second.treeDigest, first.treeDigest)
  const times = (manifest: Manifest) => manifest.entries.map(({ path, mtime }) => `${path} ${mtime}`)
  assert.deepEqual(times(await world.manifest('b2')), times(await world.manifest('b1')))
  assert.deepEqual(await world.object(objectsOf.artifact('b2')), await world.object(objectsOf.artifact('b1')))
})

test('content that the newest build does not have gets the time of its own build, all other content keeps its time', async (t) => {
  const dir = await tmp(t, 'source')
  await mkdir(join(dir, 'd'))
  for (const name of ['same', 'changed', 'd/x']) await writeFile(join(dir, name), name)
  const world = await start(t)
  const first = Math.floor(world.nowMs / 1_000)
  await world.publish(dir, 'b1')
  world.nowMs += 100_000
  await writeFile(join(dir, 'changed'), 'otherwise')
  await writeFile(join(dir, 'new'), 'new')
  await chmod(join(dir, 'same'), 0o755)
  await world.publish(dir, 'b2')
  const { entries, createdAt } = await world.manifest('b2')
  assert.deepEqual(Object.fromEntries(entries.map(({ path, mtime }) => [path, mtime - first])), {
    changed: 100,
    d: 0,
    'd/x': 0,
    new: 100,
    same: 0,
  })
  assert.equal(Date.parse(createdAt), world.nowMs)
})

test('the catalog says who published what, and a build without an id gets one of its time and content', async (t) => {
  const dir = await tmp(t, 'source')
  await writeFile(join(dir, 'x'), 'x')
  const world = await start(t)
  const commit = '3f2a9c1d0e'
  const clock = { ...systemClock, now: () => world.nowMs }
  const request = { app: 'web' as Name, dir, by: 'ana', commit, checks: { unit: 'passed' } }
  const result = await publishBuild({ ...world, clock }, request, () => undefined, FOREVER)
  assert.equal(result.build, '20261122T160412-3f2a9c1')
  const found = await world.catalog.find(result.build, FOREVER)
  const {
    app,
    by,
    commit: saved,
    checks,
    manifest,
    treeDigest,
    createdAt,
    good,
    quarantine,
  } = found?.entry ?? assert.fail('no entry')
  assert.deepEqual(
    { app, by, saved, checks, manifest, treeDigest, createdAt, good, quarantine },
    {
      app: 'web',
      by: 'ana',
      saved: commit,
      checks: { unit: 'passed' },
      manifest: result.manifest,
      treeDigest: result.treeDigest,
      createdAt: '2026-11-22T16:04:12.345Z',
      good: {},
      quarantine: null,
    },
  )
})
