// Owns the bytes of every Consul record: what is written, and what is believed when it is read.
import * as v from 'valibot'
import { BUILD_ID, type BuildId, DIGEST, type Digest, NAME, type Name } from './build.ts'
import { type ErrorCode, FleetError } from './errors.ts'
import { type NodeStatus, PHASES } from './node-status.ts'
import type { CatalogEntry, HistoryEntry, LeaseNote, Pin, Request } from './ports.ts'
import { ROLLOUT_PHASES, type Rollout } from './rollout.ts'
import { ALL, type BareOrder, readBare, type Target } from './target.ts'

/** Version of every record that this program writes and the highest that it reads. */
const WIRE_VERSION = 1

/** Records stay below this, far under Consul's 512 KiB: a target wakes every node of a ring. */
const MAX_RECORD_BYTES = 8 * 1024

/**
 * Turns the bytes of a key into the bytes of a record. Today they are the same; signed records (strict mode) unwrap and check their
 * envelope here, before anything is parsed.
 */
export type Opener = (raw: Uint8Array) => Uint8Array
const unsigned: Opener = (raw) => raw

// Branded strings: the check is the brand.
const buildId = v.pipe(
  v.string(),
  v.regex(BUILD_ID, 'must be a build id'),
  v.check((text) => !text.includes('..'), 'must not contain ".."'),
  v.transform((text) => text as BuildId),
)
const digest = v.pipe(
  v.string(),
  v.regex(DIGEST, 'must be sha256: and 64 hexadecimal digits'),
  v.transform((text) => text as Digest),
)
const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash'),
  v.transform((text) => text as Name),
)
const count = v.pipe(v.number(), v.safeInteger('must be a whole number'), v.minValue(0, 'must not be negative'))
const line = v.pipe(v.string(), v.maxLength(2_000, 'must be at most 2000 characters'))
const version = v.literal(WIRE_VERSION)

const targetSchema = v.object({
  v: version,
  app: name,
  ring: name,
  generation: count,
  build: v.nullable(buildId),
  manifest: v.optional(v.nullable(digest), null),
  fallback: v.optional(v.nullable(buildId), null),
  fallbackManifest: v.optional(v.nullable(digest), null),
  cutoff: v.pipe(count, v.maxValue(ALL, 'must be at most 4294967296')),
  salt: v.optional(line, ''),
  rollout: v.optional(line, ''),
  by: v.optional(line, ''),
  reason: v.optional(line, ''),
  at: v.optional(line, ''),
  recall: v.optional(v.boolean(), false),
  attempt: v.optional(v.pipe(count, v.minValue(1, 'must be at least 1')), 1),
  activation: v.optional(v.nullable(line), null),
})

const statusSchema = v.object({
  v: version,
  app: name,
  ring: name,
  node: name,
  phase: v.picklist(PHASES),
  hot: v.nullable(buildId),
  cold: v.nullable(buildId),
  armed: v.optional(v.boolean(), false),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(-1)),
  rollout: v.optional(v.nullable(line), null),
  attempt: v.optional(count, 1),
  refusal: v.optional(v.nullable(v.object({ build: buildId, code: line, message: line })), null),
  at: line,
  troubles: v.optional(v.array(v.object({ code: line, message: line })), []),
  progress: v.optional(v.nullable(v.object({ doneBytes: count, totalBytes: count })), null),
})

const catalogSchema = v.object({
  v: version,
  app: name,
  build: buildId,
  commit: v.nullable(line),
  createdAt: line,
  by: line,
  manifest: digest,
  treeDigest: digest,
  artifact: v.object({ digest, bytes: count }),
  checks: v.optional(v.record(v.string(), line), {}),
  checkedBy: v.optional(v.record(v.string(), v.object({ by: line, at: line, reason: line }))),
  contains: v.optional(v.array(line)),
  good: v.optional(v.record(v.string(), line), {}),
  quarantine: v.optional(v.nullable(v.object({ by: line, reason: line, at: line })), null),
})

