// Owns the start: what the disk says and what the journal says become a state that goes on where the last puller died.
import type { Phase } from '#fleet/node-status.ts'
import { wants } from '#fleet/target.ts'
import { giveUp, settle, standFor } from './machine.ts'
import { aim, refusalsUnder, released } from './notice.ts'
import { BLANK, type ColdTree, type Job, type JobKind, type NodeState, type Order, type Step, same } from './state.ts'
import { TABLE, type Table } from './table.ts'
import type { Survey } from './trees.ts'

/** What is on disk before the effects of a state run. Truth is the links and the seals; this tells the phase and what no seal can. */
export interface Journal {
  readonly phase: Phase
  readonly job: JobKind | null
  readonly verified: boolean
  readonly out: boolean
  readonly hotDrift: readonly string[]
  readonly move: NodeState['move']
  readonly previous: NodeState['previous']
  readonly activated: string | null
  readonly refusals: NodeState['refusals']
  readonly stand: NodeState['stand']
  readonly crashes: NodeState['crashes']
}

/** Deaths in one phase of one order after which that order is given up. */
export const MAX_CRASHES = 3

export function journalOf(state: NodeState): Journal {
  const { phase, job, verified, out, hotDrift, move, previous, activated, refusals, stand, crashes } = state
  return { phase, job: job?.kind ?? null, verified, out, hotDrift, move, previous, activated, refusals, stand, crashes }
}

/** Where a start finds nothing in flight, and looks at the order anew. */
const AT_REST: readonly Phase[] = ['idle', 'staged']

/**
 * Whether `now` need not be on disk yet, because a start from `saved` comes by it again: all that happened since is that the node left its
 * rest towards a move of which nothing was done.
 */
export function comesByAgain(saved: Journal, now: Journal): boolean {
  const { phase: was, job: _wasJob, move: _wasMove, out: _wasOut, ...known } = saved
  const { phase, job: _job, move: _move, out: _out, ...memory } = now
  if (!AT_REST.includes(was) || !(AT_REST.includes(phase) || phase === 'draining')) return false
  return JSON.stringify(known) === JSON.stringify(memory)
}

function orderName(order: Order | null): string {
  return order === null ? '' : `${order.target.rollout}/${order.target.build}/${order.target.attempt}`
}

/** Phases in which nothing is in flight: dying there is no crash of the order. */
const CALM: readonly Phase[] = ['idle', 'staged', 'parked']

function counted(journal: Journal, order: Order | null): NodeState['crashes'] {
  const key = orderName(order)
  const phases = journal.crashes.key === key ? journal.crashes.phases : {}
  if (CALM.includes(journal.phase)) return { key, phases }
  return { key, phases: { ...phases, [journal.phase]: (phases[journal.phase] ?? 0) + 1 } }
}

function begin(state: NodeState, phase: Phase, kind: 'undrain' | 'afterSwap' | 'afterVerify' | 'swap'): NodeState {
  const n = state.lastJob + 1
  const job: Job = kind === 'swap' ? { n, kind, to: state.coldTree } : { n, kind }
  return { ...state, phase, job, lastJob: n }
}

/** At rest, once maintenance is lifted where it may be. */
function rest(state: NodeState): NodeState {
  const idle: NodeState = { ...state, phase: 'idle', job: null, move: null }
  return state.out && state.verified ? begin(idle, 'draining', 'undrain') : idle
}

/** After the link moved: what was under way is finished, from the hook on unless verification had passed already. */
function onwards(state: NodeState, phase: 'restarting' | 'reverting', journal: Journal): NodeState {
  const last = journal.job === 'undrain' || journal.job === 'afterVerify' ? journal.job : null
  if (journal.verified && last !== null) return begin(state, phase === 'restarting' ? 'verifying' : phase, last)
  return begin({ ...state, verified: false }, phase, 'afterSwap')
}

