// Owns the proof that a delta's splices give exactly the newer manifest, from any older one, and say exactly what changed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type DeltaHead,
  decodeHead,
  decodeMarker,
  encodeHead,
  encodeMarker,
  MARKER_BYTES,
  type Piece,
  rawBytesOf,
} from '#fleet/delta.ts'
import { type Applied, applyHead } from '#fleet/delta-apply.ts'
import { differenceOf } from '#fleet/delta-diff.ts'
import { isFleetError } from '#fleet/errors.ts'
import { CHUNK_BYTES, digestOf, encodeManifest, type Manifest } from '#fleet/manifest.ts'
import { rowsOf } from '#fleet/tree-diff.ts'
import { type Made, manifestOf } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

function headOf(older: Manifest, newer: Manifest): DeltaHead {
  const { pieces, ...splices } = differenceOf(older, newer)
  const bytes = encodeManifest(newer)
  return {
    from: older.build,
    fromManifest: digestOf(encodeManifest(older)),
    build: newer.build,
    manifest: digestOf(bytes),
    manifestBytes: bytes.byteLength,
    preamble: Buffer.from(bytes).toString().split('\n', 1)[0] ?? '',
    ...splices,
    frames: pieces.map((piece) => [piece]),
  }
}

/** Through its bytes, as a node does it. */
function travel(older: Manifest, newer: Manifest): { head: DeltaHead; applied: Applied } {
  const sent = headOf(older, newer)
  const head = decodeHead(encodeHead(sent), sent)
  assert.deepEqual(head, sent)
  return { head, applied: applyHead(head, encodeManifest(older)) }
}

/** The content that comes for the added entry of this place. */
function piecesOf({ frames }: DeltaHead, added: number): readonly Piece[] {
  return frames.flat().filter(({ entry }) => entry === added)
}

const made: fc.Arbitrary<Made> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ text: fc.string({ maxLength: 3_000 }), mode: fc.constantFrom(0o644, 0o755, 0o600) }),
  },
  { weight: 1, arbitrary: fc.record({ directory: fc.constant(true as const) }) },
  { weight: 1, arbitrary: fc.record({ link: fc.constantFrom('elsewhere', 'a,["f",1,2', 'ü,"]') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      chunks: fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 2, maxLength: 5 }),
      lastBytes: fc.integer({ min: 1, max: CHUNK_BYTES }),
    }),
  },
)
const name = fc.constantFrom('a', 'b', 'c-d', 'é', 'z,"', 'm', 'n', 'o', 'p', 'q1', 'q10', 'q2')
const path = fc.array(name, { minLength: 1, maxLength: 2 }).map((parts) => parts.join('/'))
const paths = fc.dictionary(path, made, { minKeys: 1, maxKeys: 25 }).map((all) => {
  // A path below a file is not a tree: the file gives way.
  const kept = Object.entries(all).filter(([at]) => !Object.keys(all).some((other) => other.startsWith(`${at}/`)))
  return Object.fromEntries(kept)
})
/** Two trees with much in common. */
const pair = fc
  .tuple(paths, paths, fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }))
  .map(([old, other, keep]) => {
    const kept = Object.entries(old).filter((_, index) => keep[index])
    const added = Object.entries(other).filter(
      ([at]) => !kept.some(([k]) => k === at || k.startsWith(`${at}/`) || at.startsWith(`${k}/`)),
    )
    return [old, Object.fromEntries([...kept, ...added])] as const
  })

test('splicing the older manifest gives the newer one to the byte, whatever changed', () => {
  fc.assert(
    fc.property(pair, fc.integer({ min: 0, max: 8_000 }), ([old, now], frameBytes) => {
      fc.pre(Object.keys(now).length > 0)
      const older = manifestOf(old, { build: 'b1' })
      const newer = manifestOf(now, { build: 'b2', frameBytes })
      const { applied } = travel(older, newer)
      assert.equal(Buffer.from(applied.manifest).toString(), Buffer.from(encodeManifest(newer)).toString())
    }),
    { numRuns: 400 },
  )
})

test('what a delta lists as added and removed is all that differs between the two trees', () => {
  fc.assert(
    fc.property(pair, ([old, now]) => {
      fc.pre(Object.keys(now).length > 0)
      const older = manifestOf(old, { build: 'b1' })
      const newer = manifestOf(now, { build: 'b2' })
      const { applied } = travel(older, newer)
      const tree = new Map(older.entries.map((entry) => [entry.path, entry]))
      const { kept, gone, came } = applied.diff
      for (const { row, entry } of gone) {
        assert.deepEqual(older.entries[row], entry)
        assert.ok(tree.delete(entry.path))
      }
      for (const { row, entry } of came) {
        assert.deepEqual(newer.entries[row], entry)
        tree.set(entry.path, entry)
      }
      const rows = kept.flatMap(([from, to, count]) => Array.from({ length: count }, (_, at) => [from + at, to + at]))
      for (const [from = -1, to = -1] of rows) assert.equal(older.entries[from]?.path, newer.entries[to]?.path)
      assert.deepEqual([rows.length + gone.length, rowsOf(applied.diff)], [older.entries.length, newer.entries.length])
      const onDisk = (entry: { path: string; type: string; mode: number; mtime: number; content: string }) =>
        [entry.path, entry.type, entry.mode, entry.mtime, entry.content].join()
      assert.deepEqual([...tree.values()].map(onDisk).sort(), newer.entries.map(onDisk).sort())
    }),
    { numRuns: 200 },
  )
})

