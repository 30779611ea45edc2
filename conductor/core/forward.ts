// Owns the way forward: pre-stage a ring, raise its cutoff within the cap, pass its stage, and when to turn back instead.
import { assert } from '#fleet/assert.ts'
import { holdsOn } from '#fleet/hold.ts'
import type { Because, RingMark, Rollout } from '#fleet/rollout.ts'
import { type RosterNode, stateOf } from '#fleet/roster.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { PAUSED } from './legality.ts'
import { orderOf, raiseOrder, stageOrder } from './orders.ts'
import { ahead, describeHolds, isOurs, mayBeginOver, orphanHold } from './ownership.ts'
import type { Opening, Plan, Signals } from './plan.ts'
import { prestage } from './prestage.ts'
import { isSoaking, stageOf } from './progress.ts'
import { exposedAt, isReady, raise, unstaged } from './raise.ts'
import { hasFailed, namesOf, type Placed, placeAll } from './service.ts'
import { overdue, passStage, rollBack, settle, unsure, wait } from './settling.ts'
import { goOnWithout, heardAgain } from './silence.ts'
import { capOf, type FleetView, isSettled, type Policy, policyIn, type RingView, shareOf } from './standing.ts'
import { unwaived, waivedNodes } from './waiver.ts'

/** Plan of a rollout that is not turning back. */
export function forward(rollout: Rollout, fleet: FleetView, signals: Signals, opening: Opening, now: number): Plan {
  const stage = stageOf(rollout)
  const view = fleet.rings[stage.ring]
  assert(view !== undefined, 'the ring of the stage in hand was observed')

  const failing = signals.verdicts.filter(({ verdict }) => verdict === 'fail')
  if (failing.length > 0) {
    return rollBack('gate-failed', failing.map(({ gate, message }) => `${gate}: ${message}`).join('; '))
  }
  const heard = heardAgain(rollout, fleet)
  if (heard !== null) return heard
  const turn = turned(rollout, fleet, now) ?? unproved(rollout, view, signals)
  if (turn !== null) return turn
  const stops = [...blockers(rollout, signals, opening), ...lineStops(rollout, view, fleet, now)]
  if (stops.length > 0) return wait(...stops)
  const next = further(rollout, view, fleet, signals, now)
  return next.action.type === 'wait' ? (overdue(rollout, next, now) ?? next) : next
}

/** What any ring that has an order of this rollout says against going on: someone else's order, or too many failures. The one in hand comes first. */
function turned(rollout: Rollout, fleet: FleetView, now: number): Plan | null {
  const hand = stageOf(rollout).ring
  const marks = Object.entries(rollout.marks ?? {}).sort(([a], [b]) => Number(b === hand) - Number(a === hand))
  for (const [ring, mark] of marks) {
    const view = fleet.rings[ring]
    assert(view !== undefined, 'every ring that a rollout wrote to is observed')
    const orphan = isOurs(rollout, view) ? null : orphanHold(view, now)
    if (orphan !== null && rollout.hold === null) return { action: { type: 'hold', hold: orphan }, because: [] }
    const failed = orphan === null ? tooManyFailed(rollout, view, mark, policyIn(fleet.policy, view.ring)) : null
    if (failed !== null) return failed
  }
  return null
}

/** The next step of the stage in hand, and beside it the pre-staging of rings whose turn comes. */
function further(rollout: Rollout, view: RingView, fleet: FleetView, signals: Signals, now: number): Plan {
  const stage = stageOf(rollout)
  const mark = rollout.marks?.[stage.ring]
  if (view.nodes.length === 0) return wait({ code: 'ring-empty', message: `ring ${view.ring} has no nodes` })
  if (mark === undefined) return begin(rollout, view, now)
  const early = prestage(rollout, fleet, now)
  if (early !== null) return early

  const climb = ahead(rollout, view, now, signals.aheadSince?.[view.ring])
  if (climb !== null) return climb
  assert(view.standing.kind === 'record', 'an order of ours is a record')
  const { target } = view.standing
  const placed = placeAll(view.nodes, target.salt)
  const policy = policyIn(fleet.policy, view.ring)
  const spread = { share: stage.share, cap: capOf(policy, placed.length), barrier: stage.barrier ?? false }
  const next =
    target.cutoff === 0
      ? firstRaise(rollout, view, target, placed, spread, now)
      : advance(rollout, view, target, placed, spread, signals, now)
  return goOnWithout(rollout, next, { view, placed, mark, policy }, now)
}

/**
 * A ring whose order is right already is passed, unless this rollout asks for another attempt or activation. Where the build runs already the
 * order goes to every node at once: pre-staging would send them to the fallback first. Every other ring begins with pre-staging.
 */
