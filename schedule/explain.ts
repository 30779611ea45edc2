// Owns explaining a schedule in sentences, and finding what its writer cannot have meant.

import { type Slot, slotsOn } from './calendar.ts'
import { commanderFor } from './rota.ts'
import {
  addDays,
  type Blackout,
  clockText,
  localOf,
  type Rota,
  type Schedule,
  WEEKDAY_NAMES,
  WEEKDAYS,
  type Weekday,
} from './timetable.ts'

/** Something that is allowed and hardly meant. */
export interface ScheduleFinding {
  readonly code: 'never-open' | 'plan-longer-than-spacing' | 'last-slot-late' | 'nobody-commands' | 'freeze-over'
  readonly message: string
}

const YEAR_DAYS = 366

/** What it says, line by line. @param atMs as seen from then */
export function explain(schedule: Schedule, atMs: number): readonly string[] {
  const { timezone, days, from, to, perDay, times, graceSeconds, maxChangesPerDeploy, blackouts } = schedule
  const hours = `from ${clockText(from)} to ${clockText(to)} ${timezone}`
  const which =
    times === null ? `evenly spaced, the first at ${clockText(from)}` : `at ${times.map(clockText).join(', ')}`
  return [
    `On ${daysText(days)} there ${perDay === 1 ? 'is one slot' : `are ${perDay} slots`} ${hours}, ${which}.`,
    ...holidayLines(schedule, atMs),
    ...freezeLines(schedule, atMs),
    ...blackouts.map(blackoutLine),
    ...commanderLines(schedule),
    graceSeconds === 0
      ? 'A slot that was missed is not made up for.'
      : `The last slot that was missed still fires when that is noticed within ${graceSeconds} seconds; earlier ones never do.`,
    maxChangesPerDeploy === null
      ? 'A slot takes the newest eligible build, however many were published since.'
      : `A slot that would bring more than ${maxChangesPerDeploy} builds at once waits for a person.`,
  ]
}

