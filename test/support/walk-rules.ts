// Owns the rules that every state and every step of the node's machine must keep, written without looking at its table.
import type { Phase } from '#fleet/node-status.ts'
import { aim, askedHot, orderKey, upkeep } from '#puller/core/notice.ts'
import { type JobKind, type NodeEvent, type NodeState, type Step, same } from '#puller/core/state.ts'
import type { Edge } from '#puller/core/table.ts'

const JOBS = {
  idle: ['stage', 'wait'],
  fetching: ['stage', 'wait'],
  staged: ['turn', 'wait'],
  draining: ['drain', 'undrain'],
  swapping: ['swap'],
  restarting: ['afterSwap'],
  verifying: ['verify', 'afterVerify', 'undrain'],
  reverting: ['swap', 'afterSwap', 'verify', 'afterVerify', 'undrain'],
  parked: [],
} as const satisfies Record<Phase, readonly JobKind[]>

const MOVING: readonly Phase[] = ['draining', 'swapping', 'restarting', 'verifying', 'reverting']

function shape(state: NodeState): string | null {
  const { phase, job, hot, verified, out, move, stand } = state
  const kinds: readonly JobKind[] = JOBS[phase]
  if (job !== null && !kinds.includes(job.kind)) return `${job.kind} is no job of ${phase}`
  if (job === null && (MOVING.includes(phase) || phase === 'fetching')) return `stuck: ${phase} without a job`
  if (verified && hot === null) return 'nothing is hot and yet verified'
  if (out && verified && !MOVING.includes(phase)) return `a sound node is left out of service in ${phase}`
  if (MOVING.includes(phase) && !out) return `${phase} while the node counts as in service`
  if (phase === 'parked' && stand === null) return 'parked without a reason'
  if (same(state.cold, hot) && move === null) return 'both trees are said to hold the same build'
  if (!MOVING.includes(phase) && move !== null) return `${phase} with a move in hand`
  if (MOVING.includes(phase) && move === null && job?.kind !== 'undrain') return `${phase} without a move`
  if ((job?.kind === 'undrain' || job?.kind === 'afterVerify') && !verified) return `${job.kind} before verify passed`
  if ((job?.kind === 'afterSwap' || job?.kind === 'verify') && verified) return `${job.kind} of what counts as verified`
  if (job?.kind === 'swap' && job.to !== state.coldTree) return 'a swap to the tree that is hot'
  if (phase === 'reverting' && move?.from === null) return 'reverting without a way back'
  return null
}

/** What is in hand must be what is asked: read off the order in force, whatever came before. */
function purpose(state: NodeState): string | null {
  const { phase, job, move, hot, stopping } = state
  const next = aim(state)
  if (stopping) {
    const rest = phase === 'idle' || phase === 'staged' || phase === 'parked'
    if (rest && job !== null) return 'works although it was told to stop'
    if (phase === 'fetching' || job?.kind === 'drain') return `stopping, and still ${phase}`
    if (rest) return null
  }
  switch (phase) {
    case 'idle': {
      if (next.kind !== 'rest') return `idle although it should ${next.kind}`
      const need = upkeep(state)
      const held = job?.kind === 'stage' || job?.kind === 'wait' ? job.held : null
      if (need === null ? job !== null : !same(need.held, held)) return 'idle without keeping cold fit'
      return null
    }
    case 'fetching':
      if (next.kind !== 'stage') return `fetching although it should ${next.kind}`
      return (job?.kind === 'stage' || job?.kind === 'wait') && same(job.held, next.held)
        ? null
        : 'fetches what is not asked'
    case 'staged':
      if (next.kind === 'ready') return job === null ? null : 'asks for a turn it does not need'
      if (next.kind !== 'swap' && next.kind !== 'restart') return `staged although it should ${next.kind}`
      if (job?.kind !== 'turn' && job?.kind !== 'wait') return 'stuck: staged without asking for its turn'
      return job.order === orderKey(state) ? null : 'waits for a turn under an order that is gone'
    case 'draining':
      if (job?.kind !== 'drain') return null
      if (move?.kind === 'restart') return next.kind === 'restart' ? null : 'drains for a restart nobody asks for'
      return next.kind === 'swap' && same(next.to, move?.to ?? null) ? null : 'drains towards an unwanted build'
    case 'restarting':
    case 'verifying': {
      const wanted = askedHot(state)
      if (job?.kind === 'undrain' || move?.kind === 'recover') return null
      return wanted === null || same(wanted, hot) ? null : `${phase} a build that is no longer wanted`
    }
    case 'parked':
      return next.kind === 'park' ? null : `parked although it should ${next.kind}`
    case 'swapping':
    case 'reverting':
      return null
  }
}

/** The first rule that a state breaks, in words; null when it keeps them all. */
export function ruleOf(state: NodeState): string | null {
  return shape(state) ?? purpose(state)
}

/** Which events may begin a job: the order of a deploy. `null`: a notice, in a phase where nothing was decided yet. */
const BEGUN_BY: Readonly<Partial<Record<JobKind, readonly NodeEvent['type'][]>>> = {
  drain: ['turnGranted'],
  swap: [
    'turnGranted',
    'drained',
    'swapped',
    'restarted',
    'verified',
    'restartFailed',
    'verifyFailed',
    'finishFailed',
    'ordered',
    'rollback',
  ],
  afterSwap: ['swapped', 'drained'],
  verify: ['restarted'],
  afterVerify: ['verified'],
  undrain: ['finished', 'drainFailed', 'swapFailed', 'ordered', 'rollback', 'stop'],
}

