// Owns asking the calendar for a verb: what closes a release now, and what is said where nobody asks it.
import { openingOf } from '#conductor/core/opening.ts'
import { autoRings } from '#conductor/core/route.ts'
import { isFleetError } from '#fleet/errors.ts'
import { type Closure, closureAt } from '#schedule/calendar.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

/** What closes a release to the rings now; null: it is open; undefined: there is no calendar to ask. @throws FleetError `CONFIG_INVALID` */
export async function closureOf({ schedule, route, rings, clock }: Bench): Promise<Closure | null | undefined> {
  const calendar = await schedule()
  const free = autoRings(route)
  if (calendar === null || rings.every((ring) => free.includes(ring))) return undefined
  return closureAt(calendar, clock.now())
}

/** Whether a rollout may go on. @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` */
export async function openingFor({ schedule, route }: Bench): Promise<ReturnType<typeof openingOf>> {
  return openingOf(await schedule(), autoRings(route))
}

/** Who was told that its schedule cannot be read: `watch` looks again and again. */
const told = new WeakSet<Bench>()

/** The same for who only looks: a file that cannot be read closes nothing, and is said once. */
export async function openingSeen(bench: Bench): Promise<ReturnType<typeof openingOf>> {
  try {
    return await openingFor(bench)
  } catch (error) {
    if (!isFleetError(error)) throw error
    if (!told.has(bench))
      bench.report.say(bench.report.paintAside.dim(`Note: the schedule is not read: ${plain(error.message)}`))
    told.add(bench)
    return openingOf(null, [])
  }
}

/** A rollback asks no calendar, and says so where one would have closed. */
export async function sayUnasked(bench: Bench): Promise<void> {
  const closure = await closureOf(bench).catch(() => null)
  if (closure) bench.report.say(`Outside deploy hours (${plain(closure.message)}): a rollback asks no calendar.`)
}