function daysText(days: readonly Weekday[]): string {
  const sorted = WEEKDAYS.filter((day) => days.includes(day))
  return listed(sorted.map((day) => WEEKDAY_NAMES[day]))
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

const NEXT_HOLIDAYS = 5

function holidayLines(schedule: Schedule, atMs: number): readonly string[] {
  const found: string[] = []
  let date = localOf(schedule, atMs).date
  for (let day = 0; day < YEAR_DAYS && found.length < NEXT_HOLIDAYS; day += 1, date = addDays(date, 1)) {
    const name = schedule.holidayOn(date)
    if (name !== null) found.push(`${date} ${name}`)
  }
  return found.length === 0 ? ['No holiday is known in the next year.'] : [`The next holidays: ${found.join(', ')}.`]
}

function freezeLines(schedule: Schedule, atMs: number): readonly string[] {
  return schedule.freezes
    .filter(({ toMs }) => toMs > atMs)
    .map(({ fromMs, toMs, reason }) => {
      const [from, to] = [fromMs, toMs].map((ms) => `${localOf(schedule, ms).date} ${localOf(schedule, ms).clock}`)
      return `Nothing is deployed from ${from} to ${to}${reason === '' ? '' : `: ${reason}`}.`
    })
}

function blackoutLine({ days, from, to, reason }: Blackout): string {
  const when = days.length === 7 ? 'every day' : `on ${daysText(days)}`
  return `Nothing is deployed ${when} from ${clockText(from)} to ${clockText(to)}${reason === '' ? '' : `: ${reason}`}.`
}

function commanderLines({ rota, shifts, rotaStart }: Schedule): readonly string[] {
  const turns = ({ people, every }: Rota): string =>
    people.length === 1 ? `${people[0]} commands` : `${listed(people)} command in turn, another every ${every}`
  const own = shifts.map((shift) => `From ${clockText(shift.from)} to ${clockText(shift.to)} ${turns(shift)}.`)
  const rest = rota === null ? [] : [`${shifts.length > 0 ? 'Otherwise ' : ''}${turns(rota)}.`]
  const all = [...own, ...rest]
  return all.length === 0 ? ['Nobody is named to command.'] : [...all, `Turns are counted from ${rotaStart}.`]
}

/**
 * What is allowed and hardly meant, over a year from `atMs`.
 * @param planSeconds how long a rollout takes; null: not known
 */
export function findings(schedule: Schedule, atMs: number, planSeconds: number | null): readonly ScheduleFinding[] {
  const days = daysFrom(schedule, atMs)
  return [
    ...neverOpen(schedule, days),
    ...(planSeconds === null ? [] : unfit(schedule, days, planSeconds)),
    ...uncommanded(schedule, days),
    ...schedule.freezes
      .filter(({ toMs }) => toMs <= atMs)
      .map(({ reason, toMs }) => {
        const what = `the freeze${reason === '' ? '' : ` "${reason}"`} ended ${localOf(schedule, toMs).date}`
        return { code: 'freeze-over' as const, message: `${what}: it can be taken out` }
      }),
  ]
}

/** The working days of a year, with their slots. */
function daysFrom(schedule: Schedule, atMs: number): readonly (readonly Slot[])[] {
  const first = localOf(schedule, atMs).date
  const days = Array.from({ length: YEAR_DAYS }, (_, day) => slotsOn(schedule, addDays(first, day)))
  return days.filter((slots) => slots.length > 0)
}

function neverOpen({ days, perDay }: Schedule, year: readonly (readonly Slot[])[]): readonly ScheduleFinding[] {
  const closed = Array.from({ length: perDay }, (_, i) => i).flatMap((i) => {
    const own = year.flatMap((slots) => slots[i] ?? [])
    const [sample] = own
    return sample !== undefined && own.every((slot) => slot.closed !== null) ? [sample] : []
  })
  if (closed.length === perDay) {
    return [{ code: 'never-open', message: 'no slot opens within a year: nothing will ever be deployed by itself' }]
  }
  const found = closed.map((slot): ScheduleFinding => {
    return { code: 'never-open', message: `the slot at ${slot.local} never opens: ${slot.closed?.message}` }
  })
  const dark = days.filter((day) => {
    const own = year.filter(([slot]) => slot !== undefined && weekdayIs(slot.date, day)).flat()
    return own.length > 0 && own.every(({ closed }) => closed !== null)
  })
  const text = (day: Weekday) => `no slot of a ${WEEKDAY_NAMES[day]} ever opens: take the day out of window.days`
  return [...found, ...dark.map((day): ScheduleFinding => ({ code: 'never-open', message: text(day) }))]
}

function weekdayIs(date: string, day: Weekday): boolean {
  return WEEKDAYS[Temporal.PlainDate.from(date).dayOfWeek - 1] === day
}

function unfit(schedule: Schedule, year: readonly (readonly Slot[])[], seconds: number): readonly ScheduleFinding[] {
  const [day = []] = year
  const gaps = day.slice(1).map((slot, i) => (slot.atMs - (day[i]?.atMs ?? slot.atMs)) / 1_000)
  const least = Math.min(...gaps)
  const takes = `a rollout takes about ${minutesText(seconds)} by the plan`
  const found: ScheduleFinding[] = []
  if (least < seconds) {
    const message = `${takes}, and slots are ${minutesText(least)} apart: a slot is skipped while one is open`
    found.push({ code: 'plan-longer-than-spacing', message })
  }
  const last = day.at(-1)
  const end = clockText(schedule.to)
  if (last !== undefined && closesWithin(schedule, last, seconds)) {
    const message = `${takes}: that of the last slot (${last.local}) is not over at ${end} and goes on the next working day`
    found.push({ code: 'last-slot-late', message })
  }
  return found
}

function closesWithin({ to }: Schedule, { atMs, local }: Slot, seconds: number): boolean {
  const [hours = 0, minutes = 0] = local.split(':').map(Number)
  return atMs > 0 && (hours * 60 + minutes) * 60 + seconds > to * 60
}

function minutesText(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 6) / 10} min`
}

/** Where some slots have a commander and others have none. */
function uncommanded(schedule: Schedule, year: readonly (readonly Slot[])[]): readonly ScheduleFinding[] {
  const [day = []] = year
  const without = day.filter((slot) => commanderFor(schedule, slot) === null)
  if (without.length === 0 || without.length === day.length) return []
  const times = without.map(({ local }) => local).join(', ')
  return [{ code: 'nobody-commands', message: `nobody commands the slots at ${times}: no shift covers them` }]
}
