// Owns the bytes of every Consul record: what is written, and what is believed when it is read.
import * as v from 'valibot'
import { type ErrorCode, FleetError } from './errors.ts'
import type { LineHold } from './hold.ts'
import { jsonLevels } from './json-levels.ts'
import type { NodeStatus } from './node-status.ts'
import type { CatalogEntry, HistoryEntry, LeaseNote, Pin, Request } from './ports.ts'
import type { Rollout } from './rollout.ts'
import type { SlotRecord } from './slot.ts'
import { type BareOrder, readBare, type Target } from './target.ts'
import {
  catalogSchema,
  historySchema,
  leaseSchema,
  lineSchema,
  pinSchema,
  requestSchema,
  rolloutSchema,
  slotSchema,
  statusSchema,
  targetSchema,
  WIRE_VERSION,
} from './wire-schemas.ts'

/** Records stay below this, far under Consul's 512 KiB: a target wakes every node of a ring. */
const MAX_RECORD_BYTES = 8 * 1024
/** No record of ours has more than a handful: one that has would end whoever prints it. */
const MAX_RECORD_LEVELS = 32

/**
 * Turns the bytes of a key into the bytes of a record. Today they are the same; signed records (strict mode) unwrap and check their
 * envelope here, before anything is parsed.
 */
export type Opener = (raw: Uint8Array) => Uint8Array
const unsigned: Opener = (raw) => raw

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
  let levels: number
  try {
    const text = utf8.decode(raw)
    value = JSON.parse(text)
    levels = jsonLevels(text)
  } catch (cause) {
    throw new FleetError(codes.invalid, `${what} is not JSON`, { cause })
  }
  if (levels > MAX_RECORD_LEVELS) {
    throw new FleetError(codes.invalid, `${what} is nested ${levels} deep, at most ${MAX_RECORD_LEVELS} are read`)
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

/** The holds that stand in the key; a record that cannot be read holds everything: someone meant to stop the line. */
export function lineIn(raw: Uint8Array | null): readonly LineHold[] {
  if (raw === null) return []
  try {
    return parseRecord(raw, lineSchema, 'the hold record', RECORD_CODES).holds
  } catch (error) {
    if (!(error instanceof FleetError)) throw error
    const reason = `the hold record cannot be read (${error.message}), so it holds`
    return [{ ring: null, by: 'unknown', reason, at: '', expires: null }]
  }
}

export const writeLine = (holds: readonly LineHold[]): Uint8Array => writeRecord({ holds }, 'the hold record')

export function readSlot(raw: Uint8Array): SlotRecord {
  return parseRecord(raw, slotSchema, 'a slot record', RECORD_CODES)
}

export const writeSlot = (record: SlotRecord): Uint8Array => writeRecord(record, 'the slot record')

export function readHistoryEntry(raw: Uint8Array): HistoryEntry {
  return parseRecord(raw, historySchema, 'a history entry', RECORD_CODES)
}

export const writeHistoryEntry = (entry: HistoryEntry): Uint8Array => writeRecord(entry, 'the history entry')
