// Owns hostile config files: the shipped samples with lies told in their lines and bytes, read by the real reader with the real schemas.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { readConfigFile } from '#adapters/runtime/config-file.ts'
import { conductSchema } from '#conductor/config.ts'
import { isFleetError } from '#fleet/errors.ts'
import { pullerSchema } from '#puller/config.ts'
import { PROJECT } from '#test/support/source.ts'
import { type ByteLie, byteLieArb, lieAboutBytes, marked, octets } from './text.ts'

type LineLie =
  | { readonly line: 'value'; readonly at: number; readonly text: string }
  | { readonly line: 'insert'; readonly at: number; readonly text: string }
  | { readonly line: 'twice' | 'drop' | 'indent' | 'swap'; readonly at: number }

export interface ConfigCase {
  readonly program: 'puller' | 'conduct'
  readonly lines: readonly LineLie[]
  readonly bytes: readonly ByteLie[]
}

const BOMB = [
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'bcdefghi'
    .split('')
    .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[index]}`).join(',')}]`),
].join('\n')

export const VALUES = [
  ...[
    '',
    '~',
    'null',
    'true',
    'no',
    'on',
    'yes',
    '0',
    '-1',
    '-0',
    '1.5',
    '.inf',
    '-.inf',
    '.nan',
    '1e999',
    '0x1f',
    '0o17',
    '017',
    '0b1',
    '1_000',
    '12:30:45',
    '99999999999999999999',
  ],
  ...[
    '9007199254740993',
    '"5"',
    "'x'",
    '[]',
    '{}',
    '[1, 2]',
    '{a: 1}',
    '|\n  block',
    '>\n  folded',
    '? [a]\n: b',
    '2026-11-22',
    '*nowhere',
    '&x x',
    '&x [*x]',
    '&x {a: *x}',
    '!!str 5',
    '!!int "x"',
  ],
  ...[
    '!!binary aGk=',
    '!!set {a}',
    '!!omap [a: 1]',
    '!!timestamp 2026-01-01',
    '!!js/function "function () {}"',
    '!!python/object:os.system x',
    '!local x',
    '!<tag:yaml.org,2002:str> x',
    '{<<: {a: 1}}',
    '{"__proto__": {polluted: 1}}',
    '{constructor: {prototype: {polluted: 1}}}',
    '{__proto__: 1}',
    '{toString: x}',
  ],
  ...[
    '${hostname}',
    '${SECRET}',
    '${UNSET}',
    '${}',
    '${__proto__}',
    '${constructor}',
    '${toString}',
    '${hasOwnProperty}',
    '$${x}',
    '${${SECRET}}',
    '${NESTED}',
    '"${LINES}"',
    '${hostname',
    '$',
    '$$',
    '${hostname}${hostname}',
    '${ hostname }',
    '${HUGE}',
  ],
  ...[
    '"\\u0000"',
    '"\\x1b[31m"',
    '"\\ud800"',
    '/',
    '//',
    '/../..',
    'http://',
    'http://127.0.0.1:99999',
    'javascript:alert(1)',
    'file:///etc',
    '"^(a+)+$"',
    '"("',
    '[""]',
    '[null]',
    '[[x]]',
    '500%',
    '-5%',
    '33.%',
    'x'.repeat(5_000),
    octets('ff'),
    `"${octets('c3')}"`,
  ],
]
export const INSERTS = [
  ...[
    '---',
    '...',
    '--- x',
    '%YAML 1.1\n---',
    '%YAML 9.9\n---',
    '%TAG ! tag:x:\n---',
    '# comment',
    '\t',
    '  odd: 1',
    'more: 1',
    '__proto__: 1',
    '__proto__: {polluted: 1}',
    'constructor: 1',
    'toString: 1',
    'hasOwnProperty: 1',
    'valueOf: {}',
    'prototype: 1',
    '"": 1',
    'null: 1',
    '1: 1',
    '[a]: b',
    '? x',
  ],
  ...[
    '<<: {app: other}',
    '<<: *x',
    'app: &a x\nring: *a',
    'x: &x {a: 1}',
    BOMB,
    `deep: ${'['.repeat(300)}${']'.repeat(300)}`,
    `deep: ${'['.repeat(20_000)}`,
    `deep: ${'{a: '.repeat(5_000)}`,
    `${' - '.repeat(3_000)}x`,
    'app: [',
    'app: "',
    'hooks: {afterSwap: [x], afterSwap: [y]}',
    'node: n\nnode: m',
    'consul: {url: http://127.0.0.1:8500, URL: x}',
    octets('fffe'),
    octets('00'),
    '\u2028',
    '\ufeff',
  ],
]