function begin(rollout: Rollout, view: RingView, now: number): Plan {
  const { standing } = view
  const stands = standing.kind === 'record' && isSettled(standing.target) ? standing.target : null
  const asked = stands !== null && stands.build === rollout.build
  const again = (rollout.activation ?? null) !== null || (rollout.attempt ?? 1) > (stands?.attempt ?? 1)
  const there = (rollout.there ?? []).includes(view.ring)
  if (asked && !again && !there) return passStage(rollout)
  if (!rollout.adopt && !asked && !mayBeginOver(rollout, view)) {
    return { action: { type: 'hold', hold: orphanHold(view, now) }, because: [] }
  }
  const staged = stageOrder(rollout, view, now)
  const whole = asked || there
  const order = whole ? orderOf('raise', view, { ...staged, cutoff: ALL }, []) : orderOf('stage', view, staged, [])
  return { action: { type: 'order', order }, because: [] }
}

/** The number of failed nodes is compared with the whole roster: a verdict's denominator never shrinks. */
function tooManyFailed(rollout: Rollout, view: RingView, mark: RingMark, policy: Policy): Plan | null {
  if (view.standing.kind !== 'record') return null
  const { target } = view.standing
  const failed = unwaived(
    rollout,
    view.nodes.filter((node) => hasFailed(node, target, mark)),
  )
  const impostor = failed.find(({ status }) => status.refusal?.code === 'IDENTITY_MISMATCH')
  if (impostor !== undefined) return mistaken(rollout, view, impostor)
  const budget = shareOf(policy.failureBudget, view.nodes.length)
  if (failed.length <= budget) return null
  const [one] = failed
  const first = one?.status.refusal ?? one?.status.troubles[0]
  const nodes = failed.map(({ status }) => status.node)
  const allowed = budget === 0 ? 'none may' : `at most ${budget} may`
  const what = `${failed.length} of ${view.nodes.length} nodes of ${view.ring} failed ${rollout.build} (${allowed})`
  const outcome = `${what}${first ? `: ${first.message}` : ''}`
  return rollBack('failures-over-budget', outcome, [{ code: 'failures-over-budget', message: outcome, nodes }])
}

/**
 * The share is reached, or a gate lets nobody further up, and nobody of it runs the build: within the budget or not, there is no word for it,
 * and a larger share would only fail more. Before gates are heard: where nobody runs the build, they have nothing to judge and never will.
 */
function unproved(rollout: Rollout, view: RingView, signals: Signals): Plan | null {
  const mark = rollout.marks?.[view.ring]
  if (mark === undefined || view.standing.kind !== 'record' || !isOurs(rollout, view)) return null
  const { target } = view.standing
  const placed = placeAll(view.nodes, target.salt)
  const below = placed.filter(({ at }) => at < target.cutoff)
  const asked = unwaived(rollout, below)
  const failed = asked.filter((node) => hasFailed(node, target, mark))
  if (failed.length === 0 || failed.length < asked.length) return null
  const reached = below.length >= exposedAt(stageOf(rollout).share, placed.length)
  if (!reached && unsure(signals).length === 0) return null
  const [one] = failed
  const first = one?.status.refusal ?? one?.status.troubles[0]
  const what = `all ${failed.length} of the nodes of ${view.ring} that were to run it failed ${rollout.build}`
  const outcome = `${what}${first ? `: ${first.message}` : ''}`
  return rollBack('failures-over-budget', outcome, [
    { code: 'failures-over-budget', message: outcome, nodes: namesOf(failed) },
  ])
}

/** Whatever answers there is not the build that was ordered: no share of the fleet may be told so, however large the budget. */
function mistaken(rollout: Rollout, view: RingView, { status }: RosterNode): Plan {
  const message = `${status.node} of ${view.ring} answers with another build than ${rollout.build}`
  const outcome = `${message}: ${status.refusal?.message ?? 'its identity differs'}`
  return rollBack('identity-mismatch', outcome, [{ code: 'identity-mismatch', message, nodes: [status.node] }])
}

function blockers(rollout: Rollout, signals: Signals, opening: Opening): readonly Because[] {
  const stops: Because[] = []
  const { hold } = rollout
  if (hold !== null) {
    const lifts = hold.code === PAUSED ? '; conduct resume lets it go on' : ''
    stops.push({ code: 'hold', message: `held by ${hold.by} (${hold.code}): ${hold.reason}${lifts}` })
  }
  if (!opening.open) stops.push(opening.because ?? { code: 'closed', message: 'outside deploy hours' })
  // During the soak they have time to come to a verdict.
  return isSoaking(rollout) ? stops : [...stops, ...unsure(signals)]
}

