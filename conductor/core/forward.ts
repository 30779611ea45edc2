// Owns the way forward: pre-stage a ring, raise its cutoff within the cap, pass its stage, and when to turn back instead.
import { assert } from '#fleet/assert.ts'
import type { Because, RingMark, Rollout } from '#fleet/rollout.ts'
import { stateOf } from '#fleet/roster.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { orderOf, raiseOrder, stageOrder } from './orders.ts'
import { ahead, isOurs, mayBeginOver, orphanHold } from './ownership.ts'
import type { Opening, Plan, Signals } from './plan.ts'
import { isReady, raise } from './raise.ts'
import { hasFailed, namesOf, type Placed, placeAll } from './service.ts'
import { capOf, type FleetView, isSettled, type Policy, type RingView, shareOf } from './standing.ts'

const wait = (...because: readonly Because[]): Plan => ({ action: { type: 'wait' }, because })

/** Plan of a rollout that is not turning back. */
export function forward(rollout: Rollout, fleet: FleetView, signals: Signals, opening: Opening, now: number): Plan {
  const stage = rollout.stages[rollout.stage]
  assert(stage !== undefined, 'the stage in hand exists')
  const view = fleet.rings[stage.ring]
  assert(view !== undefined, 'the ring of the stage in hand was observed')
  const mark = rollout.marks?.[stage.ring]

  const failing = signals.verdicts.filter(({ verdict }) => verdict === 'fail')
  if (failing.length > 0) {
    return rollBack('gate-failed', failing.map(({ gate, message }) => `${gate}: ${message}`).join('; '))
  }
  if (mark !== undefined) {
    const orphan = isOurs(rollout, view) ? null : orphanHold(view, now)
    if (orphan !== null && rollout.hold === null) return { action: { type: 'hold', hold: orphan }, because: [] }
    const failed = orphan === null ? tooManyFailed(rollout, view, mark, fleet.policy) : null
    if (failed !== null) return failed
  }
  const stops = blockers(rollout, signals, opening)
  if (stops.length > 0) return wait(...stops)
  if (view.nodes.length === 0) return wait({ code: 'ring-empty', message: `ring ${view.ring} has no nodes` })
  if (mark === undefined) return begin(rollout, view, now)

  const climb = ahead(rollout, view, now)
  if (climb !== null) return climb
  assert(view.standing.kind === 'record', 'an order of ours is a record')
  const { target } = view.standing
  const placed = placeAll(view.nodes, target.salt)
  const spread = { share: stage.share, cap: capOf(fleet.policy, placed.length) }
  return target.cutoff === 0
    ? firstRaise(rollout, view, target, placed, spread, now)
    : advance(rollout, view, target, placed, { ...spread, policy: fleet.policy }, now)
}

function rollBack(cause: string, outcome: string, because: readonly Because[] = []): Plan {
  return { action: { type: 'rollBack', cause, outcome }, because }
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
  const failed = view.nodes.filter((node) => hasFailed(node, target, mark))
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

function blockers(rollout: Rollout, signals: Signals, opening: Opening): readonly Because[] {
  const stops: Because[] = []
  const { hold } = rollout
  if (hold !== null) stops.push({ code: 'hold', message: `held by ${hold.by} (${hold.code}): ${hold.reason}` })
  if (!opening.open) stops.push(opening.because ?? { code: 'closed', message: 'outside deploy hours' })
  for (const { gate, verdict, message } of signals.verdicts) {
    if (verdict === 'inconclusive') stops.push({ code: 'gate-inconclusive', message: `${gate}: ${message}` })
  }
  return stops
}

interface Spread {
  readonly share: number
  readonly cap: number
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
  const busy = placed.filter((node) => !isReady(node, target, mark))
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
  const { cutoff, taken, stopped } = raise(placed, target, mark, spread)
  const because = stopped === null ? [] : [stopped]
  if (cutoff > target.cutoff) {
    const order = orderOf('raise', view, raiseOrder(rollout, view, target, cutoff, now), taken)
    return { action: { type: 'order', order }, because }
  }
  return stopped === null ? null : wait(stopped)
}

/** Raises as nodes come back into service; at the stage's share, waits for a verdict over the whole roster. */
function advance(
  rollout: Rollout,
  view: RingView,
  target: Target,
  placed: readonly Placed[],
  limits: Spread & { readonly policy: Policy },
  now: number,
): Plan {
  const further = raiseOrWait(rollout, view, target, placed, limits, now)
  if (further !== null) return further
  const mark = rollout.marks?.[view.ring]
  assert(mark !== undefined, 'a ring is marked before its cutoff rises')
  const below = placed.filter(({ at }) => at < target.cutoff)
  const state = (node: Placed) => {
    const said = stateOf({ status: node.status, silent: node.silent }, target)
    // A failure from before this rollout: it has to speak again first.
    return said === 'failed' && !hasFailed(node, target, mark) ? 'working' : said
  }
  const working = below.filter((node) => state(node) === 'working' || state(node) === 'staged')
  if (working.length > 0) {
    return wait({ code: 'nodes-working', message: 'waiting for nodes to swap and verify', nodes: namesOf(working) })
  }
  const lost = below.filter((node) => state(node) === 'silent' || state(node) === 'failed')
  if (lost.length > shareOf(limits.policy.failureBudget, placed.length)) {
    return wait({ code: 'nodes-silent', message: 'nodes are silent: no data is no success', nodes: namesOf(lost) })
  }
  return passStage(rollout)
}

function passStage(rollout: Rollout): Plan {
  if (rollout.stage + 1 < rollout.stages.length) return { action: { type: 'nextStage' }, because: [] }
  return {
    action: { type: 'end', phase: 'done', outcome: `${rollout.build} runs on every ring of the plan` },
    because: [],
  }
}
