// Owns the proof of deltas as they are published: they bring a node to the new build, and cost what changed.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { addedEntries, decodeHead, decodeMarker, MARKER_BYTES, rawBytesOf } from '#fleet/delta.ts'
import { applyHead } from '#fleet/delta-apply.ts'
import { CHUNK_BYTES, digestOf, type Manifest, objectsOf } from '#fleet/manifest.ts'
import { FOREVER, type Publishing, publishing } from '#test/support/publishing.ts'
import { changeSourceTree, makeSourceTree } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'

const run = promisify(execFile)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function start(t: TestContext): Promise<Publishing & { readonly directory: string }> {
  const directory = await tmp(t, 'store')
  return Object.assign(publishing(directory), { directory })
}

test('a delta brings a node from the build it runs to the new one: manifest and every changed byte, and little more', async (t) => {
  const dir = await tmp(t, 'source')
  makeSourceTree(dir, 800, 3)
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  const oldFiles = await contents(dir, await world.manifest('b1'))
  changeSourceTree(dir, 800, 0.01, 4)
  const { manifest } = await world.publish(dir, 'b2', { running: [{ build: b1.build, manifest: b1.manifest }] })
  const delta = await world.object(objectsOf.delta('b2', 'b1'))
  const older = zstdDecompressSync(await world.object(objectsOf.manifest('b1')))

  let at = 0
  const next = (which: 'head' | 'content') => {
    const { bytes, rawBytes } = decodeMarker(delta.subarray(at, at + MARKER_BYTES), which)
    at += MARKER_BYTES + bytes
    return zstdDecompressSync(delta.subarray(at - bytes, at), { maxOutputLength: rawBytes })
  }
  const head = decodeHead(next('head'), { fromManifest: b1.manifest, manifest })
  const applied = applyHead(head, older)
  assert.equal(digestOf(applied.manifest), manifest)
  // What a node does: the older file where there is one, then the pieces over it.
  const files = addedEntries(head.entrySplice).map((entry) => {
    const base = oldFiles.get(entry.path) ?? Buffer.alloc(0)
    return Buffer.concat([base, Buffer.alloc(Math.max(0, entry.size - base.byteLength))]).subarray(0, entry.size)
  })
  for (const frame of head.frames) {
    const raw = next('content')
    assert.equal(raw.byteLength, rawBytesOf(frame))
    let start = 0
    for (const piece of frame) {
      raw.copy(files[piece.entry] ?? assert.fail('a piece of nothing'), piece.start, start, start + piece.bytes)
      start += piece.bytes
    }
  }
  assert.equal(at, delta.byteLength)
  for (const [index, { entry }] of applied.diff.came.entries()) {
    if (entry.type === 'f') assert.equal(sha256(files[index] ?? Buffer.alloc(0)), entry.content, entry.path)
  }
  const changed = applied.diff.came.filter(({ entry }) => entry.type === 'f' && entry.size < CHUNK_BYTES)
  const raw = changed.reduce((sum, { entry }) => sum + entry.size, CHUNK_BYTES)
  t.diagnostic(`${delta.byteLength} bytes for ${applied.diff.came.length} changed paths of ${raw} raw bytes`)
  assert.ok(delta.byteLength < raw)
  // Standard tools read it too.
  const unpacked = await run('zstd', ['-tq', join(world.directory, objectsOf.delta('b2', 'b1'))])
  assert.equal(unpacked.stderr, '')
})

async function contents(dir: string, manifest: Manifest): Promise<Map<string, Buffer>> {
  const files = manifest.entries.filter(({ type }) => type === 'f')
  return new Map(await Promise.all(files.map(async ({ path }) => [path, await readFile(join(dir, path))] as const)))
}

test('a patch inside a large file costs its delta the patch, not the mebibyte around it', async (t) => {
  const dir = await tmp(t, 'source')
  const content = randomBytes(5 * CHUNK_BYTES + 10)
  await writeFile(join(dir, 'database'), content)
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  content.write('patched', 1_000)
  content.write('patched over the edge of two chunks', 2 * CHUNK_BYTES - 4)
  await writeFile(join(dir, 'database'), Buffer.concat([content, Buffer.from('appended')]))
  const { manifest } = await world.publish(dir, 'b2', { running: [b1] })
  const delta = await world.object(objectsOf.delta('b2', 'b1'))
  const { bytes } = decodeMarker(delta.subarray(0, MARKER_BYTES), 'head')
  const raw = zstdDecompressSync(delta.subarray(MARKER_BYTES, MARKER_BYTES + bytes))
  const head = decodeHead(raw, { fromManifest: b1.manifest, manifest })
  assert.deepEqual(
    head.frames.flat().map(({ start, bytes }) => [start, bytes]),
    [
      [0, 4_096],
      [2 * CHUNK_BYTES - 4_096, 4_096],
      [2 * CHUNK_BYTES, 4_096],
      [5 * CHUNK_BYTES, 18],
    ],
  )
  assert.ok(delta.byteLength < 20_000)
})

