// Owns the proof that columns that were kept are those of that very manifest, or none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '#fleet/build.ts'
import { digestOf, encodeManifest } from '#fleet/manifest.ts'
import { type Columns, Rows } from '#fleet/manifest-columns.ts'
import { readManifest } from '#fleet/manifest-table.ts'
import { packColumns, unpackColumns } from '#fleet/packed-columns.ts'
import { manifestOf } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

function readOf(texts: Readonly<Record<string, string>>) {
  const files = Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, { text }]))
  const bytes = encodeManifest(manifestOf({ ...files, 'a/link': { link: 'one' }, 'ü/empty': { text: '' } }))
  const columns = readManifest(bytes)?.columns
  assert.ok(columns !== undefined)
  return { bytes, digest: digestOf(bytes), columns }
}

const entries = (columns: Columns | null) => {
  assert.ok(columns !== null)
  const rows = new Rows(columns)
  return Array.from({ length: columns.count }, (_, row) => rows.entry(row))
}

test('kept columns give the same entries as those that were read', () => {
  const texts = fc.dictionary(fc.constantFrom('a/one', 'a/two', 'b/three', 'b/c/four', 'five'), fc.string())
  fc.assert(
    fc.property(texts, (made) => {
      const { bytes, digest, columns } = readOf(made)
      const packed = packColumns(columns, digest)
      assert.deepEqual(entries(unpackColumns(packed, { digest, bytes })), entries(columns))
      // As they come out of a pool of small buffers, on no boundary.
      const shifted = new Uint8Array(packed.byteLength + 3).subarray(3)
      shifted.set(packed)
      assert.deepEqual(entries(unpackColumns(shifted, { digest, bytes })), entries(columns))
    }),
  )
})

test('nothing is made of bytes that changed, that are fewer or more, or that are of another manifest', () => {
  const { bytes, digest, columns } = readOf({ 'a/one': 'one' })
  const packed = packColumns(columns, digest)
  for (let at = 0; at < packed.byteLength; at += 1) {
    const rotten = packed.slice()
    rotten[at] = (rotten[at] ?? 0) ^ 1
    assert.equal(unpackColumns(rotten, { digest, bytes }), null, `byte ${at}`)
  }
  for (const length of [0, 63, 64, 143, 144, packed.byteLength - 1]) {
    assert.equal(unpackColumns(packed.subarray(0, length), { digest, bytes }), null, `${length} bytes`)
  }
  assert.equal(unpackColumns(Buffer.concat([packed, Buffer.of(0)]), { digest, bytes }), null)
  const other = `sha256:${'0'.repeat(64)}` as Digest
  assert.equal(unpackColumns(packed, { digest: other, bytes }), null)
})
