// Owns the proof that the difference of two builds is one: it leads from one to the other, back, and on to a third.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diffOfColumns, findContents } from '#fleet/column-diff.ts'
import { digestOf, type Entry, encodeManifest, type Manifest } from '#fleet/manifest.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import { readManifest } from '#fleet/manifest-table.ts'
import { comparePaths } from '#fleet/paths.ts'
import { composed, decodeDiff, diffOf, encodeDiff, inverse, rowsOf, type TreeDiff } from '#fleet/tree-diff.ts'
import { type Made, manifestOf } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

interface Side {
  readonly digest: ReturnType<typeof digestOf>
  readonly entries: readonly Entry[]
  readonly columns: Columns
  readonly manifest: Manifest
}

const PATHS = ['a', 'a-b', 'a/b', 'a/c', 'b', 'b/😀', 'b/\ue000', 'b/x/y', 'c', 'c/a', 'c.d', 'ü', 'z/1', 'z/2', 'z/3']
const made: fc.Arbitrary<Made> = fc.oneof(
  fc.record({
    text: fc.constantFrom('', 'x', 'yy', 'long enough'),
    mode: fc.constantFrom(0o644, 0o755),
    mtime: fc.constantFrom(5, 6),
  }),
  fc.record({ link: fc.constantFrom('a', 'b') }),
  fc.record({ directory: fc.constant(true as const), mode: fc.constantFrom(0o755, 0o700) }),
  fc.constant<Made>({ chunks: ['x', 'y'], lastBytes: 9 }),
)

/** Builds over the same few paths: most of any two are alike. */
const side: fc.Arbitrary<Side> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...PATHS), made), { minLength: 1, maxLength: 12, selector: ([path]) => path })
  .map((list) => {
    const all = new Map(list)
    // What has something below it is a directory.
    for (const [path] of list) for (const other of PATHS) if (path.startsWith(`${other}/`)) all.delete(other)
    const manifest = manifestOf(Object.fromEntries(all))
    const bytes = encodeManifest(manifest)
    const columns = readManifest(bytes)?.columns
    assert.ok(columns !== undefined)
    return { digest: digestOf(bytes), entries: manifest.entries, columns, manifest }
  })

const facts = ({ frame: _frame, offset: _offset, ...rest }: Entry) => rest

/** What a node makes of it: the kept rows of one, and what came. */
function applied(diff: TreeDiff, from: Side): ReturnType<typeof facts>[] {
  const gone = new Set(diff.gone.map(({ row }) => row))
  const kept = from.entries.filter((_, row) => !gone.has(row))
  return [...kept, ...diff.came.map(({ entry }) => entry)].sort((a, b) => comparePaths(a.path, b.path)).map(facts)
}

/** Whether it describes the way between the two in full: rows, entries, order. */
function describes(diff: TreeDiff, from: Side, to: Side): void {
  assert.deepEqual([diff.from, diff.to], [from.digest, to.digest])
  const left = new Set(from.entries.keys())
  const right = new Set(to.entries.keys())
  let [lastFrom, lastTo] = [0, 0]
  for (const [a, b, count] of diff.kept) {
    assert.ok(count > 0 && a >= lastFrom && b >= lastTo, 'runs stand in order')
    for (let at = 0; at < count; at += 1) {
      const [old, now] = [from.entries[a + at], to.entries[b + at]]
      assert.ok(old !== undefined && now !== undefined)
      assert.deepEqual(facts(now), facts(old))
      assert.ok(left.delete(a + at) && right.delete(b + at))
    }
    lastFrom = a + count
    lastTo = b + count
  }
  for (const [rows, whole, rest] of [[diff.gone, from, left] as const, [diff.came, to, right] as const]) {
    assert.deepEqual(
      rows.map(({ row }) => row),
      [...rest],
      'all rows that are not kept, in order',
    )
    for (const { row, entry } of rows) assert.deepEqual(facts(entry), facts(whole.entries[row] ?? assert.fail()))
  }
  assert.equal(rowsOf(diff), to.entries.length)
  assert.deepEqual(applied(diff, from), to.entries.map(facts))
}

test('the difference of two builds, applied to the one, gives the other, and its inverse leads back', () => {
  fc.assert(
    fc.property(side, side, (a, b) => {
      const diff = diffOf(a, b)
      describes(diff, a, b)
      describes(inverse(diff), b, a)
      assert.deepEqual(inverse(diff), diffOf(b, a))
      assert.deepEqual(inverse(inverse(diff)), diff)
    }),
    { numRuns: 300 },
  )
})

test('columns give the same difference as entries do', () => {
  fc.assert(
    fc.property(side, side, (a, b) => assert.deepEqual(diffOfColumns(a, b), diffOf(a, b))),
    { numRuns: 300 },
  )
})

test('differences put together lead from the first build to the last, also when a path changed there and back', () => {
  fc.assert(
    fc.property(side, side, side, (a, b, c) => {
      describes(composed(diffOf(a, b), diffOf(b, c)), a, c)
      describes(composed(diffOf(a, b), inverse(diffOf(a, b))), a, a)
      describes(composed(inverse(diffOf(b, a)), composed(diffOf(b, c), diffOf(c, a))), a, a)
    }),
    { numRuns: 300 },
  )
})

test('a difference comes back from its bytes as it was; cut off or of another version it is none', () => {
  fc.assert(
    fc.property(side, side, fc.nat(), (a, b, cut) => {
      const diff = diffOf(a, b)
      const text = encodeDiff(diff)
      assert.deepEqual(decodeDiff(text), diff)
      assert.equal(decodeDiff(text.slice(0, cut % text.length)), null)
      assert.equal(decodeDiff(text.replace('"v":1', '"v":2')), null)
    }),
    { numRuns: 100 },
  )
})

test('a difference with rows, runs or entries that are none is none', () => {
  const some = encodeDiff({
    ...{ from: digestOf(Buffer.from('a')), to: digestOf(Buffer.from('b')), kept: [[0, 0, 1]], came: [] },
    gone: [{ row: 1, entry: manifestOf({ x: { text: 'x' } }).entries[0] ?? assert.fail() }],
  })
  assert.ok(decodeDiff(some) !== null)
  for (const [what, by] of [
    ['[[0,0,1]]', '[[0,0]]'],
    ['[[0,0,1]]', '[[0,0,0.5]]'],
    ['[[0,0,1]]', '{"0":1}'],
    ['[[0,0,1]]', 'null'],
    ['"gone":[[1,', '"gone":[[-1,'],
    ['"gone":[[1,', '"gone":[["1",'],
    ['"gone":[[1,', '"gone":[[1],['],
    ['"x"]', '"../x"]'],
    ['"f"', '"h"'],
    ['sha256:', 'sha255:'],
  ] as const) {
    assert.ok(some.includes(what))
    assert.equal(decodeDiff(some.replace(what, by)), null, `${what} → ${by}`)
  }
})

test('contents are found at a path that has them, and no others', () => {
  fc.assert(
    fc.property(side, side, ({ columns, entries }, other) => {
      const files = (list: readonly Entry[]) => list.flatMap(({ type, content }) => (type === 'f' ? [content] : []))
      const asked = [...files(entries), ...files(other.entries)]
      const found = findContents(columns, asked)
      for (const [content, path] of found) {
        assert.equal(entries.find((entry) => entry.path === path && entry.type === 'f')?.content, content)
      }
      assert.deepEqual(found.map(([content]) => content).sort(), [...new Set(files(entries))].sort())
    }),
    { numRuns: 100 },
  )
})
