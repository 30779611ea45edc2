// Owns the proof that a manifest is read as it was written, and that whatever breaks a rule is refused before anything is done with it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Digest } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, type Entry, encodeManifest, type Manifest, treeDigestOf } from '#fleet/manifest.ts'
import { type Made, manifestOf, sha256 } from '#test/support/manifests.ts'

const TREE: Readonly<Record<string, Made>> = {
  'bin/run': { text: '#!/bin/sh', mode: 0o755 },
  'bin/go': { link: 'run' },
  'lib/a.js': { text: 'a' },
  'lib/b': { directory: true, mode: 0o700 },
  big: { chunks: ['x', 'y'], lastBytes: 5 },
  empty: { text: '' },
  ünïcode: { text: 'ü' },
}

type Json = { entries: unknown[][]; frames: unknown[][]; limits: Record<string, unknown>; [key: string]: unknown }

/** The manifest of TREE, changed by a hostile or clumsy hand. */
function tampered(change: (manifest: Json) => void): Uint8Array {
  const value = JSON.parse(Buffer.from(encodeManifest(manifestOf(TREE))).toString()) as Json
  change(value)
  return Buffer.from(JSON.stringify(value))
}

function refused(bytes: Uint8Array, words: RegExp, code: 'MANIFEST_INVALID' | 'LIMITS_EXCEEDED' = 'MANIFEST_INVALID') {
  assert.throws(
    () => decodeManifest(bytes),
    (error) => isFleetError(error, code) && words.test(error.message),
    `must be refused: ${words}`,
  )
}

/** Puts an entry where its path sorts, so that only the rule under test is broken. */
function insert(manifest: Json, tuple: readonly unknown[]): void {
  manifest.entries.push([...tuple])
  manifest.entries.sort((a, b) => Buffer.compare(Buffer.from(String(a[7])), Buffer.from(String(b[7]))))
}
const file = (path: string): unknown[] => ['f', 0o644, 0, 0, sha256(''), 0, 0, path]
const link = (path: string, target: string): unknown[] => ['l', 0, 0, 0, target, 0, 0, path]

test('a manifest comes back as it was written, one line for each frame and each entry', () => {
  const manifest = manifestOf(TREE)
  const bytes = encodeManifest(manifest)
  assert.deepEqual(decodeManifest(bytes, { digest: digestOf(bytes), app: 'web', build: 'b1' }), manifest)
  const lines = Buffer.from(bytes).toString().split('\n')
  assert.equal(lines.length, 1 + manifest.frames.length + 1 + manifest.entries.length + 2)
})

test('a manifest in another layout of the same JSON is read just the same', () => {
  const manifest = manifestOf(TREE)
  const pretty = JSON.stringify(JSON.parse(Buffer.from(encodeManifest(manifest)).toString()), null, 2)
  assert.deepEqual(decodeManifest(Buffer.from(pretty)), manifest)
})

test('fields that this version does not know are ignored, a higher version is refused', () => {
  assert.ok(decodeManifest(tampered((manifest) => Object.assign(manifest, { signedBy: 'later' }))))
  refused(
    tampered((manifest) => Object.assign(manifest, { v: 2 })),
    /version 2/,
  )
})

test('the digest of a tree is over types, modes, contents and paths, one JSON line each, and over nothing else', () => {
  const entries = manifestOf(TREE).entries
  const lines = entries.map(({ type, mode, content, path }) => `${JSON.stringify([type, mode, content, path])}\n`)
  assert.equal(treeDigestOf(entries), `sha256:${sha256(lines.join(''))}`)
  const elsewhere = entries.map((entry): Entry => ({ ...entry, mtime: 5, frame: entry.frame + 3, offset: 1 }))
  assert.equal(treeDigestOf(elsewhere), treeDigestOf(entries))
  const executable = entries.map((entry): Entry => ({ ...entry, mode: entry.type === 'f' ? 0o755 : entry.mode }))
  assert.notEqual(treeDigestOf(executable), treeDigestOf(entries))
})

test('B6: one flipped byte is a digest mismatch', () => {
  const bytes = encodeManifest(manifestOf(TREE))
  const digest = digestOf(bytes)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  assert.throws(
    () => decodeManifest(bytes, { digest }),
    (error) => isFleetError(error, 'DIGEST_MISMATCH'),
  )
})

