// Owns firing: decides every slot that is due and writes what became of it, in one transaction with the rollout that it begins.
//
// For a daemon: hold the lease of the app, call `runSlots` beside the drive, and drive each rollout that `onDecided` is told of, with
// `opening: openingOf(calendar().schedule, autoRings(route))` asked anew at each turn. `watchSchedule` gives `calendar`, `publications` of the adapters
// `published`. test/support/slot-daemon.ts is such a daemon.
//
// A rollout begun here stands in the ledger before `onDecided` is called, so one that nobody drives is found open by whoever leads next. Everything
// written is fenced by the lease, and each slot is a key of CAS 0: two daemons decide a slot at most once, whatever they believe of the lease.
import { autoRings, type Route } from '#conductor/core/route.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import type { BuildStore, Catalog, Clock, Lease, Ledger, StatusBoard } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { slotsAfter } from '#schedule/calendar.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { dueSlots } from './due.ts'
import { isPassing } from './observe.ts'
import { releaseAuto, settle } from './slot-deed.ts'

/** The schedule in force. `changedMs`: since when, where the file was changed under a running daemon: earlier slots were never planned. */
export interface Calendar {
  readonly schedule: Schedule | null
  readonly changedMs: number | null
}

export interface SlotWorld {
  readonly app: Name
  /** Of the plan, in its order; the last one is where builds are measured. */
  readonly rings: readonly Name[]
  readonly ledger: Ledger
  readonly board: StatusBoard
  readonly catalog: Catalog
  /** Null: no store is configured. */
  readonly store: () => Promise<BuildStore | null>
  readonly clock: Clock
  readonly lease: Lease
  readonly policy: Policy
  readonly route: Route
  readonly evidence: {
    readonly required: readonly string[]
    readonly checkout: string | null
    readonly afterRollout: unknown
  }
  /** Who writes: the daemon. */
  readonly by: string
  /** Wall time since which somebody is there; without any slot on record none before it is due. */
  readonly sinceMs: number
  readonly newId: () => string
  /** Version of this machine's zone tables (`process.versions.tz`), for the record. */
  readonly zoneTables: string | null
  /** How often the loop looks at least, in milliseconds; left out: 5 s. */
  readonly tickMs?: number
  /** After each transaction of its own. `record` is null for a ring that takes every build. */
  readonly onDecided: (decided: Decided) => void
}

export interface Decided {
  readonly record: SlotRecord | null
  /** Open, and to be driven. */
  readonly rollout: Rollout | null
}

/** The loop looks at least this often: the clock may be set, the file changed, a build published. */
const TICK_MS = 5_000

/**
 * Fires slots and automatic releases until the lease is lost or the signal aborts.
 * @param calendar asked at every turn, so a changed file counts at once
 * @param published wakes it when the catalog changes; without it the tick does
 * @throws FleetError `LEASE_LOST` · the signal's reason
 */
export async function runSlots(
  world: SlotWorld,
  calendar: () => Calendar,
  signal: AbortSignal,
  published?: (signal: AbortSignal) => AsyncIterable<unknown>,
): Promise<never> {
  const { clock, lease } = world
  const inner = new AbortController()
  const both = AbortSignal.any([signal, lease.lost, inner.signal])
  let rang = false
  let wake = (): void => undefined
  const hearing = hear(published, both, () => {
    rang = true
    wake()
  })
  try {
    for (;;) {
      both.throwIfAborted()
      let waitMs: number
      rang = false
      try {
        waitMs = Math.min(await turnSlots(world, calendar(), both), world.tickMs ?? TICK_MS)
      } catch (error) {
        both.throwIfAborted()
        if (!isPassing(error)) throw error
        waitMs = 100 + 900 * clock.random()
      }
      // What was published while it looked is looked at at once.
      if (rang) continue
      const woken = new AbortController()
      wake = () => woken.abort()
      await clock.sleep(waitMs, AbortSignal.any([both, woken.signal])).catch(() => undefined)
    }
  } finally {
    inner.abort()
    await hearing
  }
}

async function hear(
  published: ((signal: AbortSignal) => AsyncIterable<unknown>) | undefined,
  signal: AbortSignal,
  wake: () => void,
): Promise<void> {
  try {
    for await (const _ of published?.(signal) ?? []) wake()
  } catch {
    // The tick goes on waking: a deaf ear costs seconds, never a build.
  }
}

/**
 * One look: decides what is due. Returns how long it is until the next slot, in milliseconds; infinite where none is planned within a year.
 * @throws FleetError `LEASE_LOST` · kind transient · `WRITE_CONFLICT` when others write all the time
 */
export async function turnSlots(world: SlotWorld, calendar: Calendar, signal: AbortSignal): Promise<number> {
  const { clock } = world
  const { schedule } = calendar
  if (schedule !== null) {
    const due = await dueSlots(world, calendar, signal)
    for (const [i, slot] of due.entries()) await settle(world, schedule, slot, due[i + 1] ?? null, signal)
  }
  for (const ring of autoRings(world.route)) await releaseAuto(world, ring, signal)
  const [next] = schedule === null ? [] : slotsAfter(schedule, clock.now(), 1)
  return next === undefined ? Number.POSITIVE_INFINITY : Math.max(1, next.atMs - clock.now())
}
