// Owns the step of the node's machine: an event and a state in, the next state and what the shell must do out.
import { assert } from '#fleet/assert.ts'
import { ERRORS, type ErrorCode } from '#fleet/errors.ts'
import type { Trouble } from '#fleet/node-status.ts'
import { aim, asked, notice, orderKey, refusalsUnder, released, upkeep } from './notice.ts'
import type { Effect, Followed, Held, Job, Move, NodeEvent, NodeState, Outcome, Refused, Stand, Step } from './state.ts'
import { same } from './state.ts'
import { type Begin, type Edge, TABLE, type Table } from './table.ts'
import { otherTree } from './trees.ts'

/** Refusals kept, newest last: more than a node can meet between two upgrades of its patience. */
const MAX_REFUSALS = 16

/** Tries after which a failing download refuses the build; what is not named here is tried again for ever, with a growing wait. */
function triesOf(code: ErrorCode): number {
  if (code === 'DISK_ERROR') return 2
  return code === 'STORE_MISSING' || ERRORS[code].kind === 'corrupt' ? 3 : Number.POSITIVE_INFINITY
}

export function standFor(state: NodeState, code: string, message: string, manual: Held | null = null): Stand {
  const target = state.order?.target
  return {
    code,
    message,
    manual,
    rollout: target?.rollout ?? '',
    build: target?.build ?? null,
    generation: target?.generation ?? -1,
    attempt: target?.attempt ?? 1,
    activation: target?.activation ?? null,
  }
}

/** What a local rollback would make hot: the way back of a move in hand, what runs while another is on its way, else what ran before. */
export function rollbackTo(state: NodeState): Held | null {
  const { phase, move, hot, cold, previous } = state
  if (move !== null && phase !== 'draining') return move.kind === 'swap' ? move.from : null
  const wanted = asked(state).hot
  if (wanted !== null && !same(wanted, hot)) return hot
  return same(previous, cold) ? previous : null
}

function refuse(state: NodeState, held: Held, code: string, message: string): NodeState {
  const attempt = state.order?.target.attempt ?? 1
  const refusal: Refused = { build: held.build, manifest: held.manifest, attempt, code, message }
  return { ...state, refusals: [...state.refusals.filter((old) => !same(old, held)), refusal].slice(-MAX_REFUSALS) }
}

/** A move failed: the build is refused, or the node stands where nothing can be refused. */
export function giveUp(state: NodeState, code: string, message: string): NodeState {
  const { move, stand } = state
  if (stand !== null && stand.manual !== null) return { ...state, stand: { ...stand, manual: null, code, message } }
  if (move !== null && move.kind === 'swap' && move.from !== null) return refuse(state, move.to, code, message)
  return { ...state, stand: standFor(state, code, message) }
}

function swapped(state: NodeState, move: Move): NodeState {
  const back = state.phase === 'reverting'
  const [to, from] = back ? [move.from, move.to] : [move.to, state.hot]
  assert(to !== null, 'a way back leads somewhere')
  return {
    ...state,
    hot: to,
    hotDrift: state.cold?.drift ?? [],
    cold: from === null ? null : { build: from.build, manifest: from.manifest, armed: false, ready: false, drift: [] },
    coldTree: otherTree(state.coldTree),
    verified: false,
    previous: back ? null : from,
  }
}

interface Turned {
  readonly state: NodeState
  readonly edge: Edge
}

