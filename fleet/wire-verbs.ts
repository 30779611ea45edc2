// Owns the bytes of what operators say by verbs: the holds of the line, and what a rollout remembers of them.
import * as v from 'valibot'
import { isFleetError } from './errors.ts'
import type { LineHold } from './hold.ts'
import { count, line, name, parseRecord, RECORD_CODES, version, writeRecord } from './wire-record.ts'

const expires = v.optional(v.nullable(line), null)
const lineSchema = v.object({
  v: version,
  holds: v.array(v.object({ ring: v.nullable(name), by: line, reason: line, at: line, expires })),
})

/** Fields of the rollout record that verbs write; records from before them are read all the same. */
export const verbFields = {
  waivers: v.optional(v.array(v.object({ node: name, by: line, reason: line, at: line })), []),
  commander: v.optional(v.nullable(line), null),
  promoted: v.optional(v.nullable(count), null),
  back: v.optional(v.boolean(), false),
}

/** @throws FleetError `RECORD_INVALID` · `RECORD_TOO_NEW` */
function readLine(raw: Uint8Array): readonly LineHold[] {
  return parseRecord(raw, lineSchema, 'the hold record', RECORD_CODES).holds
}

/** The holds that stand in the key; one that cannot be read holds everything: someone meant to stop the line. */
export function lineIn(raw: Uint8Array | null): readonly LineHold[] {
  if (raw === null) return []
  try {
    return readLine(raw)
  } catch (error) {
    if (!isFleetError(error)) throw error
    const reason = `the hold record cannot be read (${error.message}), so it holds`
    return [{ ring: null, by: 'unknown', reason, at: '', expires: null }]
  }
}

export const writeLine = (holds: readonly LineHold[]): Uint8Array => writeRecord({ holds }, 'the hold record')
