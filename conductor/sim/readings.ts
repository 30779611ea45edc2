// Owns every value that ever stood in a target key of a simulated Consul: what was written when, and what stands there now.
import type { KeyRecord, Records } from '#adapters/memory/records.ts'
import type { Name } from '#fleet/build.ts'
import type { Keys } from '#fleet/keys.ts'
import { type Order, readOrder } from '#fleet/wire.ts'

/** One value of a key, as every node reads it. */
export interface Reading {
  readonly order: Order
  readonly modifyIndex: number
  /** The how manieth value it was, over all rings. One that is put back has its old rank. */
  readonly rank: number
  /** It stood there before something newer did: Consul was restored. */
  putBack: boolean
}

export class Readings {
  readonly #records: Records
  readonly #keys: Keys
  readonly #known = new Map<KeyRecord, Reading>()
  readonly #standing = new Map<Name, KeyRecord>()
  readonly #app: string

  constructor(records: Records, keys: Keys, app: string) {
    this.#records = records
    this.#keys = keys
    this.#app = app
  }

  current(ring: Name): Reading | null {
    const record = this.#records.get(this.#keys.target(ring))
    return record === null ? null : this.#read(ring, record)
  }

  #read(ring: Name, record: KeyRecord): Reading {
    const found = this.#known.get(record)
    if (found !== undefined) return found
    const order = readOrder(record.value, { app: this.#app, ring })
    const reading = { order, modifyIndex: record.modifyIndex, rank: this.#known.size, putBack: false }
    this.#known.set(record, reading)
    return reading
  }

  /** What stands there now if it is something else than at the last call. */
  changed(ring: Name): Reading | null {
    const record = this.#records.get(this.#keys.target(ring))
    const before = this.#standing.get(ring)
    if (record === null || record === before) return null
    this.#standing.set(ring, record)
    const isOld = this.#known.has(record)
    const reading = this.#read(ring, record)
    if (isOld) reading.putBack = true
    return reading
  }
}