/** Books what an outcome says, and names its edge. */
function outcome(was: NodeState, event: Outcome): Turned {
  const { job, phase, move } = was
  const state: NodeState = { ...was, job: null }
  switch (event.type) {
    case 'fetched': {
      assert(job?.kind === 'stage', 'only staging fetches')
      const { armed, drift } = event
      const cold = { ...job.held, armed, ready: armed || !job.background, drift }
      return { state: { ...state, cold }, edge: job.background && !armed ? 'fetchBlocked' : 'fetched' }
    }
    case 'fetchBlocked': {
      assert(job?.kind === 'stage', 'only staging is blocked')
      const tries = state.tries + 1
      const blocked: NodeState = { ...state, cold: same(state.cold, job.held) ? state.cold : event.cold }
      if (job.background || tries < triesOf(event.code)) return { state: { ...blocked, tries }, edge: 'fetchBlocked' }
      if (state.stand !== null) return { state: giveUp(blocked, event.code, event.message), edge: 'fetchRefused' }
      return { state: refuse(blocked, job.held, event.code, event.message), edge: 'fetchRefused' }
    }
    case 'turnGranted': {
      const granted = { ...state, move: nextMove(state), out: true }
      return { state: granted, edge: state.hot === null ? 'installGranted' : 'turnGranted' }
    }
    case 'drained': {
      // What is about to be restarted has to prove itself anew.
      if (move?.kind === 'restart') return { state: { ...state, verified: false }, edge: 'drainedInPlace' }
      return { state, edge: 'drained' }
    }
    case 'drainFailed':
      return {
        state: giveUp(state, event.code, event.message),
        edge: state.verified ? 'drainFailed' : 'drainFailedForGood',
      }
    case 'undrained':
      return { state: { ...state, out: false }, edge: 'undrained' }
    case 'swapped':
      assert(move !== null, 'a swap is part of a move')
      return { state: swapped(state, move), edge: 'swapped' }
    case 'swapFailed': {
      const stand = standFor(state, event.code, event.message)
      const undo = phase === 'swapping' && state.verified
      return { state: { ...state, stand }, edge: undo ? 'swapFailed' : 'swapFailedForGood' }
    }
    case 'restarted':
    case 'finished':
    case 'waited':
    case 'turnHeld':
      return { state, edge: event.type }
    case 'verified': {
      const activated = phase === 'reverting' ? state.activated : (move?.activation ?? state.activated)
      return { state: { ...state, verified: true, activated }, edge: 'verified' }
    }
    case 'restartFailed':
    case 'verifyFailed':
    case 'finishFailed': {
      const way = phase !== 'reverting' && move?.kind === 'swap' && move.from !== null
      const failed: NodeState = { ...state, verified: false }
      const edge = event.type === 'restartFailed' ? 'restartFailed' : 'verifyFailed'
      if (way) return { state: giveUp(failed, event.code, event.message), edge }
      return { state: { ...failed, stand: standFor(state, event.code, event.message) }, edge: `${edge}ForGood` }
    }
  }
}

function nextMove(state: NodeState): Move {
  const next = aim(state)
  const target = state.order?.target ?? null
  if (next.kind === 'restart') {
    assert(state.hot !== null, 'only what is hot is restarted')
    const activation = state.hot.build === target?.build ? target.activation : null
    return { kind: 'restart', to: state.hot, from: null, activation }
  }
  assert(next.kind === 'swap', 'a turn is asked for only towards a swap or a restart')
  const activation = next.to.build === target?.build ? target.activation : null
  return { kind: 'swap', to: next.to, from: state.hot, activation }
}

function external(state: NodeState, event: Exclude<NodeEvent, Outcome>): NodeState {
  switch (event.type) {
    case 'ordered': {
      const stand = state.stand !== null && released(state.stand, event.order) ? null : state.stand
      return { ...state, order: event.order, stand, refusals: refusalsUnder(state.refusals, event.order), tries: 0 }
    }
    case 'rollback': {
      const to = rollbackTo(state)
      return to === null
        ? state
        : { ...state, stand: standFor(state, 'PARKED', `rolled back on this node by ${event.by}`, to) }
    }
    case 'stop':
      return { ...state, stopping: true }
  }
}

function troubleOf(event: NodeEvent | null): Trouble | null {
  if (event === null) return null
  if (event.type === 'fetchBlocked' || event.type === 'turnHeld') return { code: event.code, message: event.message }
  return event.type === 'fetched' ? event.busy : null
}

