// Owns the rules of the house: what a file looks like, words that have no place here, and what may be installed.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { filesMatching, PROJECT, production, readText, type Source, sources } from '#test/support/source.ts'

const MAX_LINES = 300
/** Where slots are spoken of: the calendar, who obeys it, and the keys that it leaves. */
const CALENDAR =
  /^(schedule|conductor)\/|^fleet\/(slot|keys|ports|wire|wire-schemas)\.ts$|^adapters\/\w+\/(ledger|change|slots)\.ts$/

const scripts = (): readonly string[] => [
  ...filesMatching('.ci/*').filter((path) => statSync(join(PROJECT, path)).isFile()),
  ...filesMatching('puller/puller', 'conductor/conduct'),
]

test('every file opens with one sentence that says what it owns', () => {
  const silent = sources().filter(({ text }) => !/^(#!.*\n)?\/\/ Owns [^\n]*[.:,;]?[^\n]*\n/.test(text))
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  )
  const mute = scripts().filter((path) => !/^(#|\/\/) [A-Z]\w+s /m.test(readText(path).split('\n', 6).join('\n')))
  assert.deepEqual(mute, [])
})

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = sources().filter(({ text }) => text.trimEnd().split('\n').length > MAX_LINES)
  assert.deepEqual(
    long.map(({ path, text }) => `${path}: ${text.trimEnd().split('\n').length}`),
    [],
  )
})

test('names say what a thing does: no Manager, Helper or Util, and a slot is a word of the calendar', () => {
  const vague = sources().flatMap(({ path, code }) =>
    [...code.matchAll(/\b\w*(?:Manager|Helper|Utils?)(?![a-z])\w*/g)].map(([word]) => `${path}: ${word}`),
  )
  assert.deepEqual(vague, [])
  const slots = production().filter(({ path, code }) => /slot/i.test(code) && !CALENDAR.test(path))
  assert.deepEqual(
    slots.map(({ path }) => path),
    [],
  )
})

test('no test is skipped, postponed or run alone', () => {
  const lame = sources().filter(
    ({ path, code }) =>
      path.endsWith('.test.ts') && /\b(test|it|describe|t)\.(skip|todo|only)\b|\b(skip|todo|only):/.test(code),
  )
  assert.deepEqual(
    lame.map(({ path }) => path),
    [],
  )
})

/** Names that stand for no machine, loopback, and public documentation. */
const KNOWN_HOST =
  /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\]|10\.\d+\.\d+\.\d+|169\.254\.\d+\.\d+|[a-z0-9-]+|.*\.(example|test|invalid|local|internal|example\.(com|org|net))|github\.com|nodejs\.org|(www\.)?w3\.org|biomejs\.dev|(developer|www)\.hashicorp\.com|docs\.ceph\.com|docs\.aws\.amazon\.com|www\.debian\.org|json\.schemastore\.org|www\.consul\.io)(:\d+)?$/i

