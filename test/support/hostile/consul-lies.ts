// Owns hostile answers of a Consul, or of what stands before it: honest ones with lies about status, headers, body and ending.
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import type { Lie } from '#test/support/lying-consul.ts'
import { KINDS } from './record-lies.ts'
import {
  type ByteLie,
  byteLieArb,
  hostileJson,
  lieAboutBytes,
  marked,
  numberArb,
  octets,
  raw,
  valueArb,
} from './text.ts'

const CALLS = [
  'get',
  'list',
  'cas',
  'put',
  'delete',
  'acquire',
  'transact',
  'session',
  'renew',
  'alive',
  'order',
  'build',
  'roster',
  'pin',
] as const
export type CallName = (typeof CALLS)[number]

type BodyLie =
  | { readonly body: 'field'; readonly key: string; readonly value: unknown }
  | { readonly body: 'bytes'; readonly lie: ByteLie }
  | { readonly body: 'other'; readonly text: string }
  | { readonly body: 'twice' | 'gzip' | 'huge value' | 'deep' | 'stray' | 'key twice' }

export interface AnswerCase {
  readonly call: CallName
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: readonly BodyLie[]
  readonly ending: NonNullable<Lie['ending']>
  readonly chunked: boolean
}

const BODIES = [
  '',
  'null',
  'true',
  'false',
  '[]',
  '{}',
  '[null]',
  '[[]]',
  '[{}]',
  '0',
  '"x"',
  '<html><body>502</body></html>',
  'rpc error: No cluster leader',
  'Permission denied',
  '{"Errors":[{"OpIndex":0,"What":"no"}]}',
  '{"Results":[{"KV":{}}]}',
  '{"Results":null,"Errors":null}',
  '{"ID":""}',
  '[{"ID":5}]',
  '{"Results":[],"Errors":[]}',
  '\u0000',
  octets('ff'),
]
const KEYS = [
  'Key',
  'Value',
  'Flags',
  'CreateIndex',
  'ModifyIndex',
  'LockIndex',
  'Session',
  'ID',
  'Results',
  'Errors',
  '__proto__',
  'constructor',
]
const VALUES = [
  '!!!!',
  'YQ',
  'YQ==\n',
  'YQ===',
  '=',
  '_-_-',
  'A'.repeat(700_000),
  raw('"\\u0000"'),
  octets('ff'),
  'aHR0cA',
  null,
  '',
]

const bodyArb: fc.Arbitrary<BodyLie> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      body: fc.constant('field' as const),
      key: fc.constantFrom(...KEYS),
      value: fc.oneof(valueArb, numberArb, fc.constantFrom(...VALUES)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ body: fc.constant('bytes' as const), lie: byteLieArb }) },
  { weight: 2, arbitrary: fc.record({ body: fc.constant('other' as const), text: fc.constantFrom(...BODIES) }) },
  {
    weight: 2,
    arbitrary: fc.record({ body: fc.constantFrom('twice', 'gzip', 'huge value', 'deep', 'stray', 'key twice') }),
  },
)

const INDEXES: readonly (string | string[])[] = [
  '',
  '0',
  '-1',
  '1.5',
  '1e3',
  'NaN',
  '99999999999999999999',
  '9007199254740993',
  ['5', '7'],
  ['7', '7'],
  ' 7 ',
  '7,8',
  '0x7',
]
const TYPES: readonly (string | string[])[] = [
  'text/html',
  'application/json; charset=utf-8',
  'application/json;charset=utf-16',
  'APPLICATION/JSON',
  'application/jsonp',
  'text/plain',
  '',
  ['application/json', 'text/html'],
  'application/octet-stream',
]
const headersArb = fc.record(
  {
    'content-type': fc.constantFrom(...TYPES),
    'x-consul-index': fc.constantFrom(...INDEXES),
    'x-consul-knownleader': fc.constantFrom<string | string[]>('false', 'true', '', 'TRUE', ['true', 'false']),
    'x-consul-lastcontact': fc.constantFrom<string | string[]>('0', '-5', '1e9', '', '99999999999999999999'),
    'content-encoding': fc.constantFrom('gzip', 'br', 'identity'),
    location: fc.constantFrom('http://127.0.0.1:1/', '/v1/kv/other', 'file:///etc/passwd'),
    'set-cookie': fc.constant(['a=b', '__proto__=1']),
  },
  { requiredKeys: [] },
)

