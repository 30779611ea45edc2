// Owns the proof that a manifest read in one pass is read as JSON reads it: whatever the quick way accepts, the slow one accepts, with the same values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Entry, encodeManifest, type Manifest } from '#fleet/manifest.ts'
import { Rows } from '#fleet/manifest-columns.ts'
import { checkManifest } from '#fleet/manifest-rules.ts'
import { type ReadManifest, readManifest, readOutline } from '#fleet/manifest-table.ts'
import { pathFault } from '#fleet/paths.ts'
import { type Made, manifestOf, sha256, TREE } from '#test/support/manifests.ts'

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

/** A change of the text of one line, or of which lines there are. */
type Change = (lines: Buffer[], at: number, other: number) => void

const onLine =
  (change: (line: string) => string): Change =>
  (lines, at) => {
    lines[at] = Buffer.from(change((lines[at] ?? Buffer.alloc(0)).toString()))
  }

const NUMBERS = ['01', '1e3', '1E0', '-0', '-1', '0.0', '00', '1.5', '+1', '', ' 1', '1 ', 'null', 'true', '"1"', '[1]']
const HUGE = [
  '999999999999999',
  '9999999999999999',
  '9007199254740993',
  '99999999999999999999',
  '4294967296',
  '8589934592',
]
const ORDINARY = ['0', '1', '7', '420', '493', '511', '512', '1023', '2048', '65535', '65536', '131072', '1700000000']
const PATHS = [
  '',
  '/',
  'a/',
  '/a',
  'a//b',
  '.',
  '..',
  'a/..',
  './a',
  'C:',
  'c:x',
  'none/x',
  'A',
  'E\u0301',
  '\u00e9',
  '\u212a',
]
const ODD = [
  'K',
  '\\u0061',
  '\\n',
  '\\/',
  '\\"',
  '\u007f',
  '\u0085',
  '\u202e',
  '\ufffd',
  'x'.repeat(256),
  'a/'.repeat(130),
  'ı',
  'ſ',
]
const TARGETS = [
  '',
  '/etc',
  '..',
  '../x',
  'a/../..',
  '\\u002e.',
  '\u2028',
  'x\ty',
  'a',
  'ünï',
  '\ufeff',
  'bin',
  'lib/..',
]

/** Replaces one field of an entry's or a frame's tuple by its text. */
const field = (at: number, text: string): Change =>
  onLine((line) => {
    let field = -1
    return line.replace(/"(?:[^"\\]|\\.)*"|[^[\],]+/g, (old) => {
      field += 1
      return field === at ? text : old
    })
  })

const swapLines: Change = (lines, at, other) => {
  const [a, b] = [lines[at], lines[other]]
  if (a === undefined || b === undefined) return
  lines[at] = b
  lines[other] = a
}