test('B8: the right bytes of another build or another app are refused', () => {
  const bytes = encodeManifest(manifestOf(TREE))
  for (const other of [{ build: 'b2' }, { app: 'api' }]) {
    assert.throws(
      () => decodeManifest(bytes, other),
      (error) => isFleetError(error, 'MANIFEST_INVALID'),
    )
  }
})

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'E1: a path that leaves the tree': ['..', '../x', 'lib/../../x', 'lib/..'],
  'E2: an absolute path, a drive, an empty or dot component, a backslash or NUL': [
    '/etc/passwd',
    'C:x',
    '',
    'lib//x',
    'lib/',
    './x',
    'lib/./x',
    'a\\b',
    'a\0b',
  ],
  'E10: control, bidirectional and undecodable characters in a name': [
    'a\nb',
    'a\u001bb',
    'a\u007fb',
    'a\u0085b',
    'a\u202eb',
    'a\u2066b',
    'a\u2028b',
    'a\ud800b',
    'a\ufffdb',
  ],
}
for (const [row, paths] of Object.entries(NAMES)) {
  test(`${row} is refused by name, with the name escaped`, () => {
    for (const path of paths) {
      const bytes = tampered((manifest) => insert(manifest, file(path)))
      assert.throws(
        () => decodeManifest(bytes),
        (error) => isFleetError(error, 'MANIFEST_INVALID') && /^[ -~]*$/.test(error.message),
        JSON.stringify(path),
      )
    }
  })
}

test('E3: a link that leaves the tree is refused, as text and by way of other links', () => {
  for (const [path, target] of [
    ['out', '/etc'],
    ['out', '..'],
    ['out', '../x'],
    ['lib/out', '../../x'],
    ['out', 'lib/../../x'],
    ['out', ''],
    ['out', 'a\nb'],
  ] as const) {
    refused(
      tampered((manifest) => insert(manifest, link(path, target))),
      /link/,
    )
  }
  assert.ok(decodeManifest(tampered((manifest) => insert(manifest, link('lib/up', '..')))), 'the root itself is inside')
  const chain = tampered((manifest) => {
    insert(manifest, link('lib/up', '..'))
    insert(manifest, link('out', 'lib/up/..'))
  })
  refused(chain, /by way of another link/)
})

test('E3: links that go round in a circle or lead nowhere stay inside, and are read', () => {
  const bytes = tampered((manifest) => {
    insert(manifest, link('p', 'q'))
    insert(manifest, link('q', 'p'))
    insert(manifest, link('r', 'p/../lib/none'))
  })
  assert.ok(decodeManifest(bytes))
})

test('E5: a type that is neither directory, file nor link is refused', () => {
  for (const type of ['h', 'c', 'p', 's', '', 0, null]) {
    refused(
      tampered((manifest) => insert(manifest, [type, 0, 0, 0, '', 0, 0, 'odd'])),
      /neither directory/,
    )
  }
})

test('E6: permission bits beyond 0755 are refused: set-uid, set-gid, sticky, writable by others', () => {
  for (const mode of [0o4755, 0o2755, 0o1755, 0o777, 0o666, 0o10755, -1, 0.5]) {
    refused(
      tampered((manifest) => insert(manifest, ['f', mode, 0, 0, sha256(''), 0, 0, 'odd'])),
      /permission|number/,
    )
  }
})

test('E8: a path that is there twice, out of order, below a file or below nothing is refused', () => {
  refused(
    tampered((manifest) => insert(manifest, file('empty'))),
    /twice/,
  )
  refused(
    tampered((manifest) => manifest.entries.reverse()),
    /out of order|not a directory/,
  )
  refused(
    tampered((manifest) => insert(manifest, file('empty/below'))),
    /not a directory/,
  )
  refused(
    tampered((manifest) => insert(manifest, file('bin/go/below'))),
    /not a directory/,
  )
  refused(
    tampered((manifest) => insert(manifest, file('nowhere/below'))),
    /not a directory/,
  )
})

test('E9: names that differ only in case or composition are refused, unless the publisher allowed them', () => {
  for (const path of ['BIN', 'Empty', 'u\u0308ni\u0308code', 'ÜNÏCODE']) {
    refused(
      tampered((manifest) => insert(manifest, file(path))),
      /case or composition/,
    )
    const allowed = tampered((manifest) => {
      insert(manifest, file(path))
      manifest.foldAllowed = true
    })
    assert.equal(decodeManifest(allowed).foldAllowed, true)
  }
})

