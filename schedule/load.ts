// Owns the schedule file: its keys, their defaults, and how they become a schedule.
import * as v from 'valibot'
import { publicHolidays } from './load-holidays.ts'
import {
  date,
  days,
  every,
  isZone,
  moment,
  people,
  RISES,
  rises,
  shift,
  startTime,
  text,
  time,
  whole,
  window,
} from './load-kinds.ts'
import { type ClockMinutes, instantOf, type Schedule, WEEKDAYS } from './timetable.ts'

/** Slots of a day at most. */
const MOST_SLOTS = 40

const keys = v.strictObject({
  timezone: v.optional(v.pipe(v.string(), v.check(isZone, 'must be a time zone like Europe/Berlin')), 'UTC'),
  window: v.optional(window, {}),
  deploysPerDay: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(MOST_SLOTS, `must be at most ${MOST_SLOTS}`),
    ),
  ),
  times: v.optional(
    v.pipe(
      v.array(startTime),
      v.minLength(1, 'must name a time'),
      v.maxLength(MOST_SLOTS, `must name at most ${MOST_SLOTS} times`),
    ),
  ),
  spacingMinutes: v.optional(v.pipe(whole, v.minValue(1, 'must be at least 1')), 1),
  graceSeconds: v.optional(whole, 600),
  maxChangesPerDeploy: v.optional(v.pipe(whole, v.minValue(1, 'must be at least 1'))),
  holidays: v.optional(
    v.strictObject({
      country: v.optional(text),
      region: v.optional(text),
      dates: v.optional(v.array(v.union([date, v.strictObject({ date, name: text })])), []),
    }),
    {},
  ),
  freezes: v.optional(v.array(v.strictObject({ from: moment, to: moment, reason: v.optional(v.string(), '') })), []),
  blackouts: v.optional(
    v.array(
      v.pipe(
        v.strictObject({
          days: v.optional(days, [...WEEKDAYS]),
          from: v.optional(startTime, '00:00'),
          to: v.optional(time, '24:00'),
          reason: v.optional(v.string(), ''),
        }),
        v.forward(
          v.check((span) => rises(span), RISES),
          ['to'],
        ),
      ),
    ),
    [],
  ),
  commanders: v.optional(
    v.strictObject({
      rota: v.optional(people),
      every,
      start: v.optional(date, '2026-01-05'),
      shifts: v.optional(v.array(shift), []),
    }),
    {},
  ),
})

type Keys = v.InferOutput<typeof keys>

const DEFAULT_SLOTS = 12

const slotsOf = ({ deploysPerDay, times }: Keys): number => times?.length ?? deploysPerDay ?? DEFAULT_SLOTS
const lengthOf = ({ window: { from, to } }: Keys): number => to - from

const apart = ({ times = [], spacingMinutes }: Keys): boolean =>
  times.every((at, i) => i === 0 || at - (times[i - 1] ?? 0) >= spacingMinutes)

/** The keys of `schedule.yaml`. A value that is left out has the default that `docs/samples/schedule.yaml` shows. */
export const scheduleSchema = v.pipe(
  keys,
  v.forward(
    v.check(
      (all) => all.times === undefined || all.deploysPerDay === undefined,
      'and deploysPerDay cannot both be given',
    ),
    ['times'],
  ),
  v.forward(
    v.check(
      ({ times = [], window: { from, to } }) => times.every((at) => at >= from && at < to),
      'must lie in the window, whose end is not part of it',
    ),
    ['times'],
  ),
  v.forward(v.check(apart, 'must rise, by spacingMinutes at least'), ['times']),
  v.forward(
    v.check(
      (all) => all.times !== undefined || Math.floor(lengthOf(all) / slotsOf(all)) >= all.spacingMinutes,
      'slots do not fit into the window with spacingMinutes between them',
    ),
    ['deploysPerDay'],
  ),
  v.forward(
    v.check(
      ({ holidays: { country, region } }) => region === undefined || country !== undefined,
      'names a region without its country',
    ),
    ['holidays'],
  ),
  v.forward(
    v.check(
      ({ freezes, timezone }) => freezes.every((freeze) => endsAfter(timezone, freeze)),
      'must end after they begin',
    ),
    ['freezes'],
  ),
)

/** What a valid file says. */
export type ScheduleConfig = v.InferOutput<typeof scheduleSchema>

/** What is complained about already is not asked again. */
function endsAfter(timezone: string, { from, to }: { readonly from: string; readonly to: string }): boolean {
  if (!isZone(timezone) || !v.is(moment, from) || !v.is(moment, to)) return true
  return momentOf(timezone, from, 0) < momentOf(timezone, to, 1440)
}

/** A date alone is all of that day: it begins with it and ends with it. */
function momentOf(timezone: string, value: string, whenDate: ClockMinutes): number {
  const [day = '', clock] = value.split(/[T ]/)
  const minutes = clock === undefined ? whenDate : Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))
  return instantOf(timezone, day, minutes).atMs
}

/**
 * The schedule that a valid file describes.
 * @param path what complaints call the file
 * @throws FleetError `CONFIG_INVALID` for a country or region that nobody knows the holidays of
 */
export async function scheduleOf(config: ScheduleConfig, path: string): Promise<Schedule> {
  const { timezone, window: span, times, spacingMinutes, graceSeconds, maxChangesPerDeploy } = config
  const { freezes, blackouts, commanders, holidays } = config
  const { country, region, dates } = holidays
  const own = new Map(
    dates.map((day) => (typeof day === 'string' ? [day, 'a holiday of our own'] : [day.date, day.name])),
  )
  const publicOn = country === undefined ? () => null : await publicHolidays(country, region ?? null, path)
  return {
    timezone,
    days: span.days,
    from: span.from,
    to: span.to,
    perDay: slotsOf(config),
    times: times ?? null,
    spacingMinutes,
    graceSeconds,
    maxChangesPerDeploy: maxChangesPerDeploy ?? null,
    holidayOn: (day) => own.get(day) ?? publicOn(day),
    freezes: freezes.map(({ from, to, reason }) => {
      return { fromMs: momentOf(timezone, from, 0), toMs: momentOf(timezone, to, 1440), reason }
    }),
    blackouts,
    rota: commanders.rota === undefined ? null : { people: commanders.rota, every: commanders.every },
    shifts: commanders.shifts.map(({ rota, ...more }) => ({ ...more, people: rota })),
    rotaStart: commanders.start,
  }
}
