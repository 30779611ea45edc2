// Owns driving a rollout: observe, plan, execute, again, until it is over, held, out of time, or taken away.

import { goesPast } from '#conductor/core/bypass.ts'
import { execution } from '#conductor/core/execution.ts'
import type { GateReader } from '#conductor/core/gates.ts'
import { PAUSED } from '#conductor/core/legality.ts'
import { type AheadSince, stillAhead } from '#conductor/core/ownership.ts'
import { ALWAYS_OPEN, type Opening, type Plan, plan } from '#conductor/core/plan.ts'
import { isOver, type RolloutEvent } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Catalog, Clock, Lease, Ledger, StatusBoard } from '#fleet/ports.ts'
import type { Because, Rollout } from '#fleet/rollout.ts'
import type { Place } from './evaluate.ts'
import { execute, tell } from './execute.ts'
import { Gating, UNGATED } from './gating.ts'
import { learned } from './learning.ts'
import { Bell, isPassing, type Observation, observe } from './observe.ts'
import { OrphanWatch } from './orphans.ts'
import { answerRequests, begins, none } from './requests.ts'
import { Smoke } from './smoke.ts'

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
  /** Where commands of the plan run. */
  readonly place: Place
  /** The gates of the stages; left out, nothing is asked. */
  readonly gates?: GateReader | null
  /** Whether the calendar lets a rollout go on; left out: always. */
  readonly opening?: (rollout: Rollout, nowMs: number) => Opening
  /** Of one who leads for as long as it runs: waits out every hold, and begins what is asked for by itself. */
  readonly serving?: Serving
  /** Called after every look and every write. */
  readonly onTurn: (turn: Turn) => void
}

export interface Serving {
  /** Takes up the oldest request if that is one to begin something. @returns whether it wrote; what is left is for the next look */
  begins(observed: Observation, signal: AbortSignal): Promise<boolean>
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
  const gating = driving.gates ? new Gating(driving.gates) : null
  const orphans = new OrphanWatch()
  let last: Turn | null = null
  let policy = driving.policy
  const smoke = new Smoke(driving)
  const beside: Beside = { smoke, gating, orphans, ahead: {} }
  try {
    for (;;) {
      both.throwIfAborted()
      try {
        const turned = await turn({ ...driving, policy }, rings, beside, both)
        last = turned.turn
        policy = turned.policy
        driving.onTurn(last)
        const waits = turned.end === 'held' && driving.serving !== undefined
        if (turned.end !== null && !waits) return { rollout: last.rollout, end: turned.end, observed: last.observed }
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
    await smoke.end()
  }
}

interface Turned {
  readonly turn: Turn
  readonly end: Driven['end'] | null
  /** Something was written: look again at once. */
  readonly again: boolean
  readonly policy: Policy
}

/** What is looked at beside the nodes, from turn to turn. */
interface Beside {
  readonly smoke: Smoke
  readonly gating: Gating | null
  readonly orphans: OrphanWatch
  ahead: AheadSince
}

async function turn(driving: Driving, rings: readonly Name[], beside: Beside, signal: AbortSignal): Promise<Turned> {
  const { smoke, orphans } = beside
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
  const { serving } = driving
  if (serving !== undefined && !isOver(rollout) && (await serving.begins(observed, signal))) {
    return seen(observed, rollout, { action: { type: 'wait' }, because: [] }, driving.policy, true)
  }
  const leaves = serving === undefined ? none : begins
  const asked = await answerRequests(ledger, observed, driving.policy, at, signal, leaves)
  if (asked !== null) {
    const after = (await execute(world, observed.ledger, asked.deed, signal)) ?? rollout
    return seen(observed, after, { action: { type: 'wait' }, because: [] }, asked.policy, true)
  }
  if (isOver(rollout)) return seen(observed, rollout, { action: { type: 'wait' }, because: [] }, driving.policy, false)

  const gating = goesPast(rollout, 'gates') ? null : beside.gating
  const gated = (await gating?.look(rollout, observed.fleet, now, signal)) ?? UNGATED
  const opening = driving.opening?.(rollout, now) ?? ALWAYS_OPEN
  beside.ahead = stillAhead(beside.ahead, observed.fleet.rings, now)
  const signals = { ...gated.signals, aheadSince: beside.ahead }
  const next = plan(rollout, observed.fleet, signals, opening, now)
  const smoked = next.action.type === 'smoke' ? smoke.look(rollout) : null
  if (next.action.type !== 'smoke') smoke.stop()
  const done = smoked === null ? execution(observed.fleet, next.action, at) : [smoked]
  const events = [...gated.events, ...done]
  if (events.length === 0) return seen(observed, rollout, next, driving.policy, false)
  const kept = gating?.closing(rollout, next.action, gated, driving.by, at) ?? []
  // The end of a stage tells what each gate said last: not twice.
  const ends = kept.map(({ facts }) => facts.gate)
  const heard = events.filter((event) => gating?.isTold(event) !== false && !isToldIn(ends, event))
  const told = [...kept, ...tell(rollout, heard, driving.by, at)]
  const aside = await learned(driving.catalog, rollout, events, at, signal)
  const deed = { rollout, events, told, answered: [], aside }
  const after = (await execute(world, observed.ledger, deed, signal)) ?? rollout
  // What still holds back the next step is said when nothing is left to do but wait.
  const because = next.action.type === 'rollBack' || isAnswer(next) ? next.because : []
  return seen(observed, after, { action: next.action, because }, driving.policy, true)
}

function isToldIn(gates: readonly unknown[], event: RolloutEvent): boolean {
  return event.type === 'judged' && gates.includes(event.mark.gate)
}

/** An order that is written again because of what nodes obey: as when Consul was restored, which nobody else would tell. */
function isAnswer({ action }: Plan): boolean {
  return action.type === 'order' && action.order.kind === 'rewrite'
}

function seen(observed: Observation, rollout: Rollout, next: Plan, policy: Policy, wrote: boolean): Turned {
  const turn = { observed, rollout, because: next.because, trouble: null }
  if (isOver(rollout)) return { turn, end: wrote ? null : 'over', again: true, policy }
  // A pause is waited out: whoever resumes finds somebody who goes on.
  const held = rollout.hold !== null && rollout.hold.code !== PAUSED && rollout.phase !== 'recalling' && !wrote
  return { turn, end: held ? 'held' : null, again: wrote, policy }
}
