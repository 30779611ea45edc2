// Owns the totality of the error table: every code is thrown or reported somewhere, and each row can be shown to a person.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommandLine } from '#conductor/cli/program.ts'
import { ERRORS, type ErrorSpec } from '#fleet/errors.ts'
import { production } from '#test/support/source.ts'

const TABLE: Readonly<Record<string, ErrorSpec>> = ERRORS

test('every code of the error table is used', () => {
  const users = production()
    .filter(({ path }) => path !== 'fleet/errors.ts')
    .map(({ text }) => text)
    .join('\n')
  const unused = Object.keys(TABLE).filter((code) => !users.includes(`'${code}'`))
  assert.deepEqual(unused, [])
})

test('nobody makes up a code beside the table', () => {
  // The constructor is typed; this finds casts, and codes that only ever travel as text (troubles, refusals).
  const unknown = production().flatMap(({ path, text }) =>
    [...text.matchAll(/(?:new FleetError\(|\bcode: )'([A-Z][A-Z0-9_]+)'/g)]
      .filter(([, code = '']) => !(code in TABLE) && !NODE_CODES.test(code))
      .map(([, code]) => `${path}: ${code}`),
  )
  assert.deepEqual(unknown, [])
})

/** Codes of the operating system and of Node (`ENOSPC`, `ERR_…`). */
const NODE_CODES = /^(E[A-Z0-9]+|ERR_[A-Z_]+)$/

test('each row has a title that is a sentence part, and a fix that is an action', () => {
  for (const [code, { title, fix }] of Object.entries(TABLE)) {
    assert.match(title, /^[A-Z][^.]*$/, `${code}: the title begins with a capital and has no full stop`)
    assert.ok(title.length <= 90, `${code}: the title fits a line`)
    if (fix !== undefined) assert.match(fix, /^(--)?[a-z]/, `${code}: the fix is a command or an action`)
  }
})

test('a fix names only verbs that there are', () => {
  const help: string[] = []
  parseCommandLine(['--help'], { writeOut: (text) => void help.push(text) })
  const verbs = [...help.join('').matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb)
  const named = Object.values(TABLE).flatMap(({ fix = '' }) => [...fix.matchAll(/\bconduct ([a-z]+)/g)])
  assert.ok(named.length > 5)
  assert.deepEqual(
    [...new Set(named.map(([, verb]) => verb))].filter((verb) => !verbs.includes(verb)),
    [],
  )
})