test('a delta is whole where the older build cannot be read back to compare with', async (t) => {
  const dir = await tmp(t, 'source')
  const content = randomBytes(3 * CHUNK_BYTES)
  await writeFile(join(dir, 'database'), content)
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  await world.store.remove(objectsOf.artifact('b1'), FOREVER)
  content.write('patched', 1_000)
  await writeFile(join(dir, 'database'), content)
  await world.publish(dir, 'b2', { running: [b1] })
  const facts = await world.store.find(objectsOf.delta('b2', 'b1'), FOREVER)
  assert.ok(facts !== null && facts.bytes > CHUNK_BYTES && facts.bytes < 2 * CHUNK_BYTES)
})

test('no delta is written where it would save nothing, or from a build that the store no longer has', async (t) => {
  const dir = await tmp(t, 'source')
  await writeFile(join(dir, 'x'), 'x'.repeat(1_000))
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  await writeFile(join(dir, 'x'), 'y'.repeat(1_000))
  const gone = { build: 'b0' as typeof b1.build, manifest: b1.manifest }
  await world.publish(dir, 'b2', { running: [b1, gone] })
  const signal = FOREVER
  assert.equal(await world.store.find(objectsOf.delta('b2', 'b1'), signal), null)
  assert.equal(await world.store.find(objectsOf.delta('b2', 'b0'), signal), null)
})

test('a file that was only added to costs its delta its new end; one that grew otherwise travels whole', async (t) => {
  const dir = await tmp(t, 'source')
  const log = randomBytes(200_000)
  const page = randomBytes(100_000)
  const empty = Buffer.alloc(0)
  await writeFile(join(dir, 'anchor'), randomBytes(900_000))
  await writeFile(join(dir, 'empty'), empty)
  await writeFile(join(dir, 'log'), log)
  await writeFile(join(dir, 'page'), page)
  await writeFile(join(dir, 'shrunk'), page)
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  await writeFile(join(dir, 'empty'), 'no longer')
  await writeFile(join(dir, 'log'), Buffer.concat([log, Buffer.from('appended')]))
  // Longer, and its last bytes are the old ones too: but its first byte is another.
  const grown = Buffer.concat([page, Buffer.from('and more')])
  grown[0] = (grown[0] ?? 0) ^ 1
  await writeFile(join(dir, 'page'), grown)
  await writeFile(join(dir, 'shrunk'), page.subarray(0, 50_000))
  const { manifest } = await world.publish(dir, 'b2', { running: [b1] })
  const delta = await world.object(objectsOf.delta('b2', 'b1'))
  const { bytes } = decodeMarker(delta.subarray(0, MARKER_BYTES), 'head')
  const raw = zstdDecompressSync(delta.subarray(MARKER_BYTES, MARKER_BYTES + bytes))
  const head = decodeHead(raw, { fromManifest: b1.manifest, manifest })
  const added = addedEntries(head.entrySplice)
  assert.deepEqual(
    head.frames.flat().map(({ entry, start, bytes }) => [added[entry]?.path, start, bytes]),
    [
      ['empty', 0, 9],
      ['log', 200_000, 8],
      ['page', 0, 100_008],
      ['shrunk', 0, 50_000],
    ],
  )
})

test('a file that grew beyond a mebibyte by what was added to it keeps what it had, also where that ends inside of a piece', async (t) => {
  const dir = await tmp(t, 'source')
  const log = randomBytes(700_000)
  await writeFile(join(dir, 'anchor'), randomBytes(4 * CHUNK_BYTES))
  await writeFile(join(dir, 'log'), log)
  const world = await start(t)
  const b1 = await world.publish(dir, 'b1')
  await writeFile(join(dir, 'log'), Buffer.concat([log, randomBytes(CHUNK_BYTES)]))
  const { manifest } = await world.publish(dir, 'b2', { running: [b1] })
  const delta = await world.object(objectsOf.delta('b2', 'b1'))
  const { bytes } = decodeMarker(delta.subarray(0, MARKER_BYTES), 'head')
  const raw = zstdDecompressSync(delta.subarray(MARKER_BYTES, MARKER_BYTES + bytes))
  const head = decodeHead(raw, { fromManifest: b1.manifest, manifest })
  assert.deepEqual(
    head.frames.flat().map(({ start, bytes }) => [start, bytes]),
    [
      [700_000, CHUNK_BYTES - 700_000],
      [CHUNK_BYTES, 700_000],
    ],
  )
})
