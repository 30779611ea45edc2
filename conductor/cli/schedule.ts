// Owns `conduct schedule`: the slots of a day and what became of them, those to come, and what is to be said of the file.
import { forecast } from '#conductor/core/forecast.ts'
import { soakSumSeconds, stagesOf } from '#conductor/core/route.ts'
import { observe } from '#conductor/shell/observe.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { closureAt, openingAt, type Slot, slotsAfter, slotsOn } from '#schedule/calendar.ts'
import { explain, findings } from '#schedule/explain.ts'
import { commanderFor } from '#schedule/rota.ts'
import { localOf, type Schedule, weekdayOf } from '#schedule/timetable.ts'
import { rolloutId } from './lease.ts'
import { plain } from './reporter.ts'
import { columns, counted } from './words.ts'
import type { Bench } from './world.ts'

export interface ScheduleOptions {
  readonly what: 'day' | 'next' | 'check'
  readonly count: number
  /** As of then, in milliseconds since 1970. */
  readonly atMs: number
}

/** Entries of the history that are looked through for how long stages took. */
const LOOKED_THROUGH = 500

/** @throws FleetError `CONFIG_MISSING` when the config names no schedule · `CONFIG_INVALID` */
export async function schedule(bench: Bench, options: ScheduleOptions): Promise<number> {
  const found = await bench.schedule()
  if (found === null) {
    const help = 'schedule: schedule.yaml in the config names one, docs/samples/schedule.yaml shows its keys'
    throw new FleetError('CONFIG_MISSING', `${bench.app} has no schedule: ${help}`)
  }
  if (options.what === 'next') return next(bench, found, options)
  return options.what === 'check' ? check(bench, found, options) : day(bench, found, options)
}

async function day(bench: Bench, schedule: Schedule, { atMs }: ScheduleOptions): Promise<number> {
  const { app, report } = bench
  const { date, clock } = localOf(schedule, atMs)
  const slots = slotsOn(schedule, date)
  const records = await recordsOf(bench, slots)
  const opening = openingAt(schedule, atMs)
  const rows = slots.map((slot) => ({ ...toldOf(schedule, slot), decided: records.get(slot.at) ?? null }))
  const { timezone } = schedule
  if (report.json) {
    const { open, closure, changesAtMs } = opening
    const hours = { open, closure, changesAt: changesAtMs === null ? null : new Date(changesAtMs).toISOString() }
    report.document({ app, timezone, at: new Date(atMs).toISOString(), date, ...hours, slots: rows })
    return 0
  }
  const many = slots.length === 0 ? 'no slots' : counted(slots.length, 'slot')
  report.result(
    `${app} on ${weekdayOf(date)} ${date}, ${timezone}: ${many}. It is ${clock}: ${hoursText(schedule, opening)}.`,
  )
  if (slots.length === 0) return 0
  const upcoming = rows.find((slot) => slot.closed === null && slot.decided === null && Date.parse(slot.at) > atMs)
  const cells = rows.map((row) =>
    [row.local, row.at, row.commander ?? '-', stateOf(row, atMs, row === upcoming)].map(plain),
  )
  const [header = '', ...lines] = columns([['SLOT', 'UTC', 'COMMANDER', 'STATE'], ...cells])
  report.result(`  ${report.paint.dim(header)}`)
  for (const line of lines) report.result(`  ${line}`)
  return 0
}

/** A slot as it is told: with its commander, without what is for computing. */
function toldOf(schedule: Schedule, slot: Slot) {
  const { at, date, local, ordinal, closed, note } = slot
  return { at, date, local, ordinal, closed, note, commander: commanderFor(schedule, slot) }
}

function stateOf(
  row: ReturnType<typeof toldOf> & { readonly decided: SlotRecord | null },
  atMs: number,
  isNext: boolean,
): string {
  const { decided, closed, note, at } = row
  const aside = note === null ? '' : ` (${note})`
  if (decided?.outcome === 'fired') return `fired: ${decided.build} by ${decided.rollout}${aside}`
  if (decided !== null) return `skipped: ${decided.reason} (${decided.code})${aside}`
  if (closed !== null) return `closed: ${closed.message}${aside}`
  const inMs = Date.parse(at) - atMs
  if (inMs <= 0) return `over: nobody decided it${aside}`
  return `${isNext ? `next, in ${formatDuration(inMs)}` : 'open'}${aside}`
}