/** The job that an edge begins, in the phase it leads to. */
function jobOf(state: NodeState, begin: Begin, was: Job | null, event: NodeEvent | null): Job | null {
  const n = state.lastJob + 1
  const order = orderKey(state)
  const trouble = troubleOf(event)
  const background = state.phase === 'idle'
  const waitFor = (pause: 'retry' | 'arm' | 'rearm' | 'pin', held: Held | null, tries: number): Job => ({
    n,
    kind: 'wait',
    pause,
    tries,
    held,
    order,
    trouble,
  })
  switch (begin) {
    case 'nothing':
      return null
    case 'stage': {
      if (was?.kind === 'wait' && was.held !== null && event?.type === 'waited') {
        return { n, kind: 'stage', held: was.held, background }
      }
      const next = aim(state)
      assert(next.kind === 'stage', 'something is staged only when it is asked for')
      return { n, kind: 'stage', held: next.held, background }
    }
    case 'turn':
      return { n, kind: 'turn', order }
    case 'drain':
      return { n, kind: 'drain', insist: state.verified }
    case 'swap':
      return { n, kind: 'swap', to: state.coldTree }
    case 'undrain':
    case 'afterSwap':
    case 'verify':
    case 'afterVerify':
      return { n, kind: begin }
    case 'retry':
      return waitFor('retry', was?.kind === 'stage' ? was.held : null, state.tries)
    case 'backgroundWait':
      return waitFor('arm', was?.kind === 'stage' ? was.held : null, state.tries)
    case 'pinWait':
      return waitFor('pin', null, 0)
    case 'background': {
      const need = upkeep(state)
      if (need === null) return null
      return need.kind === 'rearm' ? waitFor('rearm', need.held, 0) : { n, kind: 'stage', held: need.held, background }
    }
  }
}

/** Follows one edge: the phase it leads to, and the job it begins there. */
function follow(table: Table, state: NodeState, edge: Edge, was: Job | null, event: NodeEvent | null): NodeState {
  const row = table[state.phase][edge]
  assert(row !== undefined, `${edge} has a row in ${state.phase}`)
  const [phase, begin] = row
  const resting = phase === 'idle' || phase === 'parked' || begin === 'undrain'
  // A move ends where the node comes to rest; its undoing keeps nothing of it either, but reverting and verifying end by an undrain of their own.
  const ends = resting && !(begin === 'undrain' && (phase === 'verifying' || phase === 'reverting'))
  // A build that is being left proves nothing any more, even if the way back turns out to be barred.
  const verified = state.verified && (phase !== 'reverting' || state.phase === 'reverting')
  const arrived: NodeState = { ...state, phase, verified, move: ends ? null : state.move }
  const settledTries = edge === 'fetched' || phase !== state.phase ? { ...arrived, tries: 0 } : arrived
  const job = jobOf(settledTries, begin, was, event)
  if (job === null) return { ...settledTries, job: null }
  const cold = job.kind === 'stage' && !same(settledTries.cold, job.held) ? null : settledTries.cold
  return { ...settledTries, job, lastJob: job.n, cold }
}

function followed(from: NodeState, edge: Edge, { phase, job }: NodeState): Followed {
  return { from: from.phase, edge, to: phase, began: job?.kind === 'wait' ? job.pause : (job?.kind ?? null) }
}

/**
 * Reads the order's notice, follows it, and says what differs for the shell. One notice is enough from wherever an outcome led, but for a
 * node that falls out of a move it cannot go back on: it comes to rest first and looks again from there.
 */
export function settle(table: Table, was: NodeState, from: NodeState, finished: boolean, trail: Followed[] = []): Step {
  let state = from
  for (let last: Edge | null = null; ; ) {
    const edge = notice(state)
    if (edge === null) break
    const again = last === 'unwantedForGood' && edge !== last
    assert(last === null || again, `${last} leads to rest, not to ${edge}`)
    const next = follow(table, state, edge, state.job, null)
    trail.push(followed(state, edge, next))
    state = next
    last = edge
  }
  const leaving = state.stopping && (state.phase === 'idle' || state.phase === 'staged' || state.phase === 'parked')
  if (leaving) state = { ...state, job: null }
  const effects: Effect[] = []
  if (state.job?.n !== was.job?.n) {
    if (was.job !== null && !finished) effects.push({ type: 'cancel', n: was.job.n })
    if (state.job !== null) effects.push({ type: 'start', job: state.job })
  }
  if (leaving) effects.push({ type: 'exit' })
  return { state, effects, trail }
}

/** The machine over a table; the tests give it broken ones. */
export function machineOf(table: Table): (state: NodeState, event: NodeEvent) => Step {
  return (state, event) => {
    if (!('n' in event)) return settle(table, state, external(state, event), false)
    if (event.n !== state.job?.n) return { state, effects: [], trail: [] }
    const turned = outcome(state, event)
    const next = follow(table, turned.state, turned.edge, state.job, event)
    return settle(table, state, next, true, [followed(state, turned.edge, next)])
  }
}

/** One step of the node: pure. An outcome whose number is not that of the job in hand changes nothing. */
export const step = machineOf(TABLE)