const inserted = fc.constantFrom(
  '',
  ' ',
  ',',
  '\n',
  '\r',
  '\t',
  '[',
  ']',
  '}',
  '{',
  '"',
  '\\',
  '\0',
  '],"entries":[',
  ']}',
  ',null',
)
const anyByte = fc.oneof(
  fc.integer({ min: 0, max: 255 }),
  fc.constantFrom(0x22, 0x2c, 0x5b, 0x5d, 0x0a, 0x2e, 0x2f, 0xc3, 0xed),
)
const PREAMBLES = [
  (line: string) => line.replace('{"v":1', '{"frames":[],"v":1'),
  (line: string) => line.replace('{"v":1', '{"entries":[],"v":1'),
  (line: string) => line.replace('{"v":1', '{"v":2,"v":1'),
  (line: string) => line.replace('{"v":1', '{"v":1,"v":2'),
  (line: string) => line.replace('{"v":1', '{"v":1.0'),
  (line: string) => line.replace('{"v":1', ' { "v" : 1'),
  (line: string) => line.replace('{"v":1', '{"__proto__":{"foldAllowed":true},"v":1'),
  (line: string) => line.replace('{"v":1', '{"foldAllowed":true,"v":1'),
  (line: string) => line.replace('{"v":1', '{"foldAllowed":"true","v":1'),
  (line: string) => line.replace('{"v":1', '\ufeff{"v":1'),
  (line: string) => line.replace('{"v":1', '{"x":{"v":1'),
  (line: string) => line.replace('{"v":1', '[{"v":1'),
  (line: string) => line.replace('"frames":[', '"x":{"frames":['),
  (line: string) => line.replace('"frames":[', '"frames":[[0,1,1]],"other":['),
  (line: string) => line.replace('"frames":[', '"frames" :['),
  (line: string) => line.replace('"frames":[', '"fr\\u0061mes":['),
  (line: string) => line.replace('"frames":[', '"x":"\\",\\"frames\\":["'),
  (line: string) => line.replace('"frames":[', '"x":[{}],"frames":['),
  (line: string) => line.replace('"frames":[', '"frames":[],"frames":['),
  (line: string) => line.replace('"frames":[', '"entries":[\n'),
  (line: string) => line.replace('"frames":[', '"entries":[],"frames":['),
  (line: string) => line.replace(/"entries":\d+/, '"entries":3'),
  (line: string) => line.replace(/"entries":\d+/, '"entries":1e9'),
  (line: string) => line.replace(/"bytes":\d+,"depth"/, '"bytes":10,"depth"'),
  (line: string) => line.replace(/"depth":\d+/, '"depth":1'),
  (line: string) => line.replace(/"nameBytes":\d+/, '"nameBytes":2'),
  (line: string) => line.replace(/"nameBytes":\d+/, '"nameBytes":2e9'),
  (line: string) => line.replace('"commit":null', '"commit":"\\ud800"'),
  (line: string) => line.replace('"createdAt"', '"createdat"'),
].map(onLine)

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(8), fc.constantFrom(...NUMBERS, ...HUGE, ...ORDINARY)).map(([at, text]) => field(at, text)),
  fc.constantFrom(...PATHS, ...ODD).map((path) => field(7, `"${path}"`)),
  fc.constantFrom(...TARGETS, ...ODD).map((target) => field(4, `"${target}"`)),
  fc.constantFrom('d', 'f', 'l', 'h', '', '\\u0066', 'ff').map((type) => field(0, `"${type}"`)),
  fc.constantFrom(sha256('x'), sha256('x').toUpperCase(), `sha256:${sha256('x')}`, sha256('x').slice(1)).map((sum) => {
    return field(4, `"${sum}"`)
  }),
  fc.constant(swapLines),
  fc.constant<Change>((lines, at) => void lines.splice(at, 1)),
  fc.constant<Change>((lines, at, other) => void lines.splice(other, 0, lines[at] ?? Buffer.alloc(0))),
  inserted.map(
    (text): Change =>
      (lines, at) =>
        void lines.splice(at, 0, Buffer.from(text)),
  ),
  fc
    .tuple(inserted, fc.nat(400))
    .map(([text, place]) => onLine((line) => line.slice(0, place) + text + line.slice(place))),
  inserted.map((text) => onLine((line) => line + text)),
  fc.constant(onLine((line) => line.replace(/,$/, ''))),
  fc.constant(onLine((line) => line.replace(/\],?$/, ',1$&'))),
  fc.constant(onLine((line) => line.replace(/,/, ', '))),
  fc.tuple(fc.nat(400), anyByte).map(
    ([place, byte]): Change =>
      (lines, at) => {
        const line = lines[at]
        if (line !== undefined && line.byteLength > 0) line[place % line.byteLength] = byte
      },
  ),
  fc.constantFrom(...PREAMBLES).map(
    (one): Change =>
      (lines, _, other) =>
        one(lines, 0, other),
  ),
  // The last lines, which a change at random would seldom meet.
  fc
    .constantFrom(
      '],\n]}\n',
      '],\n\n]}\n',
      ']\n\n]}\n',
      ']\n]}',
      ']\n]}\n\n',
      ']\n],"v":2}\n',
      ']\n]}\n]}\n',
      ']\r\n]}\n',
    )
    .map(
      (end): Change =>
        (lines) => {
          const text = Buffer.from(
            `${lines
              .splice(0)
              .join('\n')
              .replace(/\]\n\]\}\n$/, '')}${end}`,
          )
          lines.push(text)
        },
    ),
)

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
