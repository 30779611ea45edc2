// Owns the freshness of the mutation guard: every row of its table still fits the source, and docs/proof.md shows that table.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutantTable, PROOF, withTable } from '#test/mutants/document.ts'
import type { Mutant } from '#test/mutants/mutant.ts'
import { mutated, staleness } from '#test/mutants/source.ts'
import { MUTANTS } from '#test/mutants/table.ts'
import { readText } from '#test/support/source.ts'

test('every edit of the mutation guard fits the source exactly once, and every test that it names is there', () => {
  assert.deepEqual(
    MUTANTS.flatMap((mutant) => staleness(mutant, readText)),
    [],
  )
  const ids = MUTANTS.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
})

test('an edit that fits nowhere or twice, an edit of nothing, and a test that is not there are told as a stale guard', () => {
  const files: Record<string, string> = {
    'a.ts': 'one two two three',
    'a.test.ts': "test(`${world}: it's two`, () => {})\ntest('it is \\'one\\'', () => {})",
  }
  const read = (path: string) => files[path] ?? ''
  const row: Mutant = {
    ...{ id: 'x', guard: '', without: '', file: 'a.ts', find: 'one', replace: '' },
    test: ['a.test.ts', "it is 'one'"],
  }
  const stale = (change: Partial<Mutant>) => staleness({ ...row, ...change }, read)
  assert.deepEqual(stale({}), [])
  assert.deepEqual(stale({ test: ['a.test.ts', "memory: it's two"] }), [])
  assert.match(stale({ find: 'two' }).join(), /"two" occurs 2 times in a\.ts, not once: the guard has gone stale/)
  assert.match(stale({ find: 'four' }).join(), /"four" occurs 0 times/)
  assert.match(stale({ replace: 'one' }).join(), /changes nothing/)
  assert.match(stale({ test: ['a.test.ts', 'it is'] }).join(), /has 0 tests "it is", not one: the guard has gone stale/)
  assert.equal(mutated('one two', { ...row, replace: '$& one' }), '$& one two')
})

test('docs/proof.md shows the table of the mutation guard', () => {
  const document = readText(PROOF)
  assert.ok(document.includes(mutantTable()), 'stale: npm run test:mutants')
  assert.equal(withTable(document), document)
})