test('every byte of a changed file is either in the delta or unchanged at its place in the older file', () => {
  const older = manifestOf({ big: { chunks: ['x', 'y', 'z'], lastBytes: 10 }, small: { text: 'one' } }, { build: 'b1' })
  const newer = manifestOf(
    {
      big: { chunks: ['x', 'CHANGED', 'z'], lastBytes: 10 },
      small: { text: 'two' },
      new: { chunks: ['p', 'q'], lastBytes: 7 },
    },
    { build: 'b2' },
  )
  const { head, applied } = travel(older, newer)
  const pieces = Object.fromEntries(
    applied.diff.came.map(({ entry }, at) => [
      entry.path,
      piecesOf(head, at).map(({ start, bytes }) => [start, bytes]),
    ]),
  )
  assert.deepEqual(pieces, {
    big: [[CHUNK_BYTES, CHUNK_BYTES]],
    new: [
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, 7],
    ],
    small: [[0, 3]],
  })
  assert.equal(
    head.frames.reduce((sum, frame) => sum + rawBytesOf(frame), 0),
    2 * CHUNK_BYTES + 7 + 3,
  )
})

test('a large file cut off where one of its chunks ends still has a piece: its content changed', () => {
  const older = manifestOf({ big: { chunks: ['x', 'y', 'z'], lastBytes: CHUNK_BYTES } }, { build: 'b1' })
  const newer = manifestOf({ big: { chunks: ['x', 'y'], lastBytes: CHUNK_BYTES } }, { build: 'b2' })
  const { head } = travel(older, newer)
  assert.equal(piecesOf(head, 0).length, 1)
})

test('a file whose mode or time alone changed travels without content', () => {
  const older = manifestOf({ a: { text: 'same' }, b: { text: 'same too' } }, { build: 'b1' })
  const newer = manifestOf({ a: { text: 'same', mode: 0o755 }, b: { text: 'same too', mtime: 5 } }, { build: 'b2' })
  const { head, applied } = travel(older, newer)
  assert.deepEqual(
    applied.diff.came.map(({ entry }, at) => [entry.path, piecesOf(head, at).length]),
    [
      ['a', 0],
      ['b', 0],
    ],
  )
  assert.equal(head.frames.length, 0)
})

test('a delta of another build, or applied to another manifest, is refused with its code', () => {
  const a = manifestOf({ x: { text: '1' }, y: { text: '2' } }, { build: 'a' })
  const b = manifestOf({ x: { text: '1' }, y: { text: '3' } }, { build: 'b' })
  const c = manifestOf({ x: { text: '9' }, y: { text: '2' } }, { build: 'c' })
  const head = headOf(a, b)
  const other = digestOf(encodeManifest(c))
  assert.throws(() => decodeHead(encodeHead(head), { ...head, fromManifest: other }), refusedAs('DELTA_INVALID'))
  assert.throws(() => decodeHead(encodeHead(head), { ...head, manifest: other }), refusedAs('DELTA_INVALID'))
  assert.throws(() => applyHead(head, encodeManifest(c)), refusedAs('DIGEST_MISMATCH'))
})

test('a head that claims a manifest longer than any is refused before room is made for it', () => {
  const head = headOf(
    manifestOf({ x: { text: '1' } }, { build: 'a' }),
    manifestOf({ x: { text: '2' } }, { build: 'b' }),
  )
  for (const manifestBytes of [2 ** 29 + 1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    assert.throws(() => decodeHead(encodeHead({ ...head, manifestBytes }), head), refusedAs('DELTA_INVALID'))
  }
})

test('bytes flipped anywhere in a head or in the older manifest never give another manifest', (t: TestContext) => {
  const older = manifestOf(
    { 'a/b': { text: '1' }, c: { text: '22' }, d: { link: 'c' }, e: { text: '' } },
    { build: 'a' },
  )
  const newer = manifestOf(
    { 'a/b': { text: '1' }, c: { text: '333' }, f: { text: '4' }, e: { text: '' } },
    { build: 'b' },
  )
  const head = headOf(older, newer)
  const wanted = Buffer.from(encodeManifest(newer)).toString()
  const bytes = { head: encodeHead(head), older: encodeManifest(older) }
  let refused = 0
  for (const which of ['head', 'older'] as const) {
    for (let at = 0; at < bytes[which].byteLength; at += 1) {
      const flipped = { ...bytes, [which]: Uint8Array.from(bytes[which]) }
      flipped[which][at] = (flipped[which][at] ?? 0) ^ (1 << (at % 7))
      try {
        const { manifest } = applyHead(decodeHead(flipped.head, head), flipped.older)
        assert.equal(Buffer.from(manifest).toString(), wanted)
      } catch (error) {
        if (!isFleetError(error)) throw error
        refused += 1
      }
    }
  }
  t.diagnostic(`${refused} flips refused`)
  assert.ok(refused > 500)
})

test('a marker says how long the next frame is, and a wrong one is refused', () => {
  assert.deepEqual(decodeMarker(encodeMarker(17, 400), 'content'), { bytes: 17, rawBytes: 400 })
  assert.equal(encodeMarker(1, 1).byteLength, MARKER_BYTES)
  for (const wrong of [
    encodeMarker(1, 2 ** 30),
    encodeMarker(2 ** 31, 1),
    new Uint8Array(MARKER_BYTES),
    new Uint8Array(3),
  ]) {
    assert.throws(() => decodeMarker(wrong, 'content'), refusedAs('DELTA_INVALID'))
  }
})

function refusedAs(code: 'DELTA_INVALID' | 'DIGEST_MISMATCH') {
  return (error: unknown) => isFleetError(error, code)
}
