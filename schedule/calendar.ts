// Owns the calendar: which slots a date has, which of them are closed and why, and whether an instant is within deploy hours.
import {
  addDays,
  clockText,
  dateExists,
  instantOf,
  localOf,
  type Schedule,
  timesOn,
  WEEKDAY_NAMES,
  weekdayOf,
  windowOn,
} from './timetable.ts'

/** Why nothing is deployed at an instant. */
export interface Closure {
  readonly code: 'day-off' | 'holiday' | 'freeze' | 'blackout' | 'outside-hours'
  readonly message: string
}

/** A planned instant. */
export interface Slot {
  /** `2026-11-22T17:00:00Z`: also the name of its key. */
  readonly at: string
  readonly atMs: number
  readonly date: string
  /** `09:00` where the schedule lives. */
  readonly local: string
  /** Which of the day's slots, from 1. */
  readonly ordinal: number
  readonly closed: Closure | null
  /** What the clock did to it, or null. */
  readonly note: string | null
}

export interface HoursOpening {
  readonly open: boolean
  readonly closure: Closure | null
  /** When that changes next; null: not within a year. */
  readonly changesAtMs: number | null
}

const YEAR_DAYS = 400

/** Whether slots fall on this date, holidays and freezes aside. */
export function isWorkingDay({ timezone, days }: Schedule, date: string): boolean {
  return days.includes(weekdayOf(date)) && dateExists(timezone, date)
}

/** All slots of a date, the closed ones too; a day off has none. */
export function slotsOn(schedule: Schedule, date: string): readonly Slot[] {
  if (!isWorkingDay(schedule, date)) return []
  return timesOn(schedule, date).map(({ atMs, note }, i) => {
    const closed = stopOf(schedule, date, atMs)
    return { at: keyOf(atMs), atMs, date, local: localOf(schedule, atMs).clock, ordinal: i + 1, closed, note }
  })
}

/** The name of an instant, to the second, in UTC. */
export function keyOf(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`
}

/** Slots after `afterMs` up to and with `untilMs`, the closed ones too. */
export function slotsBetween(schedule: Schedule, afterMs: number, untilMs: number): readonly Slot[] {
  const found: Slot[] = []
  const last = addDays(localOf(schedule, untilMs).date, 1)
  // A window that the clock moved may reach into the next date: a day more on either side.
  for (let date = addDays(localOf(schedule, afterMs).date, -1); date <= last; date = addDays(date, 1)) {
    found.push(...slotsOn(schedule, date).filter(({ atMs }) => atMs > afterMs && atMs <= untilMs))
  }
  return found
}

/** The next `count` slots after an instant, within a year; `open` leaves the closed ones out. */
export function slotsAfter(schedule: Schedule, afterMs: number, count: number, only?: 'open'): readonly Slot[] {
  const found: Slot[] = []
  let date = addDays(localOf(schedule, afterMs).date, -1)
  for (let day = 0; day <= YEAR_DAYS && found.length < count; day += 1, date = addDays(date, 1)) {
    const slots = slotsOn(schedule, date).filter(({ atMs }) => atMs > afterMs)
    found.push(...slots.filter(({ closed }) => only === undefined || closed === null))
  }
  return found.slice(0, count)
}

/** Whether a rollout may go on at an instant. */
export function openingAt(schedule: Schedule, atMs: number): HoursOpening {
  const closure = closureAt(schedule, atMs)
  return { open: closure === null, closure, changesAtMs: nextChange(schedule, atMs, closure === null) }
}

/** Why an instant is closed, or null. */
export function closureAt(schedule: Schedule, atMs: number): Closure | null {
  const { date } = localOf(schedule, atMs)
  // A window that the clock moved may have begun the day before.
  for (const day of [date, addDays(date, -1)]) {
    if (!isWorkingDay(schedule, day)) continue
    if (windowOn(schedule, day).some(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs))
      return stopOf(schedule, day, atMs)
  }
  if (!isWorkingDay(schedule, date)) {
    return { code: 'day-off', message: `${date} is a ${WEEKDAY_NAMES[weekdayOf(date)]}: nothing is deployed then` }
  }
  const stop = stopOf(schedule, date, atMs)
  if (stop !== null) return stop
  const { from, to, timezone } = schedule
  const now = localOf(schedule, atMs).clock
  const hours = `${clockText(from)} to ${clockText(to)} ${timezone}`
  return { code: 'outside-hours', message: `it is ${now} and deploy hours are ${hours}` }
}

/** What closes an instant of a working day's window. */
function stopOf(schedule: Schedule, date: string, atMs: number): Closure | null {
  const holiday = schedule.holidayOn(date)
  if (holiday !== null) return { code: 'holiday', message: `${date} is ${holiday}` }
  const freeze = schedule.freezes.find(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs)
  if (freeze !== undefined) {
    const until = `until ${localText(schedule, freeze.toMs)}`
    return { code: 'freeze', message: `a freeze is in force ${until}${because(freeze.reason)}` }
  }
  const { minutes } = localOf(schedule, atMs)
  const weekday = weekdayOf(date)
  const dark = schedule.blackouts.find(
    ({ days, from, to }) => days.includes(weekday) && minutes >= from && minutes < to,
  )
  if (dark === undefined) return null
  const span = `${clockText(dark.from)} to ${clockText(dark.to)}`
  return { code: 'blackout', message: `a blackout is in force from ${span}${because(dark.reason)}` }
}

const because = (reason: string): string => (reason === '' ? '' : `: ${reason}`)

/** `2026-11-22 09:00` where the schedule lives. */
export function localText(schedule: Schedule, atMs: number): string {
  const { date, clock } = localOf(schedule, atMs)
  return `${date} ${clock}`
}

/** The next instant at which it is no longer as it is. */
function nextChange(schedule: Schedule, atMs: number, open: boolean): number | null {
  let date = addDays(localOf(schedule, atMs).date, -1)
  for (let day = 0; day <= YEAR_DAYS; day += 1, date = addDays(date, 1)) {
    const edges = edgesOn(schedule, date).filter((edge) => edge > atMs)
    const change = edges.toSorted((a, b) => a - b).find((edge) => (closureAt(schedule, edge) === null) !== open)
    if (change !== undefined) return change
  }
  return null
}

/** Every instant of a date at which anything may open or close. */
function edgesOn(schedule: Schedule, date: string): readonly number[] {
  const { timezone, freezes, blackouts } = schedule
  const at = (minutes: number) => instantOf(timezone, date, minutes).atMs
  const [begins, ends] = [at(0), at(1440)]
  const hours = windowOn(schedule, date).flatMap(({ fromMs, toMs }) => [fromMs, toMs])
  const dated = freezes.flatMap((freeze) => [freeze.fromMs, freeze.toMs]).filter((ms) => ms >= begins && ms <= ends)
  return [...hours, begins, ends, ...dated, ...blackouts.flatMap(({ from, to }) => [at(from), at(to)])]
}
