// Owns the proof of the order of paths and of what counts as the same name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comparePaths, FollowedLinks, foldOf, linkFault } from '#fleet/paths.ts'
import { fc } from '#test/support/properties.ts'

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
  const fault = (path: string, target: string) => linkFault(path, target, new FollowedLinks((at) => links.get(at)))
  assert.equal(fault('x', 'b/a/up'), null)
  assert.equal(fault('x', 'deep/er/root/a'), null)
  assert.match(fault('x', 'b/..') ?? '', /another link/)
  assert.match(fault('x', 'deep/er/root/../y') ?? '', /another link/)
  assert.equal(fault('deep/x', '../a'), null)
})

/** Whether a walk leaves the tree, step by step and without any memory, as the kernel does it: after 40 links it gives up. */
function walksOut(path: string, target: string, links: ReadonlyMap<string, string>): boolean | 'gave up' {
  const at = path.split('/').slice(0, -1)
  const ahead = target.split('/').reverse()
  for (let hops = 0; ahead.length > 0; ) {
    const name = ahead.pop()
    if (name === undefined || name === '' || name === '.') continue
    if (name === '..') {
      if (at.pop() === undefined) return true
      continue
    }
    const next = links.get([...at, name].join('/'))
    if (next === undefined) at.push(name)
    else if (++hops > 40) return 'gave up'
    else ahead.push(...next.split('/').reverse())
  }
  return false
}

const linkPath = fc.constantFrom('a', 'b', 'c', 'd/a', 'd/b', 'd/e/c')
const linkTarget = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', '..', '.', 'x'), { minLength: 1, maxLength: 6 })

test('E3, E4: links that are followed once for all come to what a walk without memory comes to', () => {
  const sets = fc.uniqueArray(
    fc.tuple(
      linkPath,
      linkTarget.map((names) => names.join('/')),
    ),
    {
      selector: ([path]) => path,
      minLength: 1,
    },
  )
  fc.assert(
    fc.property(sets, (pairs) => {
      const links = new Map<string, string>(pairs)
      const followed = new FollowedLinks((at) => links.get(at))
      for (const [path, target] of links) {
        const refused = linkFault(path, target, followed) !== null
        const out = walksOut(path, target, new Map()) || walksOut(path, target, links)
        // Where the kernel gives up nothing is reached: either answer is safe.
        if (out !== 'gave up') assert.equal(refused, out, `${path} -> ${target}`)
      }
    }),
    { numRuns: 3_000 },
  )
})

test('E4: a manifest of links that lead through one another is judged by its length, not by the ways through them', () => {
  const links = new Map<string, string>()
  for (let link = 0; link < 40; link += 1) links.set(`l${link}`, `l${link + 1}/${'x/'.repeat(1_400)}x`)
  for (let link = 0; link < 10_000; link += 1) links.set(`m${link}`, link % 2 === 0 ? 'l0' : `m${link - 1}/x`)
  let asked = 0
  const followed = new FollowedLinks((at) => {
    asked += 1
    return links.get(at)
  })
  for (const [path, target] of links) assert.equal(linkFault(path, target, followed), null)
  const names = [...links.values()].reduce((sum, target) => sum + target.split('/').length, 0)
  assert.ok(asked <= names + links.size, `${asked} questions for ${names} names`)
})
