// Owns reading an operator's pin of a node in memory.

import { pinOf } from '#adapters/consul/pins.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Clock, Pins } from '#fleet/ports.ts'
import { begin, type Records } from './records.ts'

/** The pin of one node; null when there is none or it has expired. */
export function memoryPins(
  records: Records,
  options: { readonly app: string; readonly ring: string; readonly node: string; readonly clock: Clock },
): Pins {
  const key = keysOf(DEFAULT_PREFIX, options.app).pin(options.ring, options.node)
  return {
    async read(signal) {
      begin(signal)
      const record = records.get(key)
      if (record === null) return null
      const pin = pinOf(record.value)
      if (pin.expires !== null && Date.parse(pin.expires) <= options.clock.now()) return null
      return pin
    },
  }
}
