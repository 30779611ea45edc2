// Owns the shape of log lines: constant lower-case messages, and facts that stand in docs/architecture.md.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, production, readText } from '#test/support/source.ts'

interface LogCall {
  readonly where: string
  /** As written, quotes included. */
  readonly message: string
  readonly facts: readonly string[]
}

const CALL = /\b(?:log|logger)\.(?:debug|info|warn|error)\(/g

/** Splits at commas that are not inside brackets or strings. */
function parts(text: string): readonly string[] {
  const found: string[] = []
  let depth = 0
  let quote = ''
  let part = ''
  for (const letter of text) {
    if (quote !== '') quote = letter === quote ? '' : quote
    else if (/['"`]/.test(letter)) quote = letter
    else if (/[([{]/.test(letter)) depth += 1
    else if (/[)\]}]/.test(letter)) depth -= 1
    if (depth < 0) break
    if (letter === ',' && depth === 0 && quote === '') {
      found.push(part.trim())
      part = ''
    } else part += letter
  }
  return [...found, part.trim()].filter((one) => one !== '')
}

function callsIn(path: string, text: string): readonly LogCall[] {
  const code = codeOf(text, { keepStrings: true })
  return [...code.matchAll(CALL)].map((match) => {
    const [message = '', facts = ''] = parts(code.slice(match.index + match[0].length))
    const where = `${path}:${code.slice(0, match.index).split('\n').length}`
    const names = facts.startsWith('{') ? parts(facts.slice(1)).map((part) => /^[\w]+/.exec(part)?.[0] ?? part) : []
    return { where, message, facts: names.filter((name) => !name.startsWith('...')) }
  })
}

const calls = (): readonly LogCall[] => production().flatMap(({ path, text }) => callsIn(path, text))

test('a log message is constant and lower-case: facts are fields, not text', () => {
  const wrong = calls().filter(({ message }) => /^['`"]/.test(message) && !/^'[a-z0-9][^']*[^.']'$/.test(message))
  assert.ok(calls().length > 10, 'log calls were found')
  assert.deepEqual(
    wrong.map(({ where, message }) => `${where} ${message}`),
    [],
  )
})

test('every fact of a log line is in the list of docs/architecture.md, and the list holds nothing else', () => {
  const list = /## Log fields\n([\s\S]*?)(\n## |$)/.exec(readText('docs/architecture.md'))?.[1] ?? ''
  const known = new Set([...list.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name))
  const used = calls().flatMap(({ where, facts }) => facts.map((name) => ({ where, name })))
  const unknown = used.filter(({ name }) => !known.has(name)).map(({ where, name }) => `${where} ${name}`)
  const names = new Set(used.map(({ name }) => name))
  const unused = [...known].filter((name) => name !== undefined && !names.has(name))
  assert.deepEqual({ unknown, unused }, { unknown: [], unused: [] })
})

test('the scan sees facts in every way they are written', () => {
  const text = "log.info('a b', { build, ms: f(1, 2), error: x ? { y: 1 } : z, ...more })\nworld.log.warn(`no ${x}`)"
  const [first, second] = callsIn('x.ts', text)
  assert.deepEqual(first, { where: 'x.ts:1', message: "'a b'", facts: ['build', 'ms', 'error'] })
  assert.match(second?.message ?? '', /^`.*`$/)
})
