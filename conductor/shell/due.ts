// Owns which slots are due: planned since the last one on record, and not decided yet.
import type { Clock, Ledger } from '#fleet/ports.ts'
import type { SlotEntry } from '#fleet/slot.ts'
import { keyOf, type Slot, slotsBetween } from '#schedule/calendar.ts'
import type { Schedule } from '#schedule/timetable.ts'

const DAY_MS = 86_400_000
/** Slots that were missed are written down so far back; whoever was away for longer knows it. */
const LOOK_BACK_MS = 7 * DAY_MS

/** How far back is looked where a clock was set back to before what it is to be later than; two looks are seconds apart. */
const MOMENT_MS = 60_000

/** In their order. @throws FleetError of kind transient or refused */
export async function dueSlots(
  world: { readonly ledger: Ledger; readonly clock: Clock; readonly sinceMs: number },
  calendar: { readonly schedule: Schedule | null; readonly changedMs: number | null },
  signal: AbortSignal,
): Promise<readonly Slot[]> {
  const { schedule, changedMs } = calendar
  if (schedule === null) return []
  const nowMs = world.clock.now()
  const known = await recordedUntil(world.ledger, nowMs, signal)
  const done = new Set(known.map(({ slot }) => slot))
  // The first daemon of an app finds no record: what was before it was nobody's to fire.
  const last = known.at(-1)
  const fromMs = last === undefined ? notAhead(world.sinceMs, nowMs) : Date.parse(last.slot)
  const afterMs = Math.max(fromMs, notAhead(changedMs ?? 0, nowMs), nowMs - LOOK_BACK_MS)
  return slotsBetween(schedule, afterMs, nowMs).filter(({ at }) => !done.has(at))
}

/** A time that this process took down while its clock was ahead would keep every slot from being due until then. */
const notAhead = (ms: number, nowMs: number): number => (ms > nowMs ? nowMs - MOMENT_MS : ms)

/** What is on record up to now. A clock that once ran far ahead may have left records of days to come: those say nothing of today. */
async function recordedUntil(ledger: Ledger, nowMs: number, signal: AbortSignal): Promise<readonly SlotEntry[]> {
  const now = keyOf(nowMs)
  const before = (entries: readonly SlotEntry[]) => entries.filter(({ slot }) => slot <= now)
  const newest = await ledger.slots(null, signal)
  const found = before(newest)
  if (found.length > 0 || newest.length === 0) return found
  for (let back = 0; back * DAY_MS <= LOOK_BACK_MS; back += 1) {
    const day = before(await ledger.slots(keyOf(nowMs - back * DAY_MS).slice(0, 10), signal))
    if (day.length > 0) return day
  }
  return []
}
