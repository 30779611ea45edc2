// Owns schedules in tests: read from YAML as production reads them, and what must hold of any of them on any day.
import assert from 'node:assert/strict'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { slotsOn } from '#schedule/calendar.ts'
import { scheduleOf, scheduleSchema } from '#schedule/load.ts'
import { addDays, type Schedule, timesOn, windowOn } from '#schedule/timetable.ts'

const world = { hostname: 'desk', env: {} }

/** The schedule that a file of this text describes. */
export async function scheduled(text: string): Promise<Schedule> {
  return scheduleOf(parseConfig(text, 'schedule.yaml', scheduleSchema, world), 'schedule.yaml')
}

/** Every day of the week is a working day, so that no change of the clock is missed. */
const WHOLE_WEEK = 'days: [mon, tue, wed, thu, fri, sat, sun]'

/** Windows around the hours in which clocks are changed, and the customary one; with counts and with explicit times. */
export const HARD_WINDOWS: readonly string[] = [
  `window: { ${WHOLE_WEEK}, from: "00:00", to: "24:00" }\ndeploysPerDay: 40`,
  `window: { ${WHOLE_WEEK}, from: "02:10", to: "02:50" }\ndeploysPerDay: 40`,
  `window: { ${WHOLE_WEEK}, from: "00:30", to: "03:05" }\ndeploysPerDay: 7`,
  `window: { ${WHOLE_WEEK} }`,
  `window: { ${WHOLE_WEEK}, from: "00:00", to: "04:00" }\ntimes: ["00:00", "00:10", "00:30", "01:00", "01:30", "01:59", "02:00", "02:15", "02:30", "03:00", "03:30", "03:59"]`,
  `window: { ${WHOLE_WEEK}, from: "02:00", to: "03:00" }\ntimes: ["02:00", "02:01", "02:30", "02:59"]`,
]

/** What is wrong with the slots of a zone from one date on, in sentences; empty when each day has its slots. */
export function wrongIn(schedule: Schedule, from: string, days: number): readonly string[] {
  const wrong: string[] = []
  const { timezone, perDay } = schedule
  let date = from
  for (let day = 0; day < days; day += 1, date = addDays(date, 1)) {
    const at = (what: string) => wrong.push(`${timezone} ${date}: ${what}`)
    const exists = Temporal.PlainDate.from(date).toZonedDateTime(timezone).toPlainDate().toString() === date
    const times = exists ? timesOn(schedule, date).map(({ atMs }) => atMs) : []
    const spans = exists ? windowOn(schedule, date) : []
    if (times.length !== (exists ? perDay : 0)) at(`${times.length} slots`)
    if (new Set(times.map((ms) => Math.floor(ms / 1_000))).size !== times.length) at('two slots in one second')
    if (times.some((ms, i) => i > 0 && ms <= (times[i - 1] ?? ms))) at('slots that do not rise')
    if (times.some((ms) => !spans.some(({ fromMs, toMs }) => ms >= fromMs && ms < toMs)))
      at('a slot outside of the window')
    if (times.some((ms) => ms % 1_000 !== 0)) at('a slot between two seconds')
    if (exists) wrong.push(...wrongOnTheClock(schedule, date, times))
  }
  return wrong
}

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** The windows of tests begin and end on these. */
const LOOK_MS = 5 * MINUTE_MS

/**
 * What the wall clock says of it, without the code under test. On a day of 24 hours each slot is where arithmetic puts it; on any other it is in
 * the window as the clock shows it, unless the clock shows none of the window.
 */
function wrongOnTheClock(schedule: Schedule, date: string, times: readonly number[]): readonly string[] {
  const { timezone, from, to, perDay } = schedule
  const day = Temporal.PlainDate.from(date)
  const [begins, ends] = [day, day.add({ days: 1 })].map((one) => one.toZonedDateTime(timezone).epochMilliseconds)
  assert.ok(begins !== undefined && ends !== undefined)
  const wanted =
    schedule.times ?? Array.from({ length: perDay }, (_, i) => Math.floor(from + (i * (to - from)) / perDay))
  const midnight = Temporal.Instant.fromEpochMilliseconds(begins).toZonedDateTimeISO(timezone).toPlainTime()
  if (ends - begins === DAY_MS && midnight.equals('00:00')) {
    const off = times.find((ms, i) => ms !== begins + (wanted[i] ?? 0) * MINUTE_MS)
    return off === undefined ? [] : [`${timezone} ${date}: a slot at ${new Date(off).toISOString()}`]
  }
  const clock = (ms: number) => {
    const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timezone)
    return at.hour * 60 + at.minute
  }
  const shown = Array.from({ length: (ends - begins) / LOOK_MS }, (_, i) => clock(begins + i * LOOK_MS))
  if (!shown.some((minutes) => minutes >= from && minutes < to)) return []
  const off = times.find((ms) => clock(ms) < from || clock(ms) >= to)
  return off === undefined ? [] : [`${timezone} ${date}: the clock shows ${clock(off)} at a slot`]
}

/** Independent of the code under test: what the wall clock shows at each slot of a day. */
export function wallClocks(schedule: Schedule, date: string): readonly string[] {
  return slotsOn(schedule, date).map(({ atMs }) => {
    const parts = new Intl.DateTimeFormat('sv-SE', {
      timeZone: schedule.timezone,
      dateStyle: 'short',
      timeStyle: 'short',
    })
    return parts.format(atMs)
  })
}
