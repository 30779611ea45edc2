// Owns hostile Consul records: honest ones of every kind, lies about their fields and their bytes, and what may be believed of the result.
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { type ErrorCode, isFleetError } from '#fleet/errors.ts'
import * as wire from '#fleet/wire.ts'
import { type ByteLie, byteLieArb, hostileJson, lieAboutBytes, octets, raw, valueArb } from './text.ts'

const DIGEST = `sha256:${'ab'.repeat(32)}`
const REF = { build: 'b2', manifest: DIGEST }
export const TARGET = {
  ...{ v: 1, app: 'web', ring: 'production', generation: 57, build: 'b2', manifest: DIGEST },
  ...{ fallback: 'b1', fallbackManifest: DIGEST, cutoff: 1_073_741_824, salt: 'r-1', rollout: 'r-1', by: 'ana' },
  ...{ reason: 'scheduled', at: '2026-11-22T16:04:30.120Z', recall: true, attempt: 2, activation: 'again' },
}
const HERE = { app: 'web', ring: 'production' }

interface Kind {
  readonly honest: object
  readonly read: (raw: Uint8Array) => object
  readonly write: (record: never) => Uint8Array
  readonly refusals: readonly ErrorCode[]
}

const RECORD: readonly ErrorCode[] = ['RECORD_INVALID', 'RECORD_TOO_NEW']
const mark = { began: 3, salt: 's', peak: 9, recalled: null, closed: 4, prior: REF }
const rollout = {
  ...{
    v: 1,
    app: 'web',
    id: 'r-1',
    ...REF,
    by: 'ana',
    reason: '',
    startedAt: 'now',
    endedAt: null,
    phase: 'advancing',
  },
  ...{ stages: [{ ring: 'production', share: 50 }], stage: 0, fallbacks: { production: REF, canary: null } },
  ...{ hold: { by: 'ana', code: 'HELD', reason: 'r', at: 'now' }, outcome: null, generations: { production: 5 } },
  ...{ marks: { production: mark }, cause: null, attempt: 1, activation: null, adopt: false, there: ['canary'] },
  ...{ waivers: [{ node: 'n-1', by: 'ana', reason: 'r', at: 'now' }], commander: 'ben', promoted: 1, back: true },
}
const status = {
  ...{ v: 1, app: 'web', ring: 'production', node: 'n-1', phase: 'idle', hot: 'b2', cold: null, armed: true },
  ...{ generation: -1, rollout: 'r-1', attempt: 1, refusal: { build: 'b3', code: 'X', message: 'm' }, at: 'now' },
  ...{ troubles: [{ code: 'C', message: 'm' }], progress: { doneBytes: 1, totalBytes: 2 } },
}
const entry = {
  ...{ v: 1, app: 'web', build: 'b2', commit: null, createdAt: 'now', by: 'ana', manifest: DIGEST, treeDigest: DIGEST },
  ...{ artifact: { digest: DIGEST, bytes: 12 }, checks: { smoke: 'ok' }, good: { production: 'now' } },
  ...{ quarantine: { by: 'ana', reason: 'bad', at: 'now' } },
}

export const KINDS = {
  target: {
    honest: TARGET,
    read: (bytes) => wire.readTarget(bytes, HERE),
    write: wire.writeTarget,
    refusals: ['TARGET_INVALID', 'TARGET_TOO_NEW', 'TARGET_FOREIGN'],
  },
  status: { honest: status, read: wire.readStatus, write: wire.writeStatus, refusals: RECORD },
  catalog: { honest: entry, read: wire.readCatalogEntry, write: wire.writeCatalogEntry, refusals: RECORD },
  rollout: { honest: rollout, read: wire.readRollout, write: wire.writeRollout, refusals: RECORD },
  lease: {
    honest: { v: 1, holder: 'ana', since: 'now', rollout: null, build: null, reason: 'r' },
    read: wire.readLeaseNote,
    write: wire.writeLeaseNote,
    refusals: RECORD,
  },
  pin: {
    honest: { v: 1, by: 'ana', reason: 'r', expires: 'never' },
    read: wire.readPin,
    write: wire.writePin,
    refusals: RECORD,
  },
  request: {
    honest: {
      v: 1,
      id: 'q',
      verb: 'release',
      args: { build: 'b2', deep: { er: [1] } },
      by: 'ana',
      expires: 'now',
      generations: { production: 5 },
    },
    read: wire.readRequest,
    write: wire.writeRequest,
    refusals: RECORD,
  },
  history: {
    honest: { v: 1, seq: 4, prev: '', at: 'now', by: 'ana', event: 'released', facts: { build: 'b2', nodes: ['a'] } },
    read: wire.readHistoryEntry,
    write: wire.writeHistoryEntry,
    refusals: RECORD,
  },
} as const satisfies Record<string, Kind>

/** A lie about one field, wherever it lies; fields are named by any whole number, taken modulo. */
export type FieldLie =
  | { readonly field: 'set'; readonly at: number; readonly value: unknown }
  | { readonly field: 'drop'; readonly at: number }
  | { readonly field: 'add'; readonly at: number; readonly key: string; readonly value: unknown }
  | { readonly field: 'twice'; readonly key: string; readonly value: unknown; readonly last: boolean }

