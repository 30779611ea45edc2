// Owns the import rules: who may lean on whom. A rule broken here is a design decision, not a typo.
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { FOLDERS, filesMatching, production, type Source, sources } from '#test/support/source.ts'

interface Rule {
  /** The files it is about; the first rule that matches a path holds. */
  readonly files: RegExp
  /** What they may import besides their own folder: prefixes of `#…`, `node:…` and package names, or `node:*`. */
  readonly may: readonly string[]
}

const PROGRAM_SHELL = ['#fleet/', '#schedule/', 'node:*']

/**
 * The table of docs/architecture.md. Libraries are named where they may stand: the ones inside a program are those whose whole use is
 * one file, and which know nothing of Consul, S3 or the clock.
 */
const RULES: readonly Rule[] = [
  { files: /^fleet\/wire(-\w+)?\.ts$/, may: ['node:crypto', 'valibot'] },
  { files: /^fleet\//, may: ['node:crypto'] },
  {
    files: /^schedule\/load(-\w+)?\.ts$/,
    may: [
      '#fleet/errors.ts',
      '#fleet/assert.ts',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'valibot',
      'yaml',
      'date-holidays',
    ],
  },
  { files: /^schedule\//, may: ['#fleet/errors.ts', '#fleet/assert.ts'] },
  { files: /^puller\/core\//, may: ['#fleet/'] },
  { files: /^conductor\/core\//, may: ['#fleet/', '#schedule/'] },
  { files: /^puller\/main\.ts$/, may: ['#fleet/', '#puller/', '#adapters/', 'node:*'] },
  {
    files: /^conductor\/(main|bench|daemon|examination)\.ts$/,
    may: ['#fleet/', '#schedule/', '#conductor/', '#adapters/', 'node:*'],
  },
  { files: /^(puller|conductor)\/config(-\w+)?\.ts$/, may: ['#fleet/', 'node:*', 'valibot'] },
  { files: /^(puller|conductor)\/metrics\.ts$/, may: ['#fleet/', 'node:*', 'prom-client'] },
  { files: /^puller\//, may: [...PROGRAM_SHELL, '#puller/'] },
  { files: /^conductor\/shell\/(pack|publish)\.ts$/, may: [...PROGRAM_SHELL, '#conductor/', 'tar'] },
  // Processes of their own, so composition roots like main.ts.
  { files: /^conductor\/demo\/(app|load)\.ts$/, may: ['#conductor/', '#adapters/runtime/', 'node:*'] },
  // The one place where both programs meet (docs/decisions/0015): it simulates nodes, by what decides for a real one.
  { files: /^conductor\/sim\//, may: ['#fleet/', '#conductor/', '#puller/core/', '#adapters/memory/', 'node:crypto'] },
  { files: /^conductor\/cli\//, may: [...PROGRAM_SHELL, '#conductor/', 'commander', 'picocolors'] },
  { files: /^conductor\//, may: [...PROGRAM_SHELL, '#conductor/'] },
  {
    files: /^adapters\//,
    may: ['#fleet/', '#adapters/', 'node:*', 'consul', '@aws-sdk/', 'pino', 'yaml', 'valibot', 'chokidar'],
  },
]

/** What is put together there is not to be taken from there: it would bring the adapters along. */
const COMPOSITION_ROOT = /^(puller\/main|conductor\/(main|bench|daemon|examination))\.ts$/
/** The composition of `conduct` is in parts: a daemon and an examination are verbs that the program which reads command lines starts. */
const PARTS = /^conductor\/(bench|daemon|examination)\.ts$/
const USES_PARTS = /^conductor\/(main|examination)\.ts$/

/** The same for the simulation, which the verb alone may start. */
const SIMULATION = /^conductor\/sim\//
const STARTS_IT = /^conductor\/(sim\/|main\.ts$)/

function ruleFor(path: string): Rule | undefined {
  return RULES.find((rule) => rule.files.test(path))
}

function allowed(rule: Rule, from: string): boolean {
  return rule.may.some((may) => {
    if (may === 'node:*') return from.startsWith('node:')
    return may.endsWith('/') ? from.startsWith(may) : from === may
  })
}

/** The top-level folder, and below a program also the second: `puller/core` is another place than `puller/shell`. */
function placeOf(path: string): string {
  const [top = '', second = ''] = path.split('/')
  return second === 'core' ? `${top}/core` : top
}

function breaches({ path, imports }: Source): readonly string[] {
  const rule = ruleFor(path)
  if (rule === undefined) return [`${path} is in a folder without a rule`]
  return imports.flatMap(({ from }) => {
    const starts = USES_PARTS.test(path) && PARTS.test(resolve(path, from))
    if (COMPOSITION_ROOT.test(resolve(path, from)) && !starts) return [`${path} may not import a program: ${from}`]
    if (SIMULATION.test(resolve(path, from)) && !STARTS_IT.test(path))
      return [`${path} may not import a simulation: ${from}`]
    if (from.startsWith('.')) {
      const to = posix.join(posix.dirname(path), from)
      if (to.split('/')[0] !== path.split('/')[0]) return [`${path} leaves its folder by ${from}: use a subpath`]
      const staysPure = !placeOf(path).endsWith('/core') || placeOf(to) === placeOf(path)
      return staysPure ? [] : [`${path} decides and must not import ${from}`]
    }
    const own = `#${placeOf(path)}/`
    return from.startsWith(own) || allowed(rule, from) ? [] : [`${path} may not import ${from}`]
  })
}

test('every file imports only what its folder may', () => {
  assert.deepEqual(production().flatMap(breaches), [])
})

test('every module is a TypeScript file, so that these rules see it', () => {
  assert.deepEqual(filesMatching(`{${FOLDERS.join(',')}}/**/*.{js,mjs,cjs,jsx,mts,cts,tsx}`), [])
})

test('relative imports name a file with its ending, and nothing but benches imports out of the tests', () => {
  const wrong = sources().flatMap(({ path, imports }) =>
    imports
      .filter(({ from }) => /^[.#]/.test(from))
      .filter(({ from }) => !/\.(ts|json)$/.test(from) || (from.startsWith('#test/') && !/^(test|bench)\//.test(path)))
      .map(({ from }) => `${path}: ${from}`),
  )
  assert.deepEqual(wrong, [])
})

test('what prints the dashboards leans on nothing of ours, and nothing that is shipped leans on it', () => {
  const printers = sources().filter(({ path }) => path.startsWith('dashboards/'))
  assert.ok(printers.length > 4)
  const wrong = printers.flatMap(({ path, imports }) =>
    imports.filter(({ from }) => !/^(\.\/|node:|@grafana\/)/.test(from)).map(({ from }) => `${path}: ${from}`),
  )
  const users = production().filter(({ imports }) => imports.some(({ from }) => /^(#dashboards|@grafana)\//.test(from)))
  assert.deepEqual({ wrong, users: users.map(({ path }) => path) }, { wrong: [], users: [] })
})

test('no two files import each other in a circle', () => {
  const graph = new Map(
    production().map(({ path, imports }) => [
      path,
      imports.filter(({ typeOnly }) => !typeOnly).map(({ from }) => resolve(path, from)),
    ]),
  )
  const circles = new Set<string>()
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) circles.add([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (trail.includes(path) || done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  assert.deepEqual([...circles], [])
})

function resolve(path: string, from: string): string {
  return from.startsWith('#') ? from.slice(1) : posix.join(posix.dirname(path), from)
}

test('no file is a barrel: each name is imported from the file that owns it', () => {
  const barrels = production().filter(({ code }) => {
    const exports = code.match(/^export\b/gm) ?? []
    const passedOn = code.match(/^export\s+(type\s+)?(\*|\{[^}]*\})\s*(as \w+\s+)?from\b/gm) ?? []
    return /^export\s+(type\s+)?\*/m.test(code) || (passedOn.length > 0 && passedOn.length === exports.length)
  })
  assert.deepEqual(
    barrels.map(({ path }) => path),
    [],
  )
})

test('the rules bite: each forbidden kind of import is noticed', () => {
  const source = (path: string, from: string): Source => ({
    path,
    text: '',
    code: '',
    imports: [{ from, typeOnly: false }],
  })
  const forbidden: readonly [string, string][] = [
    ['fleet/target.ts', 'node:fs'],
    ['fleet/target.ts', 'valibot'],
    ['fleet/target.ts', '#adapters/runtime/clock.ts'],
    ['puller/core/machine.ts', 'node:crypto'],
    ['puller/core/machine.ts', '../shell/loop.ts'],
    ['puller/core/machine.ts', '#puller/shell/loop.ts'],
    ['puller/shell/loop.ts', '#adapters/store.ts'],
    ['puller/shell/loop.ts', '#conductor/core/plan.ts'],
    ['puller/shell/loop.ts', '../../conductor/core/plan.ts'],
    ['puller/shell/loop.ts', '../main.ts'],
    ['conductor/cli/status.ts', '#conductor/main.ts'],
    ['puller/main.ts', 'consul'],
    ['conductor/cli/status.ts', '#adapters/store.ts'],
    ['conductor/cli/status.ts', 'valibot'],
    ['conductor/core/plan.ts', '#puller/core/machine.ts'],
    ['conductor/shell/reconcile.ts', '#puller/core/machine.ts'],
    ['conductor/sim/node.ts', '#puller/shell/loop.ts'],
    ['conductor/sim/world.ts', '#adapters/runtime/clock.ts'],
    ['conductor/cli/verbs.ts', '#conductor/sim/run.ts'],
    ['conductor/core/plan.ts', '../sim/rules.ts'],
    ['adapters/store.ts', '#puller/config.ts'],
    ['elsewhere/x.ts', 'node:fs'],
  ]
  for (const [path, from] of forbidden) assert.equal(breaches(source(path, from)).length, 1, `${path} ← ${from}`)
})
