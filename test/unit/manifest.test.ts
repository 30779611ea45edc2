// Owns the proof that a manifest is read as it was written, and that its digests are what the contract says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { decodeManifest, digestOf, type Entry, encodeManifest, type Manifest, treeDigestOf } from '#fleet/manifest.ts'
import { MOST } from '#fleet/manifest-rules.ts'
import { manifestOf, sha256, TREE, tampered } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

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
  assert.throws(
    () => decodeManifest(tampered((manifest) => Object.assign(manifest, { v: 2 }))),
    (error) => isFleetError(error, 'MANIFEST_INVALID') && /version 2/.test(error.message),
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

test('a manifest of another publisher is read: places of empty files, digests with their prefix, limits by other names, no commit', () => {
  const bytes = tampered((manifest) => {
    for (const tuple of manifest.entries) {
      if (tuple[0] === 'f') tuple[4] = `sha256:${tuple[4]}`
      if (tuple[0] === 'f' && tuple[2] === 0) tuple.splice(5, 2, 1, 512)
    }
    manifest.limits = { entries: 100, name: 200 }
    delete manifest.commit
  })
  const { entries, limits, commit } = decodeManifest(bytes)
  assert.deepEqual(entries, manifestOf(TREE).entries)
  assert.deepEqual(limits, { ...MOST, entries: 100 })
  assert.equal(commit, null)
})

test('an expected digest that is none matches nothing', () => {
  const bytes = encodeManifest(manifestOf(TREE))
  assert.throws(
    () => decodeManifest(bytes, { digest: 'sha256:' as Digest }),
    (error) => isFleetError(error, 'DIGEST_MISMATCH'),
  )
})