test('E11: a build beyond its own limits, or beyond what any build may be, is refused before a byte is written', () => {
  for (const [key, value] of [
    ['entries', 3],
    ['bytes', 100],
    ['depth', 1],
    ['nameBytes', 3],
  ] as const) {
    const bytes = tampered((manifest) => {
      manifest.limits[key] = value
    })
    assert.throws(
      () => decodeManifest(bytes),
      (error) => isFleetError(error, 'LIMITS_EXCEEDED', 'MANIFEST_INVALID'),
      key,
    )
  }
  refused(
    tampered((manifest) => insert(manifest, file('n'.repeat(256)))),
    /longer than 255 bytes/,
  )
  refused(
    tampered((manifest) => insert(manifest, file('ü'.repeat(128)))),
    /longer than 255 bytes/,
  )
  const bomb = tampered((manifest) => {
    manifest.frames = [[0, 10, 2 ** 31]]
  })
  refused(bomb, /raw bytes/, 'LIMITS_EXCEEDED')
})

test('E12: a size, place or frame that makes no sense is refused', () => {
  const entry = (change: (tuple: unknown[]) => void) =>
    tampered((manifest) => change(manifest.entries.find((tuple) => tuple[7] === 'lib/a.js') ?? []))
  for (const [index, value] of [
    [2, -1],
    [2, 1.5],
    [2, '1'],
    [2, 2 ** 53],
    [5, 99],
    [5, -1],
    [6, 2 ** 40],
    [6, -1],
    [3, -1],
    [4, 'x'],
  ] as const) {
    refused(
      entry((tuple) => {
        tuple[index] = value
      }),
      /lib\/a\.js/,
    )
  }
  for (const frames of [
    [
      [0, 10, 20],
      [11, 10, 20],
    ],
    [[0, 0, 20]],
    [[0, 10, 0]],
    [[0, 10]],
    [10],
    [[0, 10, 20, 'x']],
    [[1, 10, 20]],
  ]) {
    refused(
      tampered((manifest) => {
        manifest.frames = frames as unknown[][]
      }),
      /frame/,
    )
  }
  refused(
    tampered((manifest) => {
      manifest.artifact = { digest: digestOf(new Uint8Array()), bytes: 5 }
    }),
    /beyond the end/,
  )
})

test('E17: a manifest without entries is refused', () => {
  refused(
    tampered((manifest) => {
      manifest.entries = []
    }),
    /no entries/,
  )
})

test('E10: bytes that are no UTF-8 or no JSON are refused', () => {
  for (const bytes of [
    Buffer.from([0xff, 0xfe]),
    Buffer.from('{'),
    Buffer.from('null'),
    Buffer.from('[]'),
    Buffer.from(''),
  ]) {
    assert.throws(
      () => decodeManifest(bytes),
      (error) => isFleetError(error, 'MANIFEST_INVALID'),
    )
  }
})

test('whatever stands in a manifest, it is read or refused with a code, and never anything else', () => {
  const junk = fc.jsonValue({ maxDepth: 2 })
  const part = fc.constantFrom(
    'v',
    'app',
    'build',
    'commit',
    'createdAt',
    'treeDigest',
    'artifact',
    'limits',
    'frames',
    'entries',
  )
  const mutation = fc.oneof(
    fc.record({ kind: fc.constant('field' as const), part, junk }),
    fc.record({ kind: fc.constant('tuple' as const), at: fc.nat(8), index: fc.nat(8), junk }),
  )
  fc.assert(
    fc.property(mutation, (change) => {
      const bytes = tampered((manifest) => {
        if (change.kind === 'field') Object.assign(manifest, { [change.part]: change.junk })
        else (manifest.entries[change.at] ?? [])[change.index] = change.junk
      })
      let manifest: Manifest
      try {
        manifest = decodeManifest(bytes)
      } catch (error) {
        if (!isFleetError(error, 'MANIFEST_INVALID', 'LIMITS_EXCEEDED')) throw error
        return
      }
      // What was read is the same when it is written and read again.
      assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest)
    }),
    { numRuns: 400 },
  )
})

test('an expected digest that is none matches nothing', () => {
  const bytes = encodeManifest(manifestOf(TREE))
  assert.throws(
    () => decodeManifest(bytes, { digest: 'sha256:' as Digest }),
    (error) => isFleetError(error, 'DIGEST_MISMATCH'),
  )
})