const buildRef = v.object({ build: buildId, manifest: digest })
const ringMark = v.object({
  began: count,
  salt: line,
  peak: v.pipe(count, v.maxValue(ALL)),
  recalled: v.nullable(count),
  closed: v.nullable(count),
  prior: v.nullable(buildRef),
})

const rolloutSchema = v.object({
  v: version,
  app: name,
  id: line,
  build: buildId,
  manifest: digest,
  by: line,
  reason: line,
  startedAt: line,
  endedAt: v.nullable(line),
  phase: v.picklist(ROLLOUT_PHASES),
  stages: v.array(v.object({ ring: name, share: v.pipe(v.number(), v.minValue(0), v.maxValue(100)) })),
  stage: count,
  fallbacks: v.record(v.string(), v.nullable(buildRef)),
  hold: v.nullable(v.object({ by: line, code: line, reason: line, at: line })),
  outcome: v.nullable(line),
  generations: v.record(v.string(), count),
  marks: v.optional(v.record(v.string(), ringMark), {}),
  cause: v.optional(v.nullable(line), null),
  attempt: v.optional(v.pipe(count, v.minValue(1)), 1),
  activation: v.optional(v.nullable(line), null),
  adopt: v.optional(v.boolean(), false),
  there: v.optional(v.array(line), []),
  orders: v.optional(v.record(v.string(), digest), {}),
  forced: v.optional(v.array(line), []),
  supersedes: v.optional(v.nullable(line), null),
  afterRollout: v.optional(v.boolean(), false),
})

const leaseSchema = v.object({ v: version, holder: line, since: line, rollout: v.nullable(line), reason: line })
const pinSchema = v.object({ v: version, by: line, reason: line, expires: v.optional(v.nullable(line), null) })
const requestSchema = v.object({
  v: version,
  id: line,
  verb: line,
  args: v.record(v.string(), v.unknown()),
  by: line,
  expires: line,
  generations: v.record(v.string(), count),
})
const historySchema = v.object({
  v: version,
  seq: count,
  prev: v.string(),
  at: line,
  by: line,
  event: line,
  facts: v.record(v.string(), v.unknown()),
})

function firstIssue([issue]: readonly v.BaseIssue<unknown>[]): string {
  if (issue === undefined) return 'does not fit'
  const path = v.getDotPath(issue)
  return path === null ? issue.message : `${path}: ${issue.message}`
}

type Codes = Readonly<Record<'invalid' | 'tooNew', ErrorCode>>
const TARGET_CODES: Codes = { invalid: 'TARGET_INVALID', tooNew: 'TARGET_TOO_NEW' }
const RECORD_CODES: Codes = { invalid: 'RECORD_INVALID', tooNew: 'RECORD_TOO_NEW' }

// Fatal: bytes that are no UTF-8 must not become a record by way of replacement characters.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a record and drops its `v`: inside the programs everything is of the version that this one reads. */
function parseRecord<schema extends v.GenericSchema<unknown, { v: 1 }>>(
  raw: Uint8Array,
  schema: schema,
  what: string,
  codes: Codes,
): Omit<v.InferOutput<schema>, 'v'> {
  const [bytes, most] = [raw.byteLength, MAX_RECORD_BYTES]
  if (bytes > most) throw new FleetError(codes.invalid, `${what} has ${bytes} bytes, at most ${most} are read`)
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

function writeRecord(record: object, what: string): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify({ v: WIRE_VERSION, ...record }))
  if (bytes.byteLength > MAX_RECORD_BYTES) {
    const size = `${bytes.byteLength} bytes, at most ${MAX_RECORD_BYTES} are written`
    throw new FleetError('CONSUL_TOO_LARGE', `${what} would have ${size}`)
  }
  return bytes
}

/** What stands in a target key: a record, or a bare build id. */
export type Order =
  | { readonly kind: 'record'; readonly target: Target }
  | { readonly kind: 'bare'; readonly bare: BareOrder }