test('nothing names a machine of ours: no absolute path of a checkout, no address but loopback and public documents', () => {
  const texts = [
    ...filesMatching('**/*.{ts,md,json,yaml,yml,sh}').filter((path) => path !== 'package-lock.json'),
    ...scripts(),
  ]
  const found = texts.flatMap((path) => {
    const text = readText(path)
    const paths = [...text.matchAll(/(?<![\w.}>])\/(work|home|root|Users)\/[\w.-]+/g)].map(
      ([word]) => `${path}: ${word}`,
    )
    const hosts = [...text.matchAll(/\bhttps?:\/\/([^\s/'"`)<>\\?,;]+)/g)]
      .map(([, host = '']) => host.replace(/^[^@]*@/, ''))
      .filter((host) => !KNOWN_HOST.test(host) && !/[${}|[\]…*]/.test(host))
      .map((host) => `${path}: ${host}`)
    return [...paths, ...hosts]
  })
  assert.deepEqual(found, [])
})

interface Locked {
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

function lockfile(): Readonly<Record<string, Locked>> {
  const parsed: unknown = JSON.parse(readText('package-lock.json'))
  return (parsed as { packages: Record<string, Locked> }).packages
}

test('the lockfile names no registry, so any mirror serves', () => {
  const named = Object.entries(lockfile()).filter(([, { resolved }]) => resolved !== undefined)
  assert.deepEqual(
    named.map(([path]) => path),
    [],
  )
})

test('I11: nothing that the puller loads runs a script when it is installed', () => {
  const packages = lockfile()
  const closure = new Set<string>()
  const add = (name: string, above: string): void => {
    const path = nearest(packages, name, above)
    if (path === null || closure.has(path)) return
    closure.add(path)
    const { dependencies, optionalDependencies } = packages[path] ?? {}
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) add(next, path)
  }
  const libraries = librariesOf('puller/main.ts')
  assert.ok(libraries.has('consul'), 'the puller was found to load its libraries')
  for (const name of libraries) add(name, '')
  const scripted = [...closure].filter((path) => packages[path]?.hasInstallScript === true)
  assert.deepEqual(scripted, [])
})

/** Where npm would find `name` for a package at `above`: its own folder first, then upwards. */
function nearest(packages: Readonly<Record<string, Locked>>, name: string, above: string): string | null {
  for (let at = above; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (path in packages) return path
    if (at === '') return null
  }
}

/** The libraries that a program loads, over all files it reaches. */
function librariesOf(entry: string): ReadonlySet<string> {
  const files = new Map<string, Source>(production().map((source) => [source.path, source]))
  const libraries = new Set<string>()
  const seen = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { from } of files.get(path)?.imports ?? []) {
      if (from.startsWith('.')) visit(posix.join(posix.dirname(path), from))
      else if (from.startsWith('#')) visit(from.slice(1))
      else if (!from.startsWith('node:')) libraries.add(packageOf(from))
    }
  }
  visit(entry)
  return libraries
}

function packageOf(from: string): string {
  return from.split('/', from.startsWith('@') ? 2 : 1).join('/')
}

test('every library that is installed with the programs is used by them, and the other way round', () => {
  const { dependencies } = JSON.parse(readText('package.json')) as { dependencies: Record<string, string> }
  const used = production().flatMap(({ imports }) =>
    imports.map(({ from }) => from).filter((from) => /^[@a-z]/.test(from)),
  )
  const packages = new Set(used.filter((from) => !from.startsWith('node:')).map(packageOf))
  assert.deepEqual([...packages].toSorted(), Object.keys(dependencies).toSorted())
})

test('package.json names both programs, and each can be run as a file', () => {
  const parsed: unknown = JSON.parse(readText('package.json'))
  const { bin } = parsed as { bin: Record<string, string> }
  assert.deepEqual(bin, { conduct: 'conductor/conduct', puller: 'puller/puller' })
  for (const path of Object.values(bin)) {
    assert.ok((statSync(join(PROJECT, path)).mode & 0o111) !== 0, `${path} is executable`)
  }
})

/** What the project consists of at its top, besides what is installed and fetched. */
const TOP = [
  ...['.ci', '.gitignore', '.npmrc', 'README.md', 'biome.json', 'package-lock.json', 'package.json', 'tsconfig.json'],
  ...['adapters', 'bench', 'conductor', 'dashboards', 'docs', 'fleet', 'puller', 'schedule', 'systemd', 'test'],
]

/** What git keeps, or would: what lies there besides is a developer's own affair. Where there is no git, all that is not hidden. */
function topLevel(): readonly string[] {
  const said = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: PROJECT,
    encoding: 'utf8',
  })
  if (said.status !== 0) return readdirSync(PROJECT).filter((name) => !name.startsWith('.') && name !== 'node_modules')
  return said.stdout.split('\n').flatMap((path) => path.split('/', 1)[0] || [])
}

test('nothing is kept at the top of the project but what belongs there: no profile, dump or scratch file', () => {
  assert.deepEqual(
    [...new Set(topLevel())].filter((name) => !TOP.includes(name)),
    [],
  )
})