export interface RecordCase {
  readonly kind: keyof typeof KINDS
  readonly fields: readonly FieldLie[]
  readonly bytes: readonly ByteLie[]
}

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'v',
  'app',
  'ring',
  'generation',
  'build',
  'more',
  '',
  'a\u0000b',
  '\ud800',
]
const at = fc.nat({ max: 500 })
const fieldValueArb = fc.oneof(
  { weight: 4, arbitrary: valueArb },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      'other',
      'web',
      'production',
      'b9',
      '..',
      'a..b',
      'B',
      '-',
      'x'.repeat(2_000),
      'x'.repeat(2_001),
      'x'.repeat(9_000),
      4_294_967_296,
      4_294_967_297,
      [REF],
      { b: REF },
      octets('ff'),
      raw('{"a":1,"a":2}'),
    ),
  },
)

export const fieldLieArb: fc.Arbitrary<FieldLie> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ field: fc.constant('set' as const), at, value: fieldValueArb }) },
  { weight: 1, arbitrary: fc.record({ field: fc.constant('drop' as const), at }) },
  {
    weight: 2,
    arbitrary: fc.record({
      field: fc.constant('add' as const),
      at,
      key: fc.constantFrom(...KEYS),
      value: fieldValueArb,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      field: fc.constant('twice' as const),
      key: fc.constantFrom(...KEYS),
      value: fieldValueArb,
      last: fc.boolean(),
    }),
  },
)

const few = <value>(arbitrary: fc.Arbitrary<value>) => fc.array(arbitrary, { maxLength: 2 })
export const recordCaseArb: fc.Arbitrary<RecordCase> = fc.record({
  kind: fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[])),
  fields: few(fieldLieArb),
  bytes: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: few(byteLieArb) }),
})

function places(value: unknown): { of: Record<string, unknown>; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const of = value as Record<string, unknown>
  return Object.keys(of).flatMap((key) => [{ of, key }, ...places(of[key])])
}

/** The bytes of a record with lies told about it. */
export function liedRecord(honest: object, fields: readonly FieldLie[], bytes: readonly ByteLie[]): Buffer {
  const record = structuredClone(honest)
  for (const lie of fields) {
    if (lie.field === 'twice') continue
    const all = places(record)
    const place = all[lie.at % Math.max(1, all.length)]
    if (place === undefined) continue
    if (lie.field === 'drop') delete place.of[place.key]
    else {
      const key = lie.field === 'set' ? place.key : lie.key
      Object.defineProperty(place.of, key, { value: lie.value, enumerable: true, configurable: true, writable: true })
    }
  }
  let text = hostileJson(record).toString('latin1')
  for (const lie of fields) {
    if (lie.field !== 'twice') continue
    const pair = `${hostileJson(lie.key).toString('latin1')}:${hostileJson(lie.value).toString('latin1')}`
    text = lie.last ? text.replace(/\}$/, `,${pair}}`) : text.replace('{', `{${pair},`)
  }
  return bytes.reduce<Buffer>(lieAboutBytes, Buffer.from(text, 'latin1'))
}

const DEFAULTS: readonly string[] = ['null', '""', 'false', '1', '[]', '{}']

/** What was believed stands in the bytes, word for word, or is a default: nothing was made up. */
function assertMeant(got: unknown, said: unknown, where: string): void {
  if (typeof got !== 'object' || got === null || Array.isArray(got)) {
    if (Array.isArray(got) && Array.isArray(said)) {
      assert.equal(got.length, said.length, where)
      for (const [index, item] of got.entries()) assertMeant(item, said[index], `${where}.${index}`)
      return
    }
    assert.equal(JSON.stringify(got), JSON.stringify(said), `${where} is what was written`)
    return
  }
  assert.equal(Object.getPrototypeOf(got), Object.prototype, `${where} has the prototype of all objects`)
  assert.ok(typeof said === 'object' && said !== null, where)
  for (const [key, value] of Object.entries(got)) {
    if (Object.hasOwn(said, key)) assertMeant(value, (said as Record<string, unknown>)[key], `${where}.${key}`)
    else
      assert.ok(
        DEFAULTS.includes(JSON.stringify(value)),
        `${where}.${key} was never written, but is ${JSON.stringify(value)}`,
      )
  }
}

/** @returns the code it was refused with, or that it was believed */
export function checkRecord({ kind, fields, bytes }: RecordCase): string {
  const { honest, read, write, refusals } = KINDS[kind] as Kind
  const written = liedRecord(honest, fields, bytes)
  let got: object
  try {
    got = read(written)
  } catch (error) {
    if (!isFleetError(error, ...refusals)) throw error
    return error.code
  }
  const said = JSON.parse(written.toString('utf8')) as { v: unknown; app?: unknown; ring?: unknown }
  assert.equal(said.v, 1)
  assertMeant(got, said, kind)
  if (kind === 'target')
    assert.deepEqual([said.app, said.ring], ['web', 'production'], 'an order is for this app and ring')
  const again = write(got as never)
  assert.deepEqual(asJson(read(again)), asJson(got), 'what is believed is written and read again as it is')
  return 'believed, as written'
}

/** JSON reads -0 and writes 0: the one value that does not come back as it was. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
