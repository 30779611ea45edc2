// Owns the freshness of the documents: links that lead somewhere, pages printed from code, a README that stays short.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { PAGE, performancePage } from '#bench/doc/page.ts'
import { RESULTS, readResults } from '#bench/kit/result.ts'
import { DOCTOR_DOC, doctorDoc } from '#test/support/doctor-doc.ts'
import { MACHINE_DOC, machineDoc } from '#test/support/machine-doc.ts'
import { METRICS_DOC, metricsDoc } from '#test/support/metrics-doc.ts'
import { filesMatching, PROJECT, readText } from '#test/support/source.ts'
import { VERBS_DOC, verbsDoc } from '#test/support/verbs-doc.ts'
import { WHY_DOC, whyDoc } from '#test/support/why-doc.ts'

const documents = (): readonly string[] => filesMatching('*.md', 'docs/**/*.md')

test('every link of the documents leads to a file', () => {
  const dead = documents().flatMap((path) =>
    [...readText(path).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)]
      .map(([, to = '']) => posix.join(posix.dirname(path), to))
      .filter((to) => !existsSync(join(PROJECT, to)))
      .map((to) => `${path} → ${to}`),
  )
  assert.ok(documents().length > 5)
  assert.deepEqual(dead, [])
})

test('the diagram of a node is printed from the table it runs by', () => {
  assert.equal(readText(MACHINE_DOC), machineDoc(), 'stale: npm run docs')
})

test('what an operator may do is printed from the table that decides it', () => {
  assert.equal(readText(VERBS_DOC), verbsDoc(), 'stale: npm run docs')
})

test('why a rollout, a ring or a node stands or waits is printed from the tables that conduct why tells it by', () => {
  assert.equal(readText(WHY_DOC), whyDoc(), 'stale: npm run docs')
})

test('the list of metrics is printed from the registries that serve them', () => {
  assert.equal(readText(METRICS_DOC), metricsDoc(), 'stale: npm run docs')
})

test('what conduct doctor looks at is printed from the table of its checks', () => {
  assert.equal(readText(DOCTOR_DOC), doctorDoc(), 'stale: npm run docs')
})

test('the page of figures is printed from the results that are kept', () => {
  assert.equal(readText(PAGE), performancePage(readResults(RESULTS)), 'stale: npm run bench:doc')
})

test('the README is a screen and a half, and names the two commands that exist', () => {
  const readme = readText('README.md')
  assert.ok(readme.split('\n').length <= 75)
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> }
  for (const name of ['demo', 'test', 'ok']) {
    assert.ok(scripts[name] !== undefined, `${name} is a script`)
    assert.match(readme, new RegExp(`npm (run )?${name}\\b`))
  }
})