/** Operators stop the line for an app or a ring; what goes back by name is not stopped by it. */
function lineStops(rollout: Rollout, view: RingView, fleet: FleetView, now: number): readonly Because[] {
  const holds = rollout.back === true ? [] : holdsOn(fleet.line ?? [], view.ring, now)
  return holds.length === 0 ? [] : [{ code: 'line-held', message: `${describeHolds(holds)}; conduct unhold lifts it` }]
}

interface Spread {
  readonly share: number
  readonly cap: number
  readonly barrier: boolean
}

/** Nobody runs the build before everybody who can has it in cold: then each step of the cutoff costs a rename, not a download. */
function firstRaise(
  rollout: Rollout,
  view: RingView,
  target: Target,
  placed: readonly Placed[],
  spread: Spread,
  now: number,
): Plan {
  const mark = rollout.marks?.[view.ring]
  assert(mark !== undefined, 'a ring is marked before its cutoff rises')
  const busy = unwaived(
    rollout,
    placed.filter((node) => !isReady(node, target, mark)),
  )
  if (busy.length > 0) {
    return wait({ code: 'nodes-staging', message: 'waiting for nodes to stage the build', nodes: namesOf(busy) })
  }
  return raiseOrWait(rollout, view, target, placed, spread, now) ?? wait()
}

function raiseOrWait(
  rollout: Rollout,
  view: RingView,
  target: Target,
  placed: readonly Placed[],
  spread: Spread,
  now: number,
): Plan | null {
  const mark = rollout.marks?.[view.ring]
  assert(mark !== undefined, 'a ring is marked before its cutoff rises')
  const { cutoff, taken, stopped } = raise(placed, target, mark, { ...spread, waived: waivedNodes(rollout) })
  const because = stopped === null ? [] : [stopped]
  if (cutoff > target.cutoff) {
    const bare = spread.barrier ? unwaived(rollout, unstaged(placed, target)) : []
    if (bare.length > 0) {
      return wait({ code: 'barrier', message: 'nobody swaps before all have staged the build', nodes: namesOf(bare) })
    }
    const order = orderOf('raise', view, raiseOrder(rollout, view, target, cutoff, now), taken)
    return { action: { type: 'order', order }, because }
  }
  return stopped === null ? null : wait(stopped)
}

/** Raises as nodes come back into service; at the stage's share, waits for a verdict over the whole roster, and then for the stage's soak. */
function advance(
  rollout: Rollout,
  view: RingView,
  target: Target,
  placed: readonly Placed[],
  limits: Spread,
  signals: Signals,
  now: number,
): Plan {
  // Ordered everywhere at once (a restart, a build that ran there already): nothing is left for its shares to find out.
  if (target.cutoff === ALL && limits.share < 100) return passStage(rollout)
  const raised = raiseOrWait(rollout, view, target, placed, limits, now)
  const missing = raised ?? unconverged(rollout, view, target, placed)
  if (missing === null) return settle(rollout, signals, now)
  // What was calm is no longer: its soak begins anew once it is again.
  const broken = missing.action.type === 'wait' && isSoaking(rollout)
  return broken ? { action: { type: 'note', note: 'convergenceLost' }, because: missing.because } : missing
}

/** Who keeps the stage from having converged, or null. */
function unconverged(rollout: Rollout, view: RingView, target: Target, placed: readonly Placed[]): Plan | null {
  const mark = rollout.marks?.[view.ring]
  assert(mark !== undefined, 'a ring is marked before its cutoff rises')
  const below = placed.filter(({ at }) => at < target.cutoff)
  const state = (node: Placed) => {
    const said = stateOf({ status: node.status, silent: node.silent }, target)
    // A failure from before this rollout: it has to speak again first.
    return said === 'failed' && !hasFailed(node, target, mark) ? 'working' : said
  }
  const blocking = unwaived(rollout, below)
  const working = blocking.filter((node) => state(node) === 'working' || state(node) === 'staged')
  if (working.length > 0) {
    return wait({ code: 'nodes-working', message: 'waiting for nodes to swap and verify', nodes: namesOf(working) })
  }
  // The budget is for failures: what nobody has heard of is no success, however few they are.
  const silent = blocking.filter((node) => state(node) === 'silent')
  if (silent.length > 0) {
    const message = 'nodes are silent, and no data is no success; conduct waive NODE goes on without one'
    return wait({ code: 'nodes-silent', message, nodes: namesOf(silent) })
  }
  return null
}
