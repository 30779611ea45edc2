// Owns the proof that the benched change is what it says it is, and that bytes are counted where they pass.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openScope } from '#bench/kit/scope.ts'
import { startServer } from '#bench/store/server.ts'
import { changeTree } from '#bench/trees/change.ts'
import { LARGE_FILE, planTree, SIZES, writeTree } from '#bench/trees/make.ts'
import { treeLines } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'

const SIZE = { ...SIZES.tiny, files: 1_200, bytes: 6e6 }

async function tree(t: TestContext) {
  const dir = await tmp(t, 'bench')
  const first = { dir: join(dir, 'b0'), tree: planTree(SIZE, 1) }
  mkdirSync(first.dir)
  writeTree(first.dir, first.tree, 1)
  return { dir, first }
}

/** Lines by path. */
function byPath(dir: string): ReadonlyMap<string, string> {
  return new Map(treeLines(dir).map((line) => [line.split(' ').at(-1) ?? '', line]))
}

test('a tree has as many files and bytes as its size says, and the same seed gives the same', async (t) => {
  const { dir, first } = await tree(t)
  const files = [...first.tree.values()].flatMap((node) => (node.type === 'file' ? [node.bytes] : []))
  assert.equal(files.length, SIZE.files)
  const bytes = files.reduce((sum, size) => sum + size, 0)
  assert.ok(Math.abs(bytes - SIZE.bytes) < 2 * SIZE.files, `${bytes} bytes`)
  mkdirSync(join(dir, 'again'))
  writeTree(join(dir, 'again'), planTree(SIZE, 1), 1)
  assert.deepEqual(treeLines(join(dir, 'again')), treeLines(first.dir))
})

test('a change makes what it counts, and leaves the build that it was made from alone', async (t) => {
  const { dir, first } = await tree(t)
  const before = treeLines(first.dir, { mtimes: true })
  const { counts, changedBytes, compressedBytes } = await changeTree(first, join(dir, 'b1'), 7, 1, { retyped: 5 })
  assert.deepEqual(treeLines(first.dir, { mtimes: true }), before)
  const [old, now] = [byPath(first.dir), byPath(join(dir, 'b1'))]
  const differing = [...now].filter(([path, line]) => line.startsWith('f') && old.get(path) !== line)
  // Rewritten, appended, added, one patched, and at most one new file for each change of type.
  const { rewritten, appended, added, removed, retyped } = counts
  const least = rewritten + appended + added + 1
  assert.ok(differing.length >= least && differing.length <= least + retyped, `${differing.length} files differ`)
  assert.ok(differing.some(([path]) => path === LARGE_FILE))
  const gone = [...old.keys()].filter((path) => !now.has(path))
  assert.ok(gone.length >= removed)
  const typeOf = (line = '-') => line.split(' ')[0]
  const turns = [...now].map(([path, line]) => `${typeOf(old.get(path))}${typeOf(line)}`)
  for (const turn of ['fl', 'fd', 'lf', 'df', 'ld']) assert.ok(turns.includes(turn), `a change of type ${turn}`)
  assert.ok(changedBytes > compressedBytes && compressedBytes > 0)
})

test('another seed changes other files', async (t) => {
  const { dir, first } = await tree(t)
  const changed = async (name: string, seed: number) => {
    await changeTree(first, join(dir, name), seed, 1)
    const now = byPath(join(dir, name))
    return [...byPath(first.dir)].filter(([path, line]) => now.get(path) !== line).map(([path]) => path)
  }
  assert.notDeepEqual(await changed('b1', 7), await changed('b2', 8))
})

test('the web server counts what each client was sent: whole files, ranges, and answers without a body', async (t) => {
  const dir = await tmp(t, 'served')
  writeFileSync(join(dir, 'file'), Buffer.alloc(3_000_000, 'x'))
  await using scope = openScope(dir)
  const server = await startServer(scope, dir)
  const whole = await (await fetch(server.url('a', 'file'))).arrayBuffer()
  const part = await fetch(server.url('b', 'file'), { headers: { range: 'bytes=10-109' } })
  assert.deepEqual([whole.byteLength, part.status, (await part.arrayBuffer()).byteLength], [3_000_000, 206, 100])
  assert.equal(part.headers.get('content-range'), 'bytes 10-109/3000000')
  assert.equal((await fetch(server.url('b', 'none'))).status, 404)
  assert.equal((await fetch(server.url('b', 'file'), { headers: { 'if-match': '"other"' } })).status, 412)
  const [a, b] = [await server.counts('a'), await server.counts('b')]
  assert.equal(a.requests, 1)
  assert.ok(a.bytes > 3_000_000 && a.bytes < 3_001_000, `${a.bytes}`)
  assert.equal(b.requests, 3)
  assert.ok(b.bytes > 100 && b.bytes < 2_000, `${b.bytes}`)
  assert.deepEqual(await server.counts('nobody'), { requests: 0, bytes: 0, sentBytes: 0 })
})
