// Owns what a plan does about nodes that stay silent: it waits, or goes on without them, by name, within the failure budget.
import { formatDuration } from '#fleet/duration.ts'
import type { RingMark, Rollout, Waiver } from '#fleet/rollout.ts'
import type { Plan } from './plan.ts'
import { progressOf, stageOf } from './progress.ts'
import { hasFailed, namesOf, type Placed, serviceOf } from './service.ts'
import { wait } from './settling.ts'
import { type FleetView, type Policy, type RingView, shareOf } from './standing.ts'
import { POLICY, unwaived } from './waiver.ts'

/** A waiver of the plan's own holds only as long as nobody hears of the node: what it says counts again, failures too. */
export function heardAgain(rollout: Rollout, fleet: FleetView): Plan | null {
  const waived = new Set((rollout.waivers ?? []).filter(({ policy }) => policy === true).map(({ node }) => node))
  if (waived.size === 0) return null
  const speaking = Object.values(fleet.rings).flatMap(({ nodes }) => nodes.filter(({ silent }) => !silent))
  const nodes = speaking.map(({ status }) => status.node).filter((node) => waived.has(node))
  if (nodes.length === 0) return null
  return { action: { type: 'unwaive', nodes, reason: 'it reports again' }, because: [] }
}

interface Silent {
  readonly view: RingView
  readonly placed: readonly Placed[]
  readonly mark: RingMark
  readonly policy: Policy
}

/**
 * What is done in place of a wait for silent nodes, where the plan goes on without them: the time is noted, and when it is over they are
 * waived. Silence counts like failure here: no more nodes than the failure budget allows are given up, failed ones included, and never the
 * only ones that were to run the build.
 * @param waiting the wait that stands, whatever it is for
 */
export function goOnWithout(
  rollout: Rollout,
  waiting: Plan,
  { view, placed, mark, policy }: Silent,
  now: number,
): Plan {
  const { silentSeconds } = stageOf(rollout)
  if (silentSeconds === undefined || waiting.action.type !== 'wait') return waiting
  const { silentAt } = progressOf(rollout)
  const [first] = waiting.because
  const named = placed.filter(({ status }) => first?.nodes?.includes(status.node) === true)
  const forSilence = first !== undefined && ['nodes-silent', 'barrier'].includes(first.code)
  if (!forSilence || named.length === 0 || named.some(({ silent }) => !silent)) {
    return silentAt === undefined
      ? waiting
      : { action: { type: 'note', note: 'silenceOver' }, because: waiting.because }
  }
  if (silentAt === undefined) return { action: { type: 'note', note: 'silenceBegun' }, because: waiting.because }
  const leftMs = Date.parse(silentAt) + silentSeconds * 1_000 - now
  if (leftMs > 0)
    return silently(named, `the plan goes on without them in ${formatDuration(Math.ceil(leftMs / 1_000) * 1_000)}`)
  const refused = beyondPolicy(rollout, named, { view, placed, mark, policy })
  if (refused !== null) return silently(named, refused)
  const reason = `silent for ${formatDuration(silentSeconds * 1_000)}`
  const at = new Date(now).toISOString()
  const waivers = named.map(({ status }): Waiver => ({ node: status.node, by: POLICY, reason, at, policy: true }))
  return { action: { type: 'waive', waivers }, because: [] }
}

function silently(nodes: readonly Placed[], next: string): Plan {
  const message = `nodes are silent, and ${next}; conduct waive NODE goes on without one now`
  return wait({ code: 'nodes-silent', message, nodes: namesOf(nodes) })
}

/** Why the plan may not give these nodes up by itself, or null. */
function beyondPolicy(
  rollout: Rollout,
  named: readonly Placed[],
  { view, placed, mark, policy }: Silent,
): string | null {
  if (view.standing.kind !== 'record') return 'the order is not readable'
  const { target } = view.standing
  const budget = shareOf(policy.failureBudget, placed.length)
  const failed = unwaived(rollout, placed).filter((node) => hasFailed(node, target, mark))
  const before = (rollout.waivers ?? []).filter(
    ({ node, policy: own }) => own === true && placed.some(({ status }) => status.node === node),
  )
  const lost = named.length + failed.length + before.length
  if (lost > budget) {
    const most = budget === 0 ? 'none' : `at most ${budget}`
    return `of ${placed.length} nodes ${most} may be failed or given up by the plan, and these make it ${lost}`
  }
  const below = unwaived(rollout, placed).filter(({ at }) => at < target.cutoff)
  const proves = below.some((node) => node.status.hot === target.build && serviceOf(node, target, mark) === 'serving')
  return below.length === 0 || proves ? null : `nobody else runs ${rollout.build} here`
}