function resumed(state: NodeState, journal: Journal): NodeState {
  const { move } = state
  const crashed = (state.crashes.phases[journal.phase] ?? 0) >= MAX_CRASHES
  const why = `the puller died ${MAX_CRASHES} times while ${journal.phase}`
  const failed = (from: NodeState): NodeState => giveUp(from, 'CRASH_LOOP', why)
  switch (journal.phase) {
    case 'idle':
    case 'staged':
      return rest(state)
    case 'fetching': {
      const next = aim(state)
      if (!crashed || next.kind !== 'stage') return rest(state)
      return rest(failed({ ...state, move: { kind: 'swap', to: next.held, from: next.held, activation: null } }))
    }
    case 'parked':
      return { ...state, phase: 'parked', job: null, move: null }
    case 'draining':
      return rest(crashed && move !== null ? failed(state) : state)
    case 'swapping':
    case 'restarting':
    case 'verifying': {
      if (move === null) return rest(state)
      if (!same(state.hot, move.to)) return rest(crashed ? failed(state) : state)
      if (!crashed) return onwards(state, 'restarting', journal)
      const unproven: NodeState = { ...state, verified: false }
      if (move.kind === 'swap' && move.from !== null) return begin(failed(unproven), 'reverting', 'swap')
      return { ...unproven, phase: 'parked', move: null, stand: standFor(state, 'CRASH_LOOP', why) }
    }
    case 'reverting': {
      if (move === null || move.from === null) return rest(state)
      if (crashed) return { ...state, phase: 'parked', move: null, stand: standFor(state, 'CRASH_LOOP', why) }
      if (same(state.hot, move.from)) return onwards(state, 'reverting', journal)
      return begin({ ...state, verified: false }, 'reverting', 'swap')
    }
  }
}

/**
 * A hot tree that is not sound is left for a sound cold one, where the order lets this node run that: its fallback, or what it wants. A node
 * that never had a hot tree has nothing to leave: it installs what it wants and nothing else.
 */
function rescue(state: NodeState, survey: Survey): NodeState | null {
  const { cold, order } = state
  if (state.hot !== null || survey.hotFault === null || cold === null || order === null) return null
  const wanted = wants(order.target, order.place, null).hot
  if (cold.build !== wanted && cold.build !== order.target.fallback) return null
  const to = { build: cold.build, manifest: cold.manifest }
  const moving: NodeState = {
    ...state,
    out: true,
    verified: false,
    move: { kind: 'recover', to, from: null, activation: null },
  }
  return begin(moving, 'swapping', 'swap')
}

/** The spare tree as the disk has it. */
export function spareIn({ cold, armed }: Survey): ColdTree | null {
  return cold && { build: cold.build, manifest: cold.manifest, armed, ready: armed, drift: [] }
}

/**
 * The state to go on from.
 * @param journal null when there is none or it could not be read: history is lost, state is not
 * @param order the last accepted order, which needs no Consul
 */
export function recover(survey: Survey, journal: Journal | null, order: Order | null, table: Table = TABLE): Step {
  const held = (tree: Survey['hot']) => (tree === null ? null : { build: tree.build, manifest: tree.manifest })
  const hot = survey.hotFault?.code === 'HOT_BROKEN' ? null : held(survey.hot)
  const base: NodeState = {
    ...BLANK,
    hot,
    cold: spareIn(survey),
    coldTree: survey.coldTree,
    verified: hot !== null,
    // Without a journal nobody knows whether maintenance is on: lifting what is not ours, or not there, does nothing.
    out: hot !== null,
    order,
  }
  const { phase: _phase, job: _job, ...memory } = journal ?? journalOf(base)
  // The order is on disk before the journal hears of it.
  const refusals = order === null ? memory.refusals : refusalsUnder(memory.refusals, order)
  const stand = memory.stand !== null && order !== null && released(memory.stand, order) ? null : memory.stand
  const crashes = journal === null ? BLANK.crashes : counted(journal, order)
  const known: NodeState = { ...base, ...memory, refusals, stand, crashes, verified: hot !== null && memory.verified }
  const from = rescue(known, survey) ?? (journal === null ? rest(known) : resumed(known, journal))
  return settle(table, BLANK, from, true)
}
