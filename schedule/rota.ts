// Owns the rota: whose turn it is to command the rollout of a slot.
import type { Slot } from './calendar.ts'
import { instantOf, type Rota, type Schedule, WEEKDAYS } from './timetable.ts'

/** The commander of a slot; null where the schedule names nobody. A shift that the slot falls into comes before the rota of the day. */
export function commanderFor(schedule: Schedule, slot: Pick<Slot, 'date' | 'atMs' | 'ordinal'>): string | null {
  const { shifts, rota, timezone } = schedule
  const shift = shifts.find(({ from, to }) => {
    const [begins, ends] = [from, to].map((minutes) => instantOf(timezone, slot.date, minutes).atMs)
    return begins !== undefined && ends !== undefined && slot.atMs >= begins && slot.atMs < ends
  })
  const turn = shift ?? rota
  return turn === null ? null : personOf(schedule, turn, slot)
}

function personOf(schedule: Schedule, { people, every }: Rota, { date, ordinal }: Pick<Slot, 'date' | 'ordinal'>) {
  const count = people.length
  const turn = turnsBefore(schedule, every, date, ordinal)
  return people[((turn % count) + count) % count] ?? null
}

/** How often the turn has passed on since the rota began. Weekdays off do not count; holidays do, so that nobody's week depends on one. */
function turnsBefore({ rotaStart, days, perDay }: Schedule, every: Rota['every'], date: string, ordinal: number) {
  const start = Temporal.PlainDate.from(rotaStart)
  const monday = start.subtract({ days: start.dayOfWeek - 1 })
  const since = monday.until(Temporal.PlainDate.from(date), { largestUnit: 'day' }).days
  const week = Math.floor(since / 7)
  if (every === 'week') return week
  const worked = (weekday: number) => WEEKDAYS.slice(0, weekday).filter((day) => days.includes(day)).length
  const day = week * days.length + worked(since - 7 * week) - worked(start.dayOfWeek - 1)
  return every === 'day' ? day : day * perDay + ordinal - 1
}