/**
 * Reads the value of a target key.
 * @param expected the reader's own app and ring: a record of another is refused, wherever it was found
 * @throws FleetError `TARGET_EMPTY` · `TARGET_INVALID` · `TARGET_TOO_NEW` · `TARGET_FOREIGN`
 */
export function readOrder(raw: Uint8Array, expected: { app: string; ring: string }, open: Opener = unsigned): Order {
  const text = new TextDecoder().decode(raw.subarray(0, 1_024)).trim()
  if (raw.byteLength === 0 || text === '') throw new FleetError('TARGET_EMPTY', 'the target key holds no bytes')
  const bare = raw.byteLength <= 256 ? readBare(text) : null
  if (bare !== null) return { kind: 'bare', bare }
  return { kind: 'record', target: readTarget(raw, expected, open) }
}

/** Reads a target record; as `readOrder`, but a bare id is refused like any other text. */
export function readTarget(raw: Uint8Array, expected: { app: string; ring: string }, open: Opener = unsigned): Target {
  const target = parseRecord(open(raw), targetSchema, 'the target record', TARGET_CODES)
  if (target.app !== expected.app || target.ring !== expected.ring) {
    throw new FleetError(
      'TARGET_FOREIGN',
      `the record is for ${target.app}/${target.ring}, this is ${expected.app}/${expected.ring}`,
    )
  }
  if (target.build !== null && target.manifest === null) {
    throw new FleetError('TARGET_INVALID', 'the target record names a build without its manifest')
  }
  if (target.fallback !== null && target.fallbackManifest === null) {
    throw new FleetError('TARGET_INVALID', 'the target record names a fallback without its manifest')
  }
  return target
}

export function writeTarget(target: Target): Uint8Array {
  const { recall, attempt, activation, ...rest } = target
  // Optional fields are written only where they say something: a record is read by people too.
  const record = {
    ...rest,
    ...(recall && { recall }),
    ...(attempt !== 1 && { attempt }),
    ...(activation !== null && { activation }),
  }
  return writeRecord(record, 'the target record')
}

/** @throws FleetError `RECORD_INVALID` · `RECORD_TOO_NEW`, as every reader below */
export function readStatus(raw: Uint8Array): NodeStatus {
  return parseRecord(raw, statusSchema, 'a status', RECORD_CODES)
}

export const writeStatus = (status: NodeStatus): Uint8Array => writeRecord(status, 'the status')

export function readCatalogEntry(raw: Uint8Array): CatalogEntry {
  return parseRecord(raw, catalogSchema, 'a catalog entry', RECORD_CODES)
}

export const writeCatalogEntry = (entry: CatalogEntry): Uint8Array => writeRecord(entry, 'the catalog entry')

export function readRollout(raw: Uint8Array): Rollout {
  return parseRecord(raw, rolloutSchema, 'the rollout record', RECORD_CODES)
}

export const writeRollout = (rollout: Rollout): Uint8Array => writeRecord(rollout, 'the rollout record')

export function readLeaseNote(raw: Uint8Array): LeaseNote {
  return parseRecord(raw, leaseSchema, 'the lease record', RECORD_CODES)
}

export const writeLeaseNote = (note: LeaseNote): Uint8Array => writeRecord(note, 'the lease record')

export function readPin(raw: Uint8Array): Pin {
  return parseRecord(raw, pinSchema, 'a pin', RECORD_CODES)
}

export const writePin = (pin: Pin): Uint8Array => writeRecord(pin, 'the pin')

export function readRequest(raw: Uint8Array): Request {
  return parseRecord(raw, requestSchema, 'a request', RECORD_CODES)
}

export const writeRequest = (request: Request): Uint8Array => writeRecord(request, 'the request')

export function readHistoryEntry(raw: Uint8Array): HistoryEntry {
  return parseRecord(raw, historySchema, 'a history entry', RECORD_CODES)
}

export const writeHistoryEntry = (entry: HistoryEntry): Uint8Array => writeRecord(entry, 'the history entry')
