// Owns the two kinds of node that the order search knows: one by the letter of the protocol, and the production machine itself.
import type { BuildId } from '#fleet/build.ts'
import type { Target, wants } from '#fleet/target.ts'
import { step } from '#puller/core/machine.ts'
import { refusedBy } from '#puller/core/notice.ts'
import { journalOf, recover } from '#puller/core/recover.ts'
import { BLANK, type Held, type NodeEvent, type NodeState, type Step } from '#puller/core/state.ts'
import { manifestOf } from './order-model.ts'
import { outcomesOf, surveysOf } from './walk.ts'

/** An accepted order, as the node understands it. */
export interface Ordered {
  readonly target: Target
  readonly place: number
  readonly modifyIndex: number
  readonly bare: boolean
}

/** One thing that a node does: what it is then, and which build it begins to bring into cold or to run. */
export interface Deed<node> {
  readonly node: node
  readonly stages: BuildId | null
  readonly starts: BuildId | null
}

/** How a node acts on orders. */
export interface NodeKind<node> {
  begin(hot: BuildId | null): node
  /** Hears of a new order in force. */
  obey(node: node, order: Ordered): Deed<node>
  /** Everything that may happen next without another order; nothing when it has come to rest. */
  deeds(node: node, order: Ordered): readonly Deed<node>[]
  /** What it may be after it died here and was started again. */
  crashes(node: node): readonly Deed<node>[]
  hot(node: node): BuildId | null
  /** Whether it stands still for a reason of its own: a refusal, or being parked. */
  declines(node: node, build: BuildId, target: Target): boolean
  key(node: node): string
}

interface PlainNode {
  readonly hot: BuildId | null
  readonly cold: BuildId | null
  /** Swapped, and not yet proved healthy: the attempt that this is. Null at rest. */
  readonly verifying: number | null
  /** `build attempt` of everything that failed here. */
  readonly refused: readonly string[]
}

const refusal = (build: BuildId, attempt: number) => `${build} attempt ${attempt}`

/** The smallest node that keeps the protocol: stage, swap, verify, revert, refuse. It asks the `wants` that it is given, every turn. */
export function plainNode(rule: typeof wants): NodeKind<PlainNode> {
  const quiet = (node: PlainNode): Deed<PlainNode> => ({ node, stages: null, starts: null })
  const stage = (node: PlainNode, build: BuildId) => [{ node: { ...node, cold: build }, stages: build, starts: null }]
  const verify = (node: PlainNode, attempt: number, wanted: BuildId | null) => {
    const proved = { ...node, verifying: null }
    if (node.hot === null) return [quiet(proved)]
    const back = node.cold === null ? proved : { ...proved, hot: node.cold, cold: node.hot }
    // Told otherwise meanwhile: it goes back at once, and refuses nothing.
    if (wanted !== null && wanted !== node.hot) return [quiet(back)]
    const refused = [...new Set([...node.refused, refusal(node.hot, attempt)])].sort()
    return [quiet(proved), quiet({ ...back, refused })]
  }
  return {
    begin: (hot) => ({ hot, cold: null, verifying: null, refused: [] }),
    obey: (node) => quiet(node),
    deeds: (node, { target, place }) => {
      const want = rule(target, place, node.hot)
      if (node.verifying !== null) return verify(node, node.verifying, want.hot)
      const { attempt } = target
      if (want.hot !== null && want.hot !== node.hot && !node.refused.includes(refusal(want.hot, attempt))) {
        if (node.cold !== want.hot) return stage(node, want.hot)
        const swapped = { ...node, hot: want.hot, cold: node.hot, verifying: attempt }
        return [{ node: swapped, stages: null, starts: want.hot }]
      }
      const spare = want.cold !== null && want.cold !== node.cold && want.cold !== node.hot
      return spare && want.cold !== null ? stage(node, want.cold) : []
    },
    // All that it is lies on its disk; what it was about to do it reads off the order again.
    crashes: () => [],
    hot: (node) => node.hot,
    declines: (node, build, { attempt }) => node.refused.includes(refusal(build, attempt)),
    key: (node) => `${node.hot}|${node.cold}|${node.verifying}|${node.refused}`,
  }
}

function held(build: BuildId): Held | null {
  const manifest = manifestOf(build)
  return manifest === null ? null : { build, manifest }
}

/** Fields that number and explain but decide nothing here are taken out, so that the search ends. */
function plain(state: NodeState): NodeState {
  const { job, stand } = state
  const refusals = state.refusals.map((one) => ({ ...one, code: 'X', message: '' }))
  return {
    ...state,
    job: job && { ...job, n: 1, ...('tries' in job ? { tries: 0, trouble: null } : {}) },
    lastJob: 1,
    tries: 0,
    previous: null,
    refusals: refusals.sort((a, b) => (a.build < b.build ? -1 : 1)),
    stand: stand && { ...stand, code: 'X', message: '' },
    crashes: BLANK.crashes,
  }
}

/** Failures that lead somewhere of their own; the machine's own walk tries the others. */
const TRIED = ['fetched', 'waited', 'turnGranted', 'drained', 'drainFailed', 'undrained', 'swapped', 'restarted']
const PROVED = ['verified', 'verifyFailed', 'finished']

function happens(event: NodeEvent): boolean {
  if (event.type === 'fetched') return event.armed
  return TRIED.includes(event.type) || PROVED.includes(event.type)
}

function booked(was: NodeState, { state, effects }: Step): Deed<NodeState> {
  let stages: BuildId | null = null
  let starts: BuildId | null = null
  for (const effect of effects) {
    if (effect.type !== 'start') continue
    const { job } = effect
    // Sweeping what lies in cold already brings nothing into it.
    if (job.kind === 'stage' && job.held.build !== was.cold?.build) stages = job.held.build
    if (job.kind === 'swap' && state.phase === 'swapping') starts = state.move?.to.build ?? null
  }
  return { node: plain(state), stages, starts }
}

const done = (was: NodeState, event: NodeEvent) => booked(was, step(was, event))

/** The production machine: what a puller really does with the orders it accepted. */
export const MACHINE_NODE: NodeKind<NodeState> = {
  begin: (hot) => ({ ...BLANK, hot: hot === null ? null : held(hot), verified: hot !== null }),
  obey: (node, order) => done(node, { type: 'ordered', order }),
  deeds: (node) =>
    outcomesOf(node)
      .filter(happens)
      .map((event) => done(node, event)),
  crashes: (node) => surveysOf(node).map((survey) => booked(node, recover(survey, journalOf(node), node.order))),
  hot: (node) => node.hot?.build ?? null,
  declines: (node, build, target) => {
    const one = held(build)
    return node.phase === 'parked' || (one !== null && refusedBy(node, one, target))
  },
  key: (node) => JSON.stringify({ ...node, order: null }),
}
