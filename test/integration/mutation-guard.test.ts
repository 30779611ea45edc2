// Owns the proof that the mutation guard tells a test that failed by its assertion from one that broke, hung up or never ran.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PROJECT } from '#test/support/source.ts'
import { tmp } from '#test/support/tmp.ts'

const TESTS = `import assert from 'node:assert/strict'
import { test } from 'node:test'
test('holds', () => assert.ok(true))
test('fails', () => assert.equal(1, 2))
test('fails in a property', () => { try { assert.ok(false) } catch (cause) { throw new Error('property', { cause }) } })
test('is mistyped', () => { const nothing: { x: string } | null = null; nothing.x })
test('hangs up', async () => { setTimeout(() => { throw new Error('too late') }); await new Promise(() => {}) })
test('cleans up badly', (t) => { t.after(() => assert.ok(false)) })
`

test('only an assertion of the named test counts as its failure', async (t: TestContext) => {
  const dir = await tmp(t, 'guard')
  mkdirSync(join(dir, 'test/support'), { recursive: true })
  cpSync(join(PROJECT, 'test/support/mortal.ts'), join(dir, 'test/support/mortal.ts'))
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
  writeFileSync(join(dir, 'a.test.ts'), TESTS)
  writeFileSync(join(dir, 'b.test.ts'), `${TESTS} this is no program`)
  const names = [...TESTS.matchAll(/test\('([^']+)'/g)].map(([, name]) => name)
  const told = (file: string): Record<string, { how: string; why: string }> => {
    const script = `import { endings } from ${JSON.stringify(join(PROJECT, 'test/mutants/verdict.ts'))}
      const found = await endings(${JSON.stringify(dir)}, '${file}', [...${JSON.stringify(names)}, 'is not there'])
      process.stdout.write(JSON.stringify(Object.fromEntries(found)))`
    // A test file runs no test files: the guard is a program of its own, as it is for people.
    writeFileSync(join(dir, 'main.ts'), script)
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    return JSON.parse(execFileSync(process.execPath, [join(dir, 'main.ts')], { env, encoding: 'utf8' }))
  }
  const a = told('a.test.ts')
  assert.deepEqual(Object.fromEntries(Object.entries(a).map(([name, { how }]) => [name, how])), {
    holds: 'passed',
    fails: 'failed',
    'fails in a property': 'failed',
    'is mistyped': 'broken',
    'hangs up': 'broken',
    'cleans up badly': 'broken',
    'is not there': 'missing',
  })
  const b = told('b.test.ts')
  assert.deepEqual([...new Set(Object.values(b).map(({ how }) => how))], ['broken'])
  assert.match(b.holds?.why ?? '', /SyntaxError/)
})
