// Owns a daemon in a test: it holds the lease, fires slots by a clock of the test's, and drives what they begin, on the real ports.
import { openingOf } from '#conductor/core/opening.ts'
import { autoRings, type Route } from '#conductor/core/route.ts'
import { drive } from '#conductor/shell/reconcile.ts'
import { type Calendar, type Decided, runSlots, type SlotWorld } from '#conductor/shell/slots.ts'
import type { Name } from '#fleet/build.ts'
import type { Catalog, Clock, Ledger, Locks, StatusBoard } from '#fleet/ports.ts'
import { APP } from './rollout-sim.ts'

export interface SlotDaemonWorld {
  readonly ledger: Ledger
  readonly board: StatusBoard
  readonly catalog: Catalog
  readonly locks: Locks
  readonly clock: Clock
  readonly route: Route
  readonly rings: readonly Name[]
  readonly required?: readonly string[]
  readonly calendar: () => Calendar
  readonly onDecided?: (decided: Decided) => void
  /** Told at each turn of a drive what it waits for, as codes. */
  readonly onTurn?: (codes: readonly string[]) => void
  readonly published?: (signal: AbortSignal) => AsyncIterable<unknown>
}

export interface SlotDaemon {
  /** Ends gracefully: the lease is free then. A rollout stays open. */
  stop(): Promise<void>
}

const POLICY = { maxUnavailable: 100, failureBudget: 0, waveMs: 60_000, allAtOnce: false }

export async function startSlotDaemon(world: SlotDaemonWorld): Promise<SlotDaemon> {
  const { ledger, board, catalog, locks, clock, route, rings, calendar } = world
  const stop = new AbortController()
  const note = { holder: 'conduct@desk', since: '', rollout: null, reason: 'serves' }
  const lease = await locks.acquire(note, stop.signal)
  let driving: Promise<unknown> = Promise.resolve()
  const opening = (...of: Parameters<ReturnType<typeof openingOf>>) =>
    openingOf(calendar().schedule, autoRings(route))(...of)
  const driveIt = () =>
    drive(
      {
        ...{ app: APP, ledger, board, catalog, clock, lease, policy: POLICY, by: 'conduct', opening },
        deadlineMs: Number.POSITIVE_INFINITY,
        place: { dir: '/', env: {} },
        onTurn: ({ because }) => world.onTurn?.(because.map(({ code }) => code)),
      },
      rings,
      stop.signal,
    ).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error
    })
  const slots: SlotWorld = {
    ...{ app: APP, rings, ledger, board, catalog, clock, lease, policy: POLICY, route },
    store: async () => null,
    evidence: { required: world.required ?? [], checkout: null, afterRollout: null },
    by: 'conduct',
    zoneTables: process.versions.tz ?? null,
    sinceMs: clock.now(),
    newId: () => `r-${Math.floor(clock.now())}`,
    onDecided(decided) {
      world.onDecided?.(decided)
      if (decided.rollout !== null) driving = driving.then(driveIt)
    },
  }
  // What stands open when a daemon comes is driven on.
  const { rollout } = await ledger.view(rings, stop.signal)
  if (rollout !== null && rollout.record.endedAt === null) driving = driveIt()
  const firing = runSlots(slots, calendar, stop.signal, world.published).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  return {
    async stop() {
      stop.abort(new Error('the daemon is stopped'))
      await firing
      await driving
      await lease[Symbol.asyncDispose]()
    },
  }
}
