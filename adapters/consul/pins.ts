// Owns reading an operator's pin of this node.
import { isFleetError } from '#fleet/errors.ts'
import type { Pin, Pins } from '#fleet/ports.ts'
import { readPin } from '#fleet/wire.ts'
import type { ConsulClient } from './client.ts'

/** This node's pin; null when there is none or it has expired. */
export function pins(
  client: ConsulClient,
  options: { readonly app: string; readonly ring: string; readonly node: string },
): Pins {
  const key = client.keys(options.app).pin(options.ring, options.node)
  return {
    async read(signal): Promise<Pin | null> {
      const { value: entry } = await client.get(key, signal)
      if (entry === null) return null
      const pin = pinOf(entry.value)
      const expires = pin.expires === null ? Number.NaN : Date.parse(pin.expires)
      return expires <= client.clock.now() ? null : pin
    },
  }
}

/** A pin that cannot be read holds: someone meant to stop this node. */
export function pinOf(raw: Uint8Array): Pin {
  try {
    return readPin(raw)
  } catch (error) {
    if (!isFleetError(error)) throw error
    return { by: 'unknown', reason: `the pin cannot be read (${error.message}), so it holds`, expires: null }
  }
}