function effectsOf(was: NodeState, event: NodeEvent, done: Step): string | null {
  const { state, effects } = done
  const began = state.job !== null && state.job.n !== was.job?.n ? state.job : null
  const started = effects.find((effect) => effect.type === 'start')
  if (began !== null && started?.job !== began) return `${began.kind} was never started`
  if (began === null && started !== undefined) return `${started.job.kind} was started twice`
  const left = was.job !== null && state.job?.n !== was.job.n && !('n' in event)
  if (left !== effects.some((effect) => effect.type === 'cancel'))
    return left ? `${was.job?.kind} was never cancelled` : 'cancelled what had ended'
  const resting = state.phase === 'idle' || state.phase === 'staged' || state.phase === 'parked'
  if ((state.stopping && resting) !== effects.some((effect) => effect.type === 'exit'))
    return 'stops at the wrong moment'
  const by = began === null ? undefined : BEGUN_BY[began.kind]
  if (began !== null && by !== undefined && !by.includes(event.type)) return `${began.kind} after ${event.type}`
  return null
}

/** Where each edge must land and with what, as an operator would draw it; `…` is whatever keeps a resting node fit. */
const LANDINGS: Readonly<Record<Edge, readonly string[]>> = {
  wanted: ['fetching stage'],
  recalled: ['staged turn'],
  readied: ['staged nothing'],
  settled: ['idle …'],
  parked: ['parked nothing'],
  unwanted: ['draining undrain', 'reverting swap'],
  unwantedInPlace: ['verifying undrain'],
  unwantedForGood: ['idle nothing'],
  fetched: ['staged nothing', 'idle nothing'],
  fetchBlocked: ['fetching retry', 'idle arm'],
  fetchRefused: ['idle nothing'],
  waited: ['fetching stage', 'idle stage', 'staged turn'],
  turnGranted: ['draining drain'],
  installGranted: ['swapping swap'],
  turnHeld: ['staged pin'],
  drained: ['swapping swap'],
  drainedInPlace: ['restarting afterSwap'],
  drainFailed: ['draining undrain'],
  drainFailedForGood: ['idle nothing'],
  undrained: ['idle …'],
  swapped: ['restarting afterSwap', 'reverting afterSwap'],
  swapFailed: ['draining undrain'],
  swapFailedForGood: ['parked nothing'],
  restarted: ['verifying verify', 'reverting verify'],
  restartFailed: ['reverting swap'],
  restartFailedForGood: ['parked nothing'],
  verified: ['verifying afterVerify', 'reverting afterVerify'],
  verifyFailed: ['reverting swap'],
  verifyFailedForGood: ['parked nothing'],
  finished: ['verifying undrain', 'reverting undrain'],
}
const UPKEEP: readonly unknown[] = [null, 'stage', 'rearm']
/** Edges that stay in their phase wherever they start. */
const STAYS: readonly Edge[] = ['waited', 'verified', 'finished', 'fetchBlocked']

function landing({ trail }: Step): string | null {
  for (const [at, { from, edge, to, began }] of trail.entries()) {
    const there = LANDINGS[edge]
    const fits =
      there.includes(`${to} ${began ?? 'nothing'}`) ||
      (to === 'idle' && there.includes('idle …') && UPKEEP.includes(began))
    if (!fits) return `${edge} out of ${from} lands in ${to} with ${began ?? 'nothing'}`
    if (to !== from && (STAYS.includes(edge) || (edge === 'fetched' && from === 'idle')))
      return `${edge} leaves ${from}`
    if (edge === 'fetched' && from === 'fetching' && to !== 'staged') return 'what was fetched is not staged'
    if (edge === 'swapped' && (from === 'reverting') !== (to === 'reverting'))
      return `swapped leads from ${from} to ${to}`
    if (edge === 'restarted' && (from === 'reverting') !== (to === 'reverting'))
      return `restarted leads from ${from} to ${to}`
    if (edge === 'unwanted' && (from === 'draining') !== (to === 'draining'))
      return `unwanted leads from ${from} to ${to}`
    if (edge === 'settled' && trail[at - 1]?.to === 'idle') return 'a node at rest has to be told to rest'
  }
  return null
}

/** The first rule that a step breaks, in words. */
export function afterEvent(was: NodeState, event: NodeEvent, done: Step): string | null {
  const { state } = done
  const broken = effectsOf(was, event, done) ?? landing(done)
  if (broken !== null) return broken
  if (event.type !== 'swapped' && !same(was.hot, state.hot) && was.hot !== state.hot)
    return 'hot changed without a swap'
  if (event.type === 'swapped' && same(was.hot, state.hot)) return 'a swap changed nothing'
  const swaps = state.job?.kind === 'swap' && was.job?.n !== state.job.n
  if (swaps && state.phase === 'swapping' && !same(askedHot(state), state.move?.to ?? null))
    return 'swaps to a build that is not asked'
  if (
    swaps &&
    state.phase === 'reverting' &&
    was.phase !== 'restarting' &&
    was.phase !== 'verifying' &&
    was.phase !== 'swapping'
  ) {
    return `swaps back out of ${was.phase}`
  }
  const failed = event.type === 'restartFailed' || event.type === 'verifyFailed' || event.type === 'finishFailed'
  if (failed && state.phase !== 'parked' && !(state.phase === 'reverting' && state.job?.kind === 'swap'))
    return `${event.type} leads to ${state.phase}`
  if (
    failed &&
    was.phase !== 'reverting' &&
    was.move?.kind === 'swap' &&
    was.move.from !== null &&
    state.phase === 'parked'
  )
    return 'parked although there was a way back'
  if (
    (event.type === 'drainFailed' || event.type === 'swapFailed') &&
    was.phase !== 'reverting' &&
    was.verified &&
    state.job?.kind !== 'undrain'
  )
    return `${event.type} without undraining`
  return null
}
