// Owns the proof of the order of paths and of what counts as the same name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparePaths, foldOf, linkFault } from '#fleet/paths.ts'

test('paths sort by their bytes, also where JavaScript sorts otherwise', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 })
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(Math.sign(comparePaths(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
    }),
    { numRuns: 2_000 },
  )
  assert.deepEqual(['a/b', '\u{1f600}', 'a', '\uff5e', 'a-b', 'é'].sort(comparePaths), [
    'a',
    'a-b',
    'a/b',
    'é',
    '\uff5e',
    '\u{1f600}',
  ])
})

test('E9: a name has one fold whatever its case and composition', () => {
  for (const [a, b] of [
    ['README', 'readme'],
    ['é', 'e\u0301'],
    ['É', 'e\u0301'],
    ['STRASSE', 'straße'],
    ['a/B', 'A/b'],
  ] as const) {
    assert.equal(foldOf(a), foldOf(b))
  }
  assert.notEqual(foldOf('ab'), foldOf('a b'))
})

test('E3: a link that is followed by way of others ends inside the tree or is refused, as the kernel would walk it', () => {
  const links = new Map([
    ['a/up', '..'],
    ['b', 'a/up'],
    ['deep/er/root', '../..'],
  ])
  const fault = (path: string, target: string) => linkFault(path, target, (at) => links.get(at))
  assert.equal(fault('x', 'b/a/up'), null)
  assert.equal(fault('x', 'deep/er/root/a'), null)
  assert.match(fault('x', 'b/..') ?? '', /another link/)
  assert.match(fault('x', 'deep/er/root/../y') ?? '', /another link/)
  assert.equal(fault('deep/x', '../a'), null)
})