function hoursText(schedule: Schedule, { open, closure, changesAtMs }: ReturnType<typeof openingAt>): string {
  if (open) return changesAtMs === null ? 'open' : `open until ${localOf(schedule, changesAtMs).clock}`
  if (changesAtMs === null) return `closed (${closure?.message}), and it does not open within a year`
  const { date, clock } = localOf(schedule, changesAtMs)
  return `closed (${closure?.message}) until ${date} ${clock}`
}

/** What became of slots, by their names. The slots of a local day may lie on two days in UTC. */
async function recordsOf({ ports, signal }: Bench, slots: readonly Slot[]): Promise<ReadonlyMap<string, SlotRecord>> {
  const days = [...new Set(slots.map(({ at }) => at.slice(0, 10)))]
  const entries = await Promise.all(days.map((day) => ports.ledger.slots(day, signal)))
  return new Map(entries.flat().flatMap(({ slot, record }) => (record === null ? [] : [[slot, record] as const])))
}

function next({ app, report }: Bench, schedule: Schedule, { count, atMs }: ScheduleOptions): number {
  const slots = slotsAfter(schedule, atMs, count, 'open').map((slot) => toldOf(schedule, slot))
  if (report.json) {
    report.document({ app, timezone: schedule.timezone, at: new Date(atMs).toISOString(), slots })
    return 0
  }
  if (slots.length === 0) {
    report.result(`No slot of ${app} opens within a year: conduct schedule check says why.`)
    return 0
  }
  const rows = slots.map(({ at, date, local, commander, note }) => {
    return [weekdayOf(date), date, local, at, commander ?? '-', note ?? ''].map(plain)
  })
  const [header = '', ...lines] = columns([['', 'DATE', 'SLOT', 'UTC', 'COMMANDER', 'NOTE'], ...rows])
  report.result(report.paint.dim(header))
  for (const line of lines) report.result(line)
  return 0
}

async function check(bench: Bench, schedule: Schedule, { atMs }: ScheduleOptions): Promise<number> {
  const { app, report } = bench
  const plan = await planSeconds(bench)
  const sentences = explain(schedule, atMs)
  const found = findings(schedule, atMs, plan.seconds)
  const closure = closureAt(schedule, atMs)
  if (report.json) {
    report.document({
      app,
      timezone: schedule.timezone,
      sentences,
      findings: found,
      planSeconds: plan.seconds,
      closure,
    })
    return 0
  }
  for (const line of sentences) report.result(line)
  report.result(`A rollout takes ${formatDuration(plan.seconds * 1_000)} by the plan, ${plan.from}.`)
  for (const { code, message } of found)
    report.result(`${report.paint.yellow('Warning')}: ${plain(message)} (${code}).`)
  if (found.length === 0) report.result('Nothing in it looks unmeant.')
  return 0
}

/** As `conduct plan` estimates it; where Consul does not answer or nothing is known, what the stages soak. */
async function planSeconds(bench: Bench): Promise<{ readonly seconds: number; readonly from: string }> {
  const { app, rings, policy, route, ports, clock, signal } = bench
  const stages = stagesOf(route, rings)
  const soak = soakSumSeconds(stages)
  try {
    const { fleet } = await observe(ports, { app, rings, policy }, signal)
    const history = await ports.ledger.history(LOOKED_THROUGH, signal)
    const { estimateSeconds } = forecast(stages, fleet, rolloutId(clock), route, history)
    if (estimateSeconds === null)
      return { seconds: soak, from: 'soaks alone: how long its nodes take is not known yet' }
    return { seconds: estimateSeconds, from: 'with what its nodes took before' }
  } catch (error) {
    if (!isFleetError(error) || error.kind !== 'transient') throw error
    return { seconds: soak, from: 'soaks alone: Consul did not answer' }
  }
}