export const answerCaseArb: fc.Arbitrary<AnswerCase> = fc.record({
  call: fc.constantFrom(...CALLS),
  status: fc.oneof(
    { weight: 6, arbitrary: fc.constant(200) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        201,
        204,
        206,
        301,
        302,
        304,
        307,
        400,
        401,
        403,
        404,
        409,
        413,
        418,
        429,
        500,
        502,
        503,
        599,
      ),
    },
  ),
  headers: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 3, arbitrary: headersArb }),
  body: fc.array(bodyArb, { maxLength: 2 }),
  ending: fc.oneof(
    { weight: 30, arbitrary: fc.constant('end' as const) },
    { weight: 3, arbitrary: fc.constantFrom('cut' as const, 'reset' as const) },
    { weight: 1, arbitrary: fc.constantFrom('hang' as const, 'mute' as const) },
  ),
  chunked: fc.boolean(),
}) as fc.Arbitrary<AnswerCase>

export const KEY = 'hotcold/v1/web/production/target'
export const NODES = 'hotcold/v1/web/production/nodes/'
const BUILD = 'hotcold/v1/web/builds/b2'
const PIN = 'hotcold/v1/web/production/pins/n-1'
export const SESSION = '11111111-2222-3333-4444-555555555555'

function entry(key: string, value: object | string): Record<string, unknown> {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return {
    Key: key,
    Value: Buffer.from(text).toString('base64'),
    Flags: 0,
    LockIndex: 1,
    CreateIndex: 1,
    ModifyIndex: 7,
    Session: SESSION,
  }
}

/** The body of an honest answer. */
function honest(call: CallName): unknown {
  switch (call) {
    case 'get':
    case 'order':
      return [entry(KEY, KINDS.target.honest)]
    case 'list':
    case 'roster':
      return [entry(`${NODES}n-1`, KINDS.status.honest), entry(`${NODES}n-2`, { ...KINDS.status.honest, node: 'n-2' })]
    case 'build':
      return [entry(BUILD, KINDS.catalog.honest)]
    case 'pin':
      return [entry(PIN, KINDS.pin.honest)]
    case 'transact':
      return { Results: [{ KV: entry(KEY, 'x') }], Errors: null }
    case 'session':
      return { ID: SESSION }
    case 'renew':
    case 'alive':
      return [{ ID: SESSION }]
    default:
      return true
  }
}

/** The body of an answer with lies told about it. */
export function bodyOf(call: CallName, lies: readonly BodyLie[]): Buffer {
  let value = honest(call)
  for (const lie of lies) {
    const first: unknown = Array.isArray(value) ? value[0] : value
    if (lie.body === 'twice' && Array.isArray(value)) value = [...value, ...structuredClone(value)]
    if (lie.body === 'stray' && Array.isArray(value))
      value = [entry('hotcold/v1/shop/production/target', 'b9'), ...value]
    if (typeof first !== 'object' || first === null) continue
    const huge = { key: 'Value', value: Buffer.alloc(600_000, 'x').toString('base64') }
    const field = lie.body === 'field' ? lie : lie.body === 'huge value' ? huge : null
    if (field !== null)
      Object.defineProperty(first, field.key, {
        value: field.value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
  }
  let bytes = hostileJson(value)
  for (const lie of lies) {
    if (lie.body === 'other') bytes = marked(lie.text)
    if (lie.body === 'bytes') bytes = lieAboutBytes(bytes, lie.lie)
    if (lie.body === 'gzip') bytes = gzipSync(bytes)
    if (lie.body === 'deep') bytes = Buffer.from(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)
    if (lie.body === 'key twice')
      bytes = Buffer.from(bytes.toString('latin1').replace('{', '{"Key":"x","ModifyIndex":99,'), 'latin1')
  }
  return bytes
}
