// Owns how any record is read and written: size, version, and the parts that records are made of.
import * as v from 'valibot'
import { BUILD_ID, type BuildId, DIGEST, type Digest, NAME, type Name } from './build.ts'
import { type ErrorCode, FleetError } from './errors.ts'

/** Version of every record that this program writes and the highest that it reads. */
const WIRE_VERSION = 1

/** Records stay below this, far under Consul's 512 KiB: a target wakes every node of a ring. */
const MAX_RECORD_BYTES = 8 * 1024

// Branded strings: the check is the brand.
export const buildId = v.pipe(
  v.string(),
  v.regex(BUILD_ID, 'must be a build id'),
  v.check((text) => !text.includes('..'), 'must not contain ".."'),
  v.transform((text) => text as BuildId),
)
export const digest = v.pipe(
  v.string(),
  v.regex(DIGEST, 'must be sha256: and 64 hexadecimal digits'),
  v.transform((text) => text as Digest),
)
export const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash'),
  v.transform((text) => text as Name),
)
export const count = v.pipe(v.number(), v.safeInteger('must be a whole number'), v.minValue(0, 'must not be negative'))
export const line = v.pipe(v.string(), v.maxLength(2_000, 'must be at most 2000 characters'))
export const version = v.literal(WIRE_VERSION)

function firstIssue(issues: readonly v.BaseIssue<unknown>[]): string {
  const issue = issues[0]
  if (issue === undefined) return 'does not fit'
  const path = v.getDotPath(issue)
  return path === null ? issue.message : `${path}: ${issue.message}`
}

type Codes = Readonly<Record<'invalid' | 'tooNew', ErrorCode>>
export const TARGET_CODES: Codes = { invalid: 'TARGET_INVALID', tooNew: 'TARGET_TOO_NEW' }
export const RECORD_CODES: Codes = { invalid: 'RECORD_INVALID', tooNew: 'RECORD_TOO_NEW' }

// Fatal: bytes that are no UTF-8 must not become a record by way of replacement characters.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a record and drops its `v`: inside the programs everything is of the version that this one reads. */
export function parseRecord<schema extends v.GenericSchema<unknown, { v: 1 }>>(
  raw: Uint8Array,
  schema: schema,
  what: string,
  codes: Codes,
): Omit<v.InferOutput<schema>, 'v'> {
  if (raw.byteLength > MAX_RECORD_BYTES) {
    throw new FleetError(codes.invalid, `${what} has ${raw.byteLength} bytes, at most ${MAX_RECORD_BYTES} are read`)
  }
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(raw))
  } catch (cause) {
    throw new FleetError(codes.invalid, `${what} is not JSON`, { cause })
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'v' in value &&
    typeof value.v === 'number' &&
    value.v > WIRE_VERSION
  ) {
    throw new FleetError(codes.tooNew, `${what} is of version ${value.v}, this program reads ${WIRE_VERSION}`)
  }
  const result = v.safeParse(schema, value)
  if (!result.success) throw new FleetError(codes.invalid, `${what}: ${firstIssue(result.issues)}`)
  const { v: _version, ...record } = result.output
  return record
}

export function writeRecord(record: object, what: string): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify({ v: WIRE_VERSION, ...record }))
  if (bytes.byteLength > MAX_RECORD_BYTES) {
    throw new FleetError(
      'CONSUL_TOO_LARGE',
      `${what} would have ${bytes.byteLength} bytes, at most ${MAX_RECORD_BYTES} are written`,
    )
  }
  return bytes
}
