// Owns the calendar of a daemon: the schedule file, watched, or none.
import type { Logger } from '#fleet/ports.ts'
import { type ScheduleFileWorld, type WatchedSchedule, watchSchedule } from './schedule-file.ts'

type Around = Pick<ScheduleFileWorld, 'clock' | 'parse' | 'watch'> & { readonly log: Logger }

/** @param path null: the app has no calendar @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` */
export async function openCalendar(path: string | null, { log, ...world }: Around): Promise<WatchedSchedule> {
  if (path === null) return NONE
  const tell: ScheduleFileWorld['tell'] = (news) => {
    if (news.kind === 'changed') log.info('another schedule is in force', { schedule: path })
    else
      log.warn('the schedule file cannot be used: the one before stays in force', {
        schedule: path,
        error: news.error.message,
      })
  }
  return await watchSchedule({ ...world, path, tell })
}

const NONE: WatchedSchedule = {
  calendar: () => ({ schedule: null, changedMs: null }),
  trouble: () => null,
  [Symbol.asyncDispose]: async () => undefined,
}
