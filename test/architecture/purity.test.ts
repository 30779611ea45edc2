// Owns the rule that what decides is pure, and that time and chance come through one door.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, production, type Source } from '#test/support/source.ts'

const PURE = /^(fleet|schedule|puller\/core|conductor\/core)\//
/** Bring the schedule in from outside: the only ones of `schedule` that may. */
const LOADERS = /^schedule\/load(-\w+)?\.ts$/
/** The door to real time and chance. */
const CLOCK = 'adapters/runtime/clock.ts'

const TIME_AND_CHANCE = [
  /\bDate\.now\b/,
  /\bnew Date\b(?!\()|\bnew Date\(\s*\)/,
  /(?<!new )\bDate\(\s*\)/,
  /\bMath\.random\b/,
  /\bperformance\.now\b/,
  /\bTemporal\.Now\b/,
]
const WORLD = [
  /\b(set|clear)(Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bAbortSignal\.timeout\b/,
  /\bglobalThis\b/,
  /\bperformance\b/,
  /=\s*Date\b(?!\.)/,
  /\bprocess\b(?!\s*:)/,
  /\bconsole\b/,
  /\bfetch\(/,
  /\brandom(Bytes|UUID|Int|FillSync|Fill)\b/,
  /\bimport\(/,
]

function found({ path, code }: Source, banned: readonly RegExp[]): readonly string[] {
  return banned.flatMap((pattern) => {
    const at = code.search(pattern)
    return at < 0 ? [] : [`${path}:${code.slice(0, at).split('\n').length} ${pattern.source}`]
  })
}

test('fleet, schedule and every core are free of time, chance, timers, process, console and fetch', () => {
  const pure = production().filter(({ path }) => PURE.test(path) && !LOADERS.test(path))
  assert.ok(pure.length > 10, 'the pure files were found')
  assert.deepEqual(
    pure.flatMap((source) => found(source, [...TIME_AND_CHANCE, ...WORLD])),
    [],
  )
})

test('only the clock reads real time and rolls dice: everyone else is handed a Clock', () => {
  const rest = production().filter(({ path }) => path !== CLOCK)
  assert.deepEqual(
    rest.flatMap((source) => found(source, TIME_AND_CHANCE)),
    [],
  )
})

test('the rule bites, also inside a template, and not in a comment or a text', () => {
  const at = (text: string): readonly string[] =>
    found({ path: 'x.ts', text, code: codeOf(text), imports: [] }, [...TIME_AND_CHANCE, ...WORLD])
  assert.notDeepEqual(at('const a = Date.now()'), [])
  for (const text of [
    'const a = new Date',
    'const { now } = Date',
    "globalThis['console']",
    'AbortSignal.timeout(5)',
  ]) {
    assert.equal(at(text).length, 1, text)
  }
  assert.equal(at('const a = `x ${Math.random()} y`').length, 1)
  assert.equal(at("f(/it's/)\nsetTimeout(f, 1)").length, 1)
  assert.deepEqual(at("// Date.now() is elsewhere\nconst a = 'new Date()' /* console */"), [])
  assert.notDeepEqual(at('const a = `x ${b ? `y ${Date.now()}` : { c: 1 }} z`'), [])
  assert.deepEqual(at('const a = `x ${b ? `Date.now()` : "console"} fetch(`'), [])
  assert.deepEqual(at('const a = `Date.now() console`\nconst b = new Date(1)'), [])
})
