// Owns the proof that a manifest read in one pass is read as JSON reads it: whatever the quick way accepts, the slow one accepts, with the same values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Entry, encodeManifest, type Manifest } from '#fleet/manifest.ts'
import { Rows } from '#fleet/manifest-columns.ts'
import { checkManifest } from '#fleet/manifest-rules.ts'
import { type ReadManifest, readManifest, readOutline } from '#fleet/manifest-table.ts'
import { pathFault } from '#fleet/paths.ts'
import { change } from '#test/support/manifest-changes.ts'
import { type Made, manifestOf, TREE } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

const NAMES = ['a', 'B', 'c.js', '..x', '...', 'ünï', 'e\u0301', '\ue000', '😀', '\ufeff', 'k', 'a b', '~', '-', 'x:y']
const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }) },
)
const made: fc.Arbitrary<Made> = fc.oneof(
  fc.record({
    text: fc.string({ maxLength: 9 }),
    mode: fc.constantFrom(0, 0o400, 0o644, 0o755),
    mtime: fc.constantFrom(0, 1, 1_700_000_000, 8 ** 11 - 1),
  }),
  fc.record({ link: fc.constantFrom('a', './B', 'a/../B', 'ünï', '\ufeff', '😀/x') }),
  fc.record({ directory: fc.constant(true as const), mode: fc.constantFrom(0, 0o500, 0o755) }),
  fc.record({ chunks: fc.constantFrom(['x'], ['x', 'y'], ['x', 'y', 'z']), lastBytes: fc.constantFrom(1, 700) }),
)

/** Trees that break no rule but, perhaps, the one about names that clash. */
const tree = fc
  .array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 4 }), made), { minLength: 1, maxLength: 14 })
  .map((list) => {
    const paths: Record<string, Made> = Object.create(null)
    const isInTheWay = (path: string) =>
      Object.keys(paths).some((other) => {
        const above = path.startsWith(`${other}/`) && !('directory' in (paths[other] ?? {}))
        return above || other.startsWith(`${path}/`)
      })
    for (const [names, one] of list) {
      const path = names.join('/')
      if (pathFault(path, { depth: 128, nameBytes: 255 }) === null && !isInTheWay(path)) paths[path] = one
    }
    return Object.keys(paths).length === 0 ? TREE : paths
  })

function quickly(bytes: Uint8Array): Manifest | null {
  const read = readManifest(bytes)
  return read && listed(read)
}

function listed({ head, frames, columns }: ReadManifest): Manifest {
  const rows = new Rows(columns)
  return { ...head, frames, entries: Array.from({ length: columns.count }, (_, row): Entry => rows.entry(row)) }
}

/** The slow way, without any help of the quick one; the error's text for what it refuses. */
function slowly(bytes: Uint8Array): Manifest | string {
  try {
    return checkManifest(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)))
  } catch (error) {
    return String(error)
  }
}

function holds(bytes: Uint8Array): boolean {
  const quick = quickly(bytes)
  if (quick !== null) assert.deepEqual(slowly(bytes), quick, Buffer.from(bytes).toString())
  return quick !== null
}

const FOLDS = /case or composition/

test('every valid manifest of a publisher is read in one pass, whatever its names are', () => {
  let clashes = 0
  let read = 0
  fc.assert(
    fc.property(tree, fc.constantFrom(600, 4_096), fc.boolean(), (paths, frameBytes, foldAllowed) => {
      const manifest = { ...manifestOf(paths, { frameBytes }), ...(foldAllowed && { foldAllowed }) }
      const bytes = encodeManifest(manifest)
      const slow = slowly(bytes)
      if (typeof slow === 'string') {
        assert.match(slow, FOLDS)
        assert.equal(quickly(bytes), null)
        clashes += 1
        return
      }
      assert.deepEqual(slow, manifest)
      // The one character of a name that JSON escapes: left to JSON.
      const isEscaped = Object.keys(paths).some((path) => path.includes('"'))
      assert.deepEqual(quickly(bytes), isEscaped ? null : slow)
      if (!isEscaped) read += 1
    }),
    { numRuns: 500 },
  )
  assert.ok(read > 300, `${read} were read, ${clashes} had names that clash`)
})

test('whatever is changed in the text of a manifest, what is still read in one pass JSON reads too, with the same values', () => {
  let read = 0
  const changes = fc.array(fc.tuple(change, fc.nat(), fc.nat()), { minLength: 1, maxLength: 2 })
  const base = fc.oneof(fc.constant(TREE), tree)
  fc.assert(
    fc.property(base, changes, (paths, list) => {
      const lines = Buffer.from(encodeManifest(manifestOf(paths, { frameBytes: 600 })))
        .toString('latin1')
        .split('\n')
      const parts = lines.map((line) => Buffer.from(line, 'latin1'))
      for (const [one, at, other] of list) one(parts, at % Math.max(1, parts.length), other % Math.max(1, parts.length))
      const bytes = Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('\n'), part])))
      if (holds(bytes)) read += 1
    }),
    { numRuns: 6_000 },
  )
  // A reader that refused all would be right, and of no use.
  assert.ok(read > 200, `${read} of the changed ones were read in one pass`)
})

test('E12: a comma behind the last entry is no JSON, and is not read in one pass either', () => {
  const text = Buffer.from(encodeManifest(manifestOf(TREE))).toString()
  for (const end of ['],\n]}\n', '],\n\n]}\n']) {
    const bytes = Buffer.from(text.replace(/\]\n\]\}\n$/, end))
    assert.match(String(slowly(bytes)), /SyntaxError/)
    assert.equal(readManifest(bytes), null, JSON.stringify(end))
  }
})

test('a manifest that is cut off anywhere is not read in one pass, nor one with a byte order mark', () => {
  const bytes = encodeManifest(manifestOf(TREE))
  for (let end = 0; end < bytes.byteLength; end += 1) assert.equal(readManifest(bytes.subarray(0, end)), null)
  assert.equal(readManifest(Buffer.concat([Buffer.from('\ufeff'), bytes])), null)
  assert.ok(
    readManifest(Buffer.concat([Buffer.from('\n'), bytes]).subarray(1)),
    'bytes that begin inside of others are read',
  )
})

test('the outline of a manifest says what the whole of it says', () => {
  fc.assert(
    fc.property(tree, (paths) => {
      const manifest = { ...manifestOf(paths, { frameBytes: 600 }), foldAllowed: true as const }
      const { frames, entries, ...head } = manifest
      const outline = readOutline(encodeManifest(manifest))
      assert.deepEqual([outline?.frames, outline?.head], [frames, head])
      assert.ok(entries.length > 0)
    }),
    { numRuns: 100 },
  )
})
