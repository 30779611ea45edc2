// Owns the timetable: what a schedule says, and at which instants its slots fall on a date, also where the clock is put forward or back.
import { assert } from '#fleet/assert.ts'

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/** Minutes of the wall clock since midnight, 0 to 1440. */
export type ClockMinutes = number

/** A stop that has a date. */
export interface Freeze {
  readonly fromMs: number
  readonly toMs: number
  readonly reason: string
}

/** A stop that comes back. */
export interface Blackout {
  readonly days: readonly Weekday[]
  readonly from: ClockMinutes
  readonly to: ClockMinutes
  readonly reason: string
}

/** People in turn. */
export interface Rota {
  readonly people: readonly string[]
  readonly every: 'slot' | 'day' | 'week'
}

export interface Shift extends Rota {
  readonly from: ClockMinutes
  readonly to: ClockMinutes
}

/** A validated schedule: `load.ts` makes it, everything else of this folder is a function of it. */
export interface Schedule {
  /** IANA name. */
  readonly timezone: string
  readonly days: readonly Weekday[]
  readonly from: ClockMinutes
  /** The first minute after the window; 1440 is midnight. */
  readonly to: ClockMinutes
  readonly perDay: number
  /** Explicit times, rising; null: `perDay` slots, evenly spaced from `from` on. */
  readonly times: readonly ClockMinutes[] | null
  readonly spacingMinutes: number
  /** How late a slot that was missed may still fire. */
  readonly graceSeconds: number
  /** More published builds than this wait for a human; null: any number goes. */
  readonly maxChangesPerDeploy: number | null
  /** What is celebrated on a date (`2026-12-25`), or null. */
  readonly holidayOn: (date: string) => string | null
  readonly freezes: readonly Freeze[]
  readonly blackouts: readonly Blackout[]
  readonly rota: Rota | null
  readonly shifts: readonly Shift[]
  /** The day on which each rota begins with its first name. */
  readonly rotaStart: string
}

/** An instant of the timetable. `note`: what the clock did to it. */
export interface Timed {
  readonly atMs: number
  readonly note: string | null
}

/** From the first millisecond that counts to the first that does not. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

const SECOND_MS = 1_000
const MINUTE_MS = 60_000

/** @param date as `2026-11-22` */
export function weekdayOf(date: string): Weekday {
  const day = WEEKDAYS[Temporal.PlainDate.from(date).dayOfWeek - 1]
  assert(day !== undefined, 'a week has seven days')
  return day
}

export function addDays(date: string, days: number): string {
  return Temporal.PlainDate.from(date).add({ days }).toString()
}

/** Date and wall clock of an instant where the schedule lives. */
export function localOf({ timezone }: Pick<Schedule, 'timezone'>, atMs: number) {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(atMs)).toZonedDateTimeISO(timezone)
  const clock = local.toPlainTime().toString({ smallestUnit: local.second === 0 ? 'minute' : 'second' })
  return { date: local.toPlainDate().toString(), minutes: local.hour * 60 + local.minute, clock, offset: local.offset }
}

/**
 * The instant of a time of the wall clock. One that exists twice is its first occurrence; one that does not exist is the first instant that
 * does. Minute 1440 is the beginning of the next day.
 */
export function instantOf(timezone: string, date: string, minutes: ClockMinutes): Timed {
  const day = Temporal.PlainDate.from(date).add({ days: Math.floor(minutes / 1440) })
  const rest = minutes % 1440
  const wall = day.toPlainDateTime({ hour: Math.floor(rest / 60), minute: rest % 60 })
  const earlier = wall.toZonedDateTime(timezone, { disambiguation: 'earlier' })
  if (!earlier.toPlainDateTime().equals(wall)) {
    // In a gap "earlier" is as far before it as the wall clock is into it: the clock's next change is the gap.
    const after = earlier.getTimeZoneTransition('next')
    assert(after !== null, 'a gap ends')
    const note = `${clockText(minutes)} does not exist on ${date}: the clock is put forward`
    return { atMs: after.epochMilliseconds, note }
  }
  const later = wall.toZonedDateTime(timezone, { disambiguation: 'later' })
  const twice = later.epochMilliseconds !== earlier.epochMilliseconds
  const note = twice ? `${clockText(minutes)} comes twice on ${date}: the first counts` : null
  return { atMs: earlier.epochMilliseconds, note }
}

/** Whether a date exists there: zones have skipped whole days. */
export function dateExists(timezone: string, date: string): boolean {
  const start = Temporal.PlainDate.from(date).toZonedDateTime(timezone)
  return start.toPlainDate().toString() === date
}

/**
 * The window on a date, as instants. It is as long as the clock makes it; one that lies wholly where the clock jumps begins after the jump
 * and keeps its length.
 */
export function windowOn({ timezone, from, to }: Schedule, date: string): Span {
  const start = instantOf(timezone, date, from)
  const end = instantOf(timezone, date, to)
  if (end.atMs > start.atMs) return { fromMs: start.atMs, toMs: end.atMs }
  return { fromMs: start.atMs, toMs: start.atMs + (to - from) * MINUTE_MS }
}

/** The instants of a working day's slots: always as many as the schedule says, rising, in the window. */
export function timesOn(schedule: Schedule, date: string): readonly Timed[] {
  const span = windowOn(schedule, date)
  return schedule.times === null ? evenly(span, schedule, date) : explicit(span, schedule, schedule.times, date)
}

/** On whole minutes where there is room for that, else on whole seconds. */
function evenly({ fromMs, toMs }: Span, { perDay, from, to }: Schedule, date: string): readonly Timed[] {
  const stepMs = (toMs - fromMs) / perDay
  const unitMs = stepMs >= MINUTE_MS ? MINUTE_MS : SECOND_MS
  const changed = toMs - fromMs - (to - from) * MINUTE_MS
  const note =
    changed === 0 ? null : `the window is ${Math.abs(changed) / MINUTE_MS} minutes ${direction(changed)} on ${date}`
  return Array.from({ length: perDay }, (_, i) => ({
    atMs: fromMs + Math.floor((i * stepMs) / unitMs) * unitMs,
    note,
  }))
}

const direction = (changed: number): string => (changed > 0 ? 'longer' : 'shorter')

/** Times that the clock skips would fall on one instant: they are moved apart, never out of the window. */
function explicit(span: Span, { timezone, from, to }: Schedule, times: readonly ClockMinutes[], date: string) {
  const moved = instantOf(timezone, date, to).atMs <= span.fromMs
  const wished = times.map((time) => {
    const { atMs, note } = instantOf(timezone, date, time)
    return { atMs: moved ? span.fromMs + (time - from) * MINUTE_MS : atMs, note }
  })
  const room = Math.floor((span.toMs - span.fromMs) / times.length / SECOND_MS) * SECOND_MS
  const stepMs = Math.min(MINUTE_MS, room)
  const placed: Timed[] = []
  for (const { atMs, note } of wished) {
    const last = placed.at(-1)
    placed.push({ atMs: last === undefined ? atMs : Math.max(atMs, last.atMs + stepMs), note })
  }
  return placed.map(({ atMs, note }, i) => ({
    atMs: Math.min(atMs, span.toMs - (placed.length - i) * stepMs),
    note,
  }))
}

/** `09:05`. */
export function clockText(minutes: ClockMinutes): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}
