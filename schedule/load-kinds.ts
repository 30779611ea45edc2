// Owns the kinds of value that keys of the schedule file have: times of the wall clock, days, dates, spans and turns.
import * as v from 'valibot'
import { type ClockMinutes, WEEKDAYS } from './timetable.ts'

export const text = v.pipe(v.string(), v.minLength(1, 'must not be empty'))
export const whole = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(0, 'must not be negative'))

export const time = v.pipe(
  v.string('must be a time in quotes, like "09:00"'),
  v.regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be a time like "09:00"'),
  v.transform((value): ClockMinutes => Number(value.slice(0, 2)) * 60 + Number(value.slice(3))),
)
export const startTime = v.pipe(
  time,
  v.check((minutes) => minutes < 1440, 'must be before 24:00'),
)
export const days = v.pipe(
  v.array(v.picklist(WEEKDAYS, `must be one of ${WEEKDAYS.join(', ')}`)),
  v.minLength(1, 'must name a day'),
  v.check((names) => new Set(names).size === names.length, 'names a day twice'),
)
const isDate = (value: string): boolean => {
  try {
    return Temporal.PlainDate.from(value).toString() === value
  } catch {
    return false
  }
}
export const date = v.pipe(v.string(), v.check(isDate, 'must be a date like 2026-12-25'))
export const moment = v.pipe(
  v.string(),
  v.check((value) => {
    const [, day = '', clock = '00:00'] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d))?$/.exec(value) ?? []
    return isDate(day) && v.is(time, clock)
  }, 'must be a date or a time like 2026-12-18T00:00, in the timezone of the schedule'),
)

/** A span of the wall clock that does not run over midnight. */
export const rises = (span: { readonly from: ClockMinutes; readonly to: ClockMinutes }): boolean => span.from < span.to
export const RISES = 'must be after from: a span over midnight is written as two'

export const people = v.pipe(v.array(text), v.minLength(1, 'must name a person'))
export const every = v.optional(v.picklist(['slot', 'day', 'week']), 'slot')
export const shift = v.pipe(
  v.strictObject({
    from: startTime,
    to: time,
    rota: people,
    every: v.optional(v.picklist(['slot', 'day', 'week']), 'day'),
  }),
  v.forward(
    v.check((span) => rises(span), RISES),
    ['to'],
  ),
)

export const window = v.pipe(
  v.strictObject({
    days: v.optional(days, ['mon', 'tue', 'wed', 'thu', 'fri']),
    from: v.optional(startTime, '09:00'),
    to: v.optional(time, '17:00'),
  }),
  v.forward(
    v.check((span) => rises(span), RISES),
    ['to'],
  ),
)

export const isZone = (zone: string): boolean => {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone)
    return true
  } catch {
    return false
  }
}
