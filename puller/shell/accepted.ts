// Owns the highest order a node accepted, as it lies on disk: the ratchet and the order it stands at, in one durable write.
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { NO_RATCHET, place, type Ratchet, type Target } from '#fleet/target.ts'
import { readTarget, writeTarget } from '#fleet/wire.ts'
import type { Order } from '../core/state.ts'

export interface Accepted {
  readonly ratchet: Ratchet
  /** Null before the first order. */
  readonly order: Order | null
}

const NOTHING_ACCEPTED: Accepted = { ratchet: NO_RATCHET, order: null }

/** Who reads orders here. */
export interface Reader {
  readonly app: Name
  readonly ring: Name
  readonly node: Name
}

const VERSION = 1

export function orderOf(target: Target, reader: Reader, modifyIndex: number, bare: boolean): Order {
  return { target, place: place(target.salt, reader.node), modifyIndex, bare }
}

export function encodeAccepted(accepted: Accepted): object {
  const { ratchet, order } = accepted
  const record = order === null ? null : new TextDecoder().decode(writeTarget(order.target))
  return { v: VERSION, ...ratchet, bare: order?.bare ?? false, record }
}

/**
 * Reads what `encodeAccepted` wrote.
 * @throws FleetError `JOURNAL_TOO_NEW`: a newer puller wrote it · `JOURNAL_INVALID`: it is not ours, or for another app or ring
 */
export function decodeAccepted(value: unknown, reader: Reader): Accepted {
  if (value === null) return NOTHING_ACCEPTED
  if (typeof value !== 'object') throw invalid('it is no object')
  const fields = new Map<string, unknown>(Object.entries(value))
  const version = fields.get('v')
  if (typeof version === 'number' && version > VERSION) {
    throw new FleetError('JOURNAL_TOO_NEW', `the ratchet is of version ${version}, this puller reads ${VERSION}`)
  }
  const generation = fields.get('generation')
  const modifyIndex = fields.get('modifyIndex')
  const record = fields.get('record')
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(modifyIndex)) throw invalid('it has no generation')
  const ratchet = { generation: Number(generation), modifyIndex: Number(modifyIndex) }
  if (record === null) return { ratchet, order: null }
  if (typeof record !== 'string') throw invalid('it has no record')
  try {
    const target = readTarget(new TextEncoder().encode(record), reader)
    return { ratchet, order: orderOf(target, reader, ratchet.modifyIndex, fields.get('bare') === true) }
  } catch (cause) {
    // The number alone still keeps older orders out: the ratchet never falls.
    throw new FleetError('JOURNAL_INVALID', 'the accepted order cannot be read', { cause })
  }
}

function invalid(why: string): FleetError {
  return new FleetError('JOURNAL_INVALID', `the ratchet cannot be read: ${why}`)
}

/** The numbers of a ratchet whose order could not be read; null when there are none either. */
export function ratchetIn(value: unknown): Ratchet | null {
  if (typeof value !== 'object' || value === null) return null
  const fields = new Map<string, unknown>(Object.entries(value))
  const generation = fields.get('generation')
  const modifyIndex = fields.get('modifyIndex')
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(modifyIndex)) return null
  return { generation: Number(generation), modifyIndex: Number(modifyIndex) }
}
