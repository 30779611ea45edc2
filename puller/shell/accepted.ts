// Owns the highest order a node accepted, as it lies on disk: the ratchet of each ring and the order it stands at, in one durable write.
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { NO_RATCHET, place, type Ratchet, type Target } from '#fleet/target.ts'
import { readTarget, writeTarget } from '#fleet/wire.ts'
import type { Order } from '../core/state.ts'

export interface Accepted {
  readonly ratchet: Ratchet
  /** Null before the first order. */
  readonly order: Order | null
  /** Ratchets of the apps and rings that this root served before, by `app/ring`: generations are not compared across rings, and it may come back. */
  readonly elsewhere: Readonly<Record<string, Ratchet>>
}

export const NOTHING_ACCEPTED: Accepted = { ratchet: NO_RATCHET, order: null, elsewhere: {} }

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
  const { ratchet, order, elsewhere } = accepted
  const record = order === null ? null : new TextDecoder().decode(writeTarget(order.target))
  return { v: VERSION, ...ratchet, bare: order?.bare ?? false, record, elsewhere }
}

/**
 * Reads what `encodeAccepted` wrote. When the node has moved to another app or ring since, its ratchet is what it was there.
 * @throws FleetError `JOURNAL_TOO_NEW`: a newer puller wrote it · `JOURNAL_INVALID`: it is not ours
 */
export function decodeAccepted(value: unknown, reader: Reader): Accepted {
  if (value === null) return NOTHING_ACCEPTED
  if (typeof value !== 'object') throw invalid('it is no object')
  const fields = new Map<string, unknown>(Object.entries(value))
  const version = fields.get('v')
  if (typeof version === 'number' && version > VERSION) {
    throw new FleetError('JOURNAL_TOO_NEW', `the ratchet is of version ${version}, this puller reads ${VERSION}`)
  }
  const record = fields.get('record')
  const numbers = numbersIn(value)
  if (numbers === null) throw invalid('it has no generation')
  const { ratchet, elsewhere } = numbers
  if (record === null) return numbers
  if (typeof record !== 'string') throw invalid('it has no record')
  const there = scopeIn(record)
  const here = scopeOf(reader)
  if (there !== null && there !== here) {
    const { [here]: before = NO_RATCHET, ...others } = elsewhere
    return { ratchet: before, order: null, elsewhere: { ...others, [there]: ratchet } }
  }
  try {
    const target = readTarget(new TextEncoder().encode(record), reader)
    return { ratchet, order: orderOf(target, reader, ratchet.modifyIndex, fields.get('bare') === true), elsewhere }
  } catch (cause) {
    // The number alone still keeps older orders out: the ratchet never falls.
    throw new FleetError('JOURNAL_INVALID', 'the accepted order cannot be read', { cause })
  }
}

const scopeOf = ({ app, ring }: { readonly app: string; readonly ring: string }): string => `${app}/${ring}`

/** Which app and ring a record is for; null when it does not say. */
function scopeIn(record: string): string | null {
  try {
    const { app, ring } = JSON.parse(record) as { app?: unknown; ring?: unknown }
    return typeof app === 'string' && typeof ring === 'string' ? scopeOf({ app, ring }) : null
  } catch {
    return null
  }
}

function invalid(why: string): FleetError {
  return new FleetError('JOURNAL_INVALID', `the ratchet cannot be read: ${why}`)
}

/** The numbers of a ratchet, whether its order can be read or not; null when there are none either. */
export function numbersIn(value: unknown): Accepted | null {
  const ratchet = ratchetIn(value)
  if (ratchet === null) return null
  const others = Object.entries((value as { elsewhere?: object }).elsewhere ?? {}).flatMap(([scope, raw]) => {
    const known = ratchetIn(raw)
    return known === null ? [] : [[scope, known] as const]
  })
  return { ratchet, order: null, elsewhere: Object.fromEntries(others) }
}

function ratchetIn(value: unknown): Ratchet | null {
  if (typeof value !== 'object' || value === null) return null
  const fields = new Map<string, unknown>(Object.entries(value))
  const generation = fields.get('generation')
  const modifyIndex = fields.get('modifyIndex')
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(modifyIndex)) return null
  return { generation: Number(generation), modifyIndex: Number(modifyIndex) }
}
