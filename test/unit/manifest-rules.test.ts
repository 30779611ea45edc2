// Owns the proof that whatever breaks a rule of manifests is refused, row by row, before anything is done with it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, encodeManifest } from '#fleet/manifest.ts'
import { type Json, manifestOf, sha256, TREE, tampered } from '#test/support/manifests.ts'

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

test('E10: bytes that are no UTF-8 or no JSON are refused, a byte order mark among them', () => {
  for (const bytes of [
    Buffer.concat([Buffer.from('\ufeff'), encodeManifest(manifestOf(TREE))]),
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

test('a time that no disk keeps is refused: what was written with it would look changed ever after', () => {
  const at = (mtime: number) =>
    tampered((manifest) => {
      for (const entry of manifest.entries) entry[3] = mtime
    })
  refused(at(8 ** 11), /has a time that no disk keeps/)
  refused(at(Number.MAX_SAFE_INTEGER), /has a time that no disk keeps/)
  assert.equal(decodeManifest(at(8 ** 11 - 1)).entries[0]?.mtime, 8 ** 11 - 1)
})

test('an empty file has the digest of nothing, or it is refused', () => {
  const bytes = tampered((manifest) => {
    const entry = manifest.entries.find((tuple) => tuple[7] === 'empty')
    if (entry !== undefined) entry[4] = sha256('something')
  })
  refused(bytes, /is empty and has the SHA-256 of something/)
})
