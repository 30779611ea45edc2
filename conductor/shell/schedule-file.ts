// Owns the schedule file under a running daemon: a valid change counts at once, an invalid one keeps what was in force and says so.
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type FleetError, isFleetError } from '#fleet/errors.ts'
import type { WatchFolder } from '#fleet/node-ports.ts'
import type { Clock } from '#fleet/ports.ts'
import { type ScheduleConfig, scheduleOf } from '#schedule/load.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { scheduleText } from './schedule-text.ts'
import type { Calendar } from './slots.ts'

export interface ScheduleFileWorld {
  readonly path: string
  /** Parses and validates the text of the file. @throws FleetError `CONFIG_INVALID` */
  readonly parse: (text: string, path: string) => ScheduleConfig
  readonly watch: WatchFolder
  readonly clock: Clock
  /** `changed`: another schedule is in force. `kept`: the file cannot be used, and the one before stays; said once for each error. */
  readonly tell: (news: { readonly kind: 'changed' } | { readonly kind: 'kept'; readonly error: FleetError }) => void
}

export interface WatchedSchedule extends AsyncDisposable {
  /** What is in force: for `runSlots`. */
  calendar(): Calendar
  /** Why the file as it stands is not in force; null: it is. */
  trouble(): FleetError | null
}

/** A watch is a hint: the file is read this often all the same. */
const LOOK_MS = 30_000
/** A file that is being written is half of itself, and half a schedule can be a valid one: it counts when two readings this far apart agree. */
const SETTLE_MS = 200

interface Read {
  readonly text: string
  readonly config: ScheduleConfig
  readonly schedule: Schedule
}

/** @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` when there is no valid schedule to begin with */
export async function watchSchedule(world: ScheduleFileWorld): Promise<WatchedSchedule> {
  const { path, clock, tell } = world
  let current = await readAs(world, await scheduleText(path))
  let changedMs: number | null = null
  let trouble: FleetError | null = null
  const over = new AbortController()

  async function look(): Promise<void> {
    try {
      const text = await settled(world, over.signal)
      const next = text === current.text ? current : await readAs(world, text)
      trouble = null
      if (next === current || over.signal.aborted) return
      const same = isDeepStrictEqual(next.config, current.config)
      current = next
      // Another comment, or another order of keys: what was planned before the edit stays planned.
      if (same) return
      changedMs = clock.now()
      tell({ kind: 'changed' })
    } catch (error) {
      if (!isFleetError(error)) throw error
      const known = trouble?.message === error.message
      trouble = error
      if (!known && !over.signal.aborted) tell({ kind: 'kept', error })
    }
  }

  let wake = (): void => undefined
  let asked = false
  const folder = world.watch(dirname(path), () => {
    asked = true
    wake()
  })
  const looking = (async () => {
    while (!over.signal.aborted) {
      if (!asked) {
        const woken = new AbortController()
        wake = () => woken.abort()
        await clock.sleep(LOOK_MS, AbortSignal.any([over.signal, woken.signal])).catch(() => undefined)
      }
      asked = false
      if (!over.signal.aborted) await look()
    }
  })()
  return {
    calendar: () => ({ schedule: current.schedule, changedMs }),
    trouble: () => trouble,
    async [Symbol.asyncDispose]() {
      over.abort()
      await folder[Symbol.asyncDispose]()
      await looking
    },
  }
}

async function readAs({ path, parse }: ScheduleFileWorld, text: string): Promise<Read> {
  const config = parse(text, path)
  return { text, config, schedule: await scheduleOf(config, path) }
}

/** The text, once two readings agree. @throws FleetError as `scheduleText`, once two readings fail */
async function settled(world: ScheduleFileWorld, signal: AbortSignal): Promise<string> {
  let last: string | null = null
  for (let missing = 0; ; ) {
    const text: string | null = await scheduleText(world.path).catch((error: unknown) => {
      missing += 1
      if (missing > 1 || !isFleetError(error)) throw error
      return null
    })
    if (text !== null && (text === last || signal.aborted)) return text
    last = text
    await world.clock.sleep(SETTLE_MS, signal).catch(() => undefined)
  }
}
