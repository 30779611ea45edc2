// Owns whether the calendar lets a rollout go on: asked anew at each step, so that nothing advances outside of deploy hours.
import type { Rollout } from '#fleet/rollout.ts'
import { localText, openingAt } from '#schedule/calendar.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { ALWAYS_OPEN, type Opening } from './plan.ts'

/**
 * What `plan` is handed. A rollout to an older build by name, and one to rings that take every build, ask no calendar; one that went past
 * `windows` by name is let through by `plan` itself.
 * @param free rings for which no calendar is asked
 */
export function openingOf(
  schedule: Schedule | null,
  free: readonly string[],
): (rollout: Pick<Rollout, 'stages' | 'back'>, nowMs: number) => Opening {
  return ({ stages, back }, nowMs) => {
    if (schedule === null || back === true || stages.every(({ ring }) => free.includes(ring))) return ALWAYS_OPEN
    const { closure, changesAtMs } = openingAt(schedule, nowMs)
    if (closure === null) return ALWAYS_OPEN
    const opens =
      changesAtMs === null ? 'it does not open within a year' : `it goes on ${localText(schedule, changesAtMs)}`
    return { open: false, because: { code: 'closed', message: `${closure.message}; ${opens}` } }
  }
}