const at = fc.nat({ max: 200 })
const lineArb: fc.Arbitrary<LineLie> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      line: fc.constant('value' as const),
      at,
      text: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...VALUES) },
        { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ line: fc.constant('insert' as const), at, text: fc.constantFrom(...INSERTS) }) },
  { weight: 2, arbitrary: fc.record({ line: fc.constantFrom('twice', 'drop', 'indent', 'swap'), at }) },
)

export const configCaseArb: fc.Arbitrary<ConfigCase> = fc.record({
  program: fc.constantFrom('puller', 'conduct'),
  lines: fc.array(lineArb, { minLength: 1, maxLength: 3 }),
  bytes: fc.oneof(
    { weight: 5, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(byteLieArb, { maxLength: 1 }) },
  ),
})

const SAMPLES = { puller: 'docs/samples/puller.yaml', conduct: 'docs/samples/hotcold.yaml' } as const
const SCHEMAS = { puller: pullerSchema, conduct: conductSchema } as const
const ENV: Readonly<Record<string, string>> = {
  SECRET: 'quiet',
  NESTED: '${SECRET}',
  LINES: 'a\nmore: 1',
  HUGE: 'x'.repeat(100_000),
}

function lied({ program, lines, bytes }: ConfigCase): Buffer {
  const sample = readFileSync(join(PROJECT, SAMPLES[program]), 'utf8')
  // Comments go: a lie must hit something.
  const text = sample.split('\n').flatMap((line) => (/^\s*(#|$)/.test(line) ? [] : [line.replace(/\s+#.*$/, '')]))
  for (const lie of lines) {
    const index = lie.at % Math.max(1, text.length)
    const line = text[index] ?? ''
    if (lie.line === 'value')
      text[index] = line.replace(/^(\s*(?:- )?[\w-]+:).*$/, (_all, key: string) => `${key} ${lie.text}`)
    if (lie.line === 'insert') text.splice(index, 0, lie.text)
    if (lie.line === 'twice') text.splice(index, 0, line)
    if (lie.line === 'drop') text.splice(index, 1)
    if (lie.line === 'indent') text[index] = ` ${line}`
    if (lie.line === 'swap') text.push(...text.splice(index, 1))
  }
  return bytes.reduce<Buffer>(lieAboutBytes, marked(`${text.join('\n')}\n`))
}

/** Every value of a config, with where it stands. */
function leaves(value: unknown, where: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[where, value]]
  const prototype: unknown = Object.getPrototypeOf(value)
  assert.ok(prototype === Object.prototype || prototype === Array.prototype, `${where} is a plain object`)
  return Object.entries(value).flatMap(([key, inner]) => [
    [`${where}.${key} (key)`, key] as [string, unknown],
    ...leaves(inner, `${where}.${key}`),
  ])
}

/** @param directory where the file is written that the reader reads @returns the code, or that the config was read as it was written */
export function checkConfig(hostile: ConfigCase, directory: string): string {
  const bytes = lied(hostile)
  const path = join(directory, 'hostile.yaml')
  writeFileSync(path, bytes)
  let config: unknown
  try {
    config = readConfigFile(path, SCHEMAS[hostile.program], { hostname: 'node-1', env: ENV })
  } catch (error) {
    if (!isFleetError(error, 'CONFIG_INVALID')) throw error
    assert.ok(error.message.length < 20_000, 'a complaint can be read')
    return error.code
  }
  const text = bytes.toString('utf8')
  for (const [where, value] of leaves(config, 'config')) {
    if (typeof value === 'number') assert.ok(Number.isFinite(value), `${where} is ${value}`)
    if (typeof value === 'string') {
      assert.ok(
        !value.includes('\ufffd') || Buffer.from(text).equals(bytes),
        `${where} was made of bytes that are no text`,
      )
      assert.doesNotMatch(value, /\[object |\[native code\]/, `${where} is something of the language`)
    }
  }
  // Whatever is said at the top of the file is said of the config: nothing that is unknown passes.
  const known = new Set(Object.keys(SCHEMAS[hostile.program].entries))
  for (const key of text.matchAll(/^([A-Za-z_]\w*):(?=\s|$)/gm))
    assert.ok(known.has(key[1] ?? ''), `the unknown key ${key[1]} passed`)
  return 'read, as written'
}
