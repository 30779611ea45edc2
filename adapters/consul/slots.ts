// Owns reading what became of an app's slots in Consul.
import { isFleetError } from '#fleet/errors.ts'
import { SLOT_NAME, type SlotEntry } from '#fleet/slot.ts'
import { readSlot } from '#fleet/wire.ts'
import type { ConsulClient, Entry } from './client.ts'

/** The slots of a day in UTC, in their order; null: of the newest day that has any. @throws FleetError of kind transient or refused */
export async function slotsOf(
  client: ConsulClient,
  app: string,
  day: string | null,
  signal: AbortSignal,
): Promise<readonly SlotEntry[]> {
  const keys = client.keys(app)
  const of = day ?? (await newestDay(client, keys.slots, signal))
  if (of === null) return []
  const { value: entries } = await client.list(`${keys.slots}${of}T`, signal)
  return entries
    .map((entry) => ({ slot: entry.key.slice(keys.slots.length), record: recordOf(client, entry) }))
    .filter(({ slot }) => SLOT_NAME.test(slot))
    .toSorted((a, b) => (a.slot < b.slot ? -1 : 1))
}

/** By names alone: days, not slots, are listed. */
async function newestDay(client: ConsulClient, under: string, signal: AbortSignal): Promise<string | null> {
  const days = await client.names(under, signal, 'T')
  const known = days.flatMap((name) => /(\d{4}-\d\d-\d\d)T?$/.exec(name)?.[1] ?? [])
  return known.toSorted().at(-1) ?? null
}

function recordOf(client: ConsulClient, entry: Entry): SlotEntry['record'] {
  try {
    return readSlot(entry.value)
  } catch (error) {
    if (!isFleetError(error)) throw error
    client.log.warn('slot record was rejected', { key: entry.key, code: error.code, error: error.message })
    return null
  }
}
