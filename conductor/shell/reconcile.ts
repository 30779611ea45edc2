// Owns driving a rollout: observe, plan, execute, again, until it is over, held, out of time, or taken away.

import { execution } from '#conductor/core/execution.ts'
import { provedGood } from '#conductor/core/good.ts'
import { ALWAYS_OPEN, NO_SIGNALS, type Plan, plan } from '#conductor/core/plan.ts'
import { isOver, type RolloutEvent } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Catalog, Clock, Lease, Ledger, StatusBoard } from '#fleet/ports.ts'
import type { Because, Rollout } from '#fleet/rollout.ts'
import { execute, tell } from './execute.ts'
import { Bell, isPassing, type Observation, observe } from './observe.ts'
import { OrphanWatch } from './orphans.ts'
import { answerRequests } from './requests.ts'

export interface Driving {
  readonly app: Name
  readonly ledger: Ledger
  readonly board: StatusBoard
  readonly catalog: Catalog
  readonly clock: Clock
  readonly lease: Lease
  readonly policy: Policy
  /** Monotonic milliseconds at which to stop waiting; the rollout stays where it is. */
  readonly deadlineMs: number
  readonly by: string
  /** Called after every look and every write. */
  readonly onTurn: (turn: Turn) => void
}

export interface Turn {
  readonly observed: Observation
  readonly rollout: Rollout
  readonly because: readonly Because[]
  /** What kept this turn from happening: Consul away, or someone was first. */
  readonly trouble: FleetError | null
}

/** A driver looks at least this often: a request must find it within the three seconds that its asker waits. */
const TICK_MS = 500

/** How a drive ended: `over`, or with the rollout open: held by somebody, or out of time. */
export interface Driven {
  readonly rollout: Rollout
  readonly end: 'over' | 'held' | 'late'
  readonly observed: Observation
}

/**
 * Drives the rollout that stands in the ledger. Safe to end at any point: the record says where the next driver goes on.
 * @throws FleetError `LEASE_LOST` · the signal's reason
 */
export async function drive(driving: Driving, rings: readonly Name[], signal: AbortSignal): Promise<Driven> {
  const { clock, lease, board } = driving
  const inner = new AbortController()
  const both = AbortSignal.any([signal, lease.lost, inner.signal])
  const bell = new Bell(board, rings, clock, TICK_MS, both)
  const orphans = new OrphanWatch()
  let last: Turn | null = null
  let policy = driving.policy
  try {
    for (;;) {
      both.throwIfAborted()
      try {
        const turned = await turn({ ...driving, policy }, rings, orphans, both)
        last = turned.turn
        policy = turned.policy
        driving.onTurn(last)
        if (turned.end !== null) return { rollout: last.rollout, end: turned.end, observed: last.observed }
        if (!turned.again) await bell.wait(both)
      } catch (error) {
        both.throwIfAborted()
        if (!isPassing(error)) throw error
        if (last !== null) driving.onTurn({ ...last, trouble: error })
        await clock.sleep(100 + 900 * clock.random(), both)
      }
      if (clock.monotonic() > driving.deadlineMs && last !== null) {
        return { rollout: last.rollout, end: 'late', observed: last.observed }
      }
    }
  } finally {
    inner.abort()
  }
}

interface Turned {
  readonly turn: Turn
  readonly end: Driven['end'] | null
  /** Something was written: look again at once. */
  readonly again: boolean
  readonly policy: Policy
}

async function turn(
  driving: Driving,
  rings: readonly Name[],
  orphans: OrphanWatch,
  signal: AbortSignal,
): Promise<Turned> {
  const { app, clock, lease, ledger } = driving
  const observed = await observe(driving, { app, rings, policy: driving.policy }, signal)
  const { rollout } = observed
  if (rollout === null) throw new FleetError('RECORD_INVALID', `the rollout record of ${app} is gone`)
  const now = clock.now()
  const at = new Date(now).toISOString()
  const world = { ledger, lease }

  if (await orphans.record(world, observed.ledger, { app, by: driving.by, at }, signal)) {
    return seen(observed, rollout, { action: { type: 'wait' }, because: [] }, driving.policy, true)
  }
  const asked = answerRequests(observed, driving.policy, at)
  if (asked !== null) {
    const after = (await execute(world, observed.ledger, asked.deed, signal)) ?? rollout
    return seen(observed, after, { action: { type: 'wait' }, because: [] }, asked.policy, true)
  }
  if (isOver(rollout)) return seen(observed, rollout, { action: { type: 'wait' }, because: [] }, driving.policy, false)

  const next = plan(rollout, observed.fleet, NO_SIGNALS, ALWAYS_OPEN, now)
  const events = execution(observed.fleet, next.action, at)
  if (events.length === 0) return seen(observed, rollout, next, driving.policy, false)
  const told = tell(rollout, events, driving.by, at)
  const after = (await execute(world, observed.ledger, { rollout, events, told, answered: [] }, signal)) ?? rollout
  await record(driving, rollout, events, at, signal)
  // What still holds back the next step is said when nothing is left to do but wait.
  const because = next.action.type === 'rollBack' ? next.because : []
  return seen(observed, after, { action: next.action, because }, driving.policy, true)
}

function seen(observed: Observation, rollout: Rollout, next: Plan, policy: Policy, wrote: boolean): Turned {
  const turn = { observed, rollout, because: next.because, trouble: null }
  if (isOver(rollout)) return { turn, end: wrote ? null : 'over', again: true, policy }
  const held = rollout.hold !== null && rollout.phase !== 'recalling' && !wrote
  return { turn, end: held ? 'held' : null, again: wrote, policy }
}

/** What the catalog learns from a rollout: where a build proved good, and that one which failed may not be released again. */
async function record(
  { catalog }: Driving,
  rollout: Rollout,
  events: readonly RolloutEvent[],
  at: string,
  signal: AbortSignal,
): Promise<void> {
  for (const event of events) {
    const good = event.type === 'ended' && event.phase === 'done'
    const bad = event.type === 'recallBegun' && event.cause !== 'operator'
    if (!good && !bad) continue
    try {
      const found = await catalog.find(rollout.build, signal)
      if (found === null) continue
      const rings = rollout.stages.map(({ ring }) => ring)
      const entry = good
        ? provedGood(found.entry, rings, at)
        : { ...found.entry, quarantine: { by: 'conduct', reason: event.outcome, at } }
      await catalog.put(entry, found.index, signal)
    } catch (error) {
      // The catalog is for the next release; this one does not wait for it.
      if (!isPassing(error)) throw error
    }
  }
}
