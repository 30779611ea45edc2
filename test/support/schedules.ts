// Owns schedules in tests: read from YAML as production reads them, and what must hold of any of them on any day.
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { slotsOn } from '#schedule/calendar.ts'
import { scheduleOf, scheduleSchema } from '#schedule/load.ts'
import { type Schedule, timesOn, windowOn } from '#schedule/timetable.ts'

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

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** The windows of tests begin and end on these. */
const LOOK_MS = 5 * MINUTE_MS

/**
 * What is wrong with the slots of a zone from one date on, in sentences; empty when each day has its slots. Told without the code under test: on a
 * day of 24 hours each slot is where arithmetic puts it; on any other it is in the window as the clock shows it.
 */
export function wrongIn(schedule: Schedule, from: string, days: number): readonly string[] {
  const wrong: string[] = []
  const { timezone, perDay } = schedule
  let day = Temporal.PlainDate.from(from)
  let begins = day.toZonedDateTime(timezone).epochMilliseconds
  for (let count = 0; count < days; count += 1) {
    const next = day.add({ days: 1 })
    const ends = next.toZonedDateTime(timezone).epochMilliseconds
    const date = day.toString()
    // A day that a zone skips ends when it begins.
    const times = ends > begins ? timesOn(schedule, date).map(({ atMs }) => atMs) : []
    const at = (what: string) => wrong.push(`${timezone} ${date}: ${what}`)
    if (ends > begins && times.length !== perDay) at(`${times.length} slots`)
    if (times.some((ms, i) => i > 0 && ms <= (times[i - 1] ?? ms))) at('slots that do not rise')
    if (times.some((ms) => ms % 1_000 !== 0)) at('a slot between two seconds')
    if (ends - begins === DAY_MS) wrong.push(...misplaced(schedule, date, begins, times))
    else if (ends > begins) wrong.push(...wrongOnTheClock(schedule, date, { begins, ends }, times))
    day = next
    begins = ends
  }
  return wrong
}

function misplaced(
  { timezone, from, to, perDay, times: explicit }: Schedule,
  date: string,
  begins: number,
  times: readonly number[],
) {
  const wanted = (i: number): number => explicit?.[i] ?? Math.floor(from + (i * (to - from)) / perDay)
  const off = times.find((ms, i) => ms !== begins + wanted(i) * MINUTE_MS)
  return off === undefined ? [] : [`${timezone} ${date}: a slot at ${new Date(off).toISOString()}`]
}

function wrongOnTheClock(
  schedule: Schedule,
  date: string,
  { begins, ends }: { readonly begins: number; readonly ends: number },
  times: readonly number[],
): readonly string[] {
  const { timezone, from, to } = schedule
  const spans = windowOn(schedule, date)
  const outside = times.find((ms) => !spans.some(({ fromMs, toMs }) => ms >= fromMs && ms < toMs))
  if (outside !== undefined) return [`${timezone} ${date}: a slot outside of the window`]
  const clock = (ms: number) => {
    const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timezone)
    return at.hour * 60 + at.minute
  }
  const shown = Array.from({ length: (ends - begins) / LOOK_MS }, (_, i) => clock(begins + i * LOOK_MS))
  // It keeps its length after the jump: then the clock cannot vouch for it.
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
