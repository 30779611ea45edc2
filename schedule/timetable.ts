// Owns the timetable: what a schedule says, and at which instants its slots fall on a date, also where the clock is put forward or back.
import { assert } from '#fleet/assert.ts'

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/** As people read them. */
export const WEEKDAY_NAMES: Readonly<Record<Weekday, string>> = {
  mon: 'Monday',
  tue: 'Tuesday',
  wed: 'Wednesday',
  thu: 'Thursday',
  fri: 'Friday',
  sat: 'Saturday',
  sun: 'Sunday',
}

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

/** A stretch of time in which the clock is not changed: what it shows is UTC plus the offset. */
interface Piece extends Span {
  readonly offsetMs: number
}

const DAY_MS = 86_400_000
/** No zone is further from UTC, with the hours of a change on top. */
const FAR_MS = 18 * 3_600_000

const offsetAt = (timezone: string, ms: number): number =>
  Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timezone).offsetNanoseconds / 1_000_000

/** The pieces that a date may have a part in, in their order. */
function piecesAround(timezone: string, date: string): readonly Piece[] {
  const [fromMs, toMs] = [Date.parse(date) - FAR_MS, Date.parse(date) + DAY_MS + FAR_MS]
  const first = offsetAt(timezone, fromMs)
  if (first === offsetAt(timezone, Date.parse(date)) && first === offsetAt(timezone, toMs)) {
    return [{ fromMs, toMs, offsetMs: first }]
  }
  const pieces: Piece[] = []
  for (let atMs = fromMs; atMs < toMs; ) {
    const at = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timezone)
    const endMs = Math.min(toMs, at.getTimeZoneTransition('next')?.epochMilliseconds ?? toMs)
    pieces.push({ fromMs: atMs, toMs: endMs, offsetMs: at.offsetNanoseconds / 1_000_000 })
    atMs = endMs
  }
  return pieces
}

/** Where a piece shows a time of the date, whether or not that is in it. */
const inPiece = ({ offsetMs }: Piece, date: string, minutes: ClockMinutes): number =>
  Date.parse(date) + minutes * MINUTE_MS - offsetMs

/**
 * The instant of a time of the wall clock. One that exists twice is its first occurrence; one that does not exist is the first instant that
 * does. Minute 1440 is the beginning of the next day.
 */
export function instantOf(timezone: string, date: string, minutes: ClockMinutes): Timed {
  return instantIn(piecesAround(timezone, date), date, minutes)
}

function instantIn(pieces: readonly Piece[], date: string, minutes: ClockMinutes): Timed {
  const shows = pieces.filter((piece) => within(piece, inPiece(piece, date, minutes)))
  const [first, second] = shows.map((piece) => inPiece(piece, date, minutes))
  if (first !== undefined) {
    return {
      atMs: first,
      note: second === undefined ? null : `${clockText(minutes)} comes twice on ${date}: the first counts`,
    }
  }
  // The clock is past it in the piece that comes after, and not there yet in the one before.
  const after = pieces.find((piece) => inPiece(piece, date, minutes) < piece.fromMs)
  assert(after !== undefined, 'a gap ends')
  return { atMs: after.fromMs, note: `${clockText(minutes)} does not exist on ${date}: the clock is put forward` }
}

const within = ({ fromMs, toMs }: Span, ms: number): boolean => ms >= fromMs && ms < toMs

/** Whether a date exists there: zones have skipped whole days. */
export function dateExists(timezone: string, date: string): boolean {
  const start = Temporal.PlainDate.from(date).toZonedDateTime(timezone)
  return start.toPlainDate().toString() === date
}

/**
 * When the window of a date is open: whenever the clock shows a time in it, so twice for what comes twice. A window of which the clock shows
 * nothing begins after the jump and keeps its length.
 */
export function windowOn(schedule: Schedule, date: string): readonly Span[] {
  return windowIn(piecesAround(schedule.timezone, date), schedule, date)
}

function windowIn(pieces: readonly Piece[], { from, to }: Schedule, date: string): readonly Span[] {
  const spans = pieces.flatMap((piece): readonly Span[] => {
    const fromMs = Math.max(piece.fromMs, inPiece(piece, date, from))
    const toMs = Math.min(piece.toMs, inPiece(piece, date, to))
    return fromMs < toMs ? [{ fromMs, toMs }] : []
  })
  if (spans.length > 0) return spans
  const { atMs } = instantIn(pieces, date, from)
  return [{ fromMs: atMs, toMs: atMs + (to - from) * MINUTE_MS }]
}

/** The instants of a working day's slots: always as many as the schedule says, rising, in the window. */
export function timesOn(schedule: Schedule, date: string): readonly Timed[] {
  const pieces = piecesAround(schedule.timezone, date)
  const spans = windowIn(pieces, schedule, date)
  if (schedule.times === null) return evenly(spans, schedule, date)
  return explicit(spans, schedule, schedule.times, (minutes) => instantIn(pieces, date, minutes))
}

const lengthOf = (spans: readonly Span[]): number => spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)

/** On whole minutes where there is room for that, else on whole seconds. */
function evenly(spans: readonly Span[], { perDay, from, to }: Schedule, date: string): readonly Timed[] {
  const lengthMs = lengthOf(spans)
  const unitMs = lengthMs / perDay >= MINUTE_MS ? MINUTE_MS : SECOND_MS
  const changed = lengthMs - (to - from) * MINUTE_MS
  const how = `${Math.abs(changed) / MINUTE_MS} minutes ${changed > 0 ? 'longer' : 'shorter'}`
  const note = changed === 0 ? null : `the window is ${how} on ${date}`
  return Array.from({ length: perDay }, (_, i) => {
    // Divided once: a step that is no whole number, times i, would fall short of a minute that it comes to exactly.
    return { atMs: into(spans, Math.floor((i * lengthMs) / (perDay * unitMs)) * unitMs), note }
  })
}

/** The instant that lies so far into spans, as if they were one. */
function into(spans: readonly Span[], ms: number): number {
  let left = ms
  for (const { fromMs, toMs } of spans) {
    if (left < toMs - fromMs) return fromMs + left
    left -= toMs - fromMs
  }
  assert(false, 'it lies in one of them')
}

/** Times that the clock skips would fall on one instant: they are moved apart, never out of the window. */
function explicit(
  spans: readonly Span[],
  { from, to }: Schedule,
  times: readonly ClockMinutes[],
  instant: (minutes: ClockMinutes) => Timed,
): readonly Timed[] {
  const [fromMs, toMs] = [spans[0]?.fromMs ?? 0, spans.at(-1)?.toMs ?? 0]
  const moved = instant(to).atMs <= fromMs
  const wished = times.map((time) => {
    const { atMs, note } = instant(time)
    return { atMs: moved ? fromMs + (time - from) * MINUTE_MS : atMs, note }
  })
  const room = Math.floor(lengthOf(spans) / times.length / SECOND_MS) * SECOND_MS
  const stepMs = Math.min(MINUTE_MS, room)
  const placed: Timed[] = []
  for (const { atMs, note } of wished) {
    const last = placed.at(-1)
    placed.push({ atMs: last === undefined ? atMs : Math.max(atMs, last.atMs + stepMs), note })
  }
  return placed.map(({ atMs, note }, i) => ({ atMs: Math.min(atMs, toMs - (placed.length - i) * stepMs), note }))
}

/** `09:05`. */
export function clockText(minutes: ClockMinutes): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}
