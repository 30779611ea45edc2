// Owns the exhaustive walk of the node's machine: every state that orders and outcomes in any order can reach, each held against the rules.
import type { BuildId, Digest } from '#fleet/build.ts'
import { aim, asked, askedHot, orderKey, upkeep } from '#puller/core/notice.ts'
import { journalOf, recover } from '#puller/core/recover.ts'
import {
  BLANK,
  type ColdTree,
  type Effect,
  type NodeEvent,
  type NodeState,
  type Order,
  type Step,
  same,
} from '#puller/core/state.ts'
import type { Table } from '#puller/core/table.ts'
import { otherTree, type Survey } from '#puller/core/trees.ts'
import { afterEvent, ruleOf } from './walk-rules.ts'

/** What may happen to the node in one walk. */
export interface Universe {
  readonly orders: readonly Order[]
  readonly starts: readonly NodeState[]
  readonly rollback?: boolean
  readonly stop?: boolean
  readonly crash?: boolean
}

export interface Walked {
  readonly states: number
  readonly steps: number
  /** Every row of the table that was followed, as `phase.edge`, and after how many steps it was first. */
  readonly rows: ReadonlyMap<string, number>
  readonly violations: readonly string[]
}

export type StepFunction = (state: NodeState, event: NodeEvent) => Step

const fail = (code: 'COLD_BUSY' | 'DIGEST_MISMATCH' | 'PINNED' | 'DRAIN_TIMEOUT' | 'SWAP_FAILED' | 'HOOK_FAILED') => ({
  code,
  message: 'it did not work',
})

/** What a staging that failed early may leave in cold: a build that no order names. */
const LEFT: ColdTree = {
  build: 'left' as BuildId,
  manifest: `sha256:${'f'.repeat(64)}` as Digest,
  armed: true,
  ready: true,
  drift: [],
}

/** Every way in which the job in hand may end; the first is how it ends when all goes well. */
export function outcomesOf(state: NodeState): readonly NodeEvent[] {
  const { job } = state
  if (job === null) return []
  const { n } = job
  switch (job.kind) {
    case 'stage':
      return [
        { type: 'fetched', n, armed: true, drift: [], busy: null },
        { type: 'fetched', n, armed: false, drift: ['x'], busy: fail('COLD_BUSY') },
        { type: 'fetchBlocked', n, ...fail('COLD_BUSY'), cold: null },
        { type: 'fetchBlocked', n, ...fail('DIGEST_MISMATCH'), cold: null },
        { type: 'fetchBlocked', n, ...fail('DIGEST_MISMATCH'), cold: LEFT },
      ]
    case 'wait':
      return [{ type: 'waited', n }]
    case 'turn':
      return [
        { type: 'turnGranted', n },
        { type: 'turnHeld', n, ...fail('PINNED') },
      ]
    case 'drain':
      return [
        { type: 'drained', n },
        { type: 'drainFailed', n, ...fail('DRAIN_TIMEOUT') },
      ]
    case 'undrain':
      return [{ type: 'undrained', n }]
    case 'swap':
      return [
        { type: 'swapped', n },
        { type: 'swapFailed', n, ...fail('SWAP_FAILED') },
      ]
    case 'afterSwap':
      return [
        { type: 'restarted', n },
        { type: 'restartFailed', n, ...fail('HOOK_FAILED') },
      ]
    case 'verify':
      return [
        { type: 'verified', n },
        { type: 'verifyFailed', n, ...fail('HOOK_FAILED') },
      ]
    case 'afterVerify':
      return [
        { type: 'finished', n },
        { type: 'finishFailed', n, ...fail('HOOK_FAILED') },
      ]
  }
}

/** What the disk may say when the puller dies here. */
export function surveysOf(state: NodeState): readonly Survey[] {
  const { hot, cold, coldTree, job, move, phase } = state
  const survey = (hotNow: typeof hot, coldNow: typeof hot, spare: 'a' | 'b', armed: boolean): Survey => {
    const hotTree = otherTree(spare)
    const sealed = {
      [spare]: coldNow && { tree: spare, build: coldNow.build, manifest: coldNow.manifest },
      [hotTree]: hotNow && { tree: hotTree, build: hotNow.build, manifest: hotNow.manifest },
    } as unknown as Survey['sealed']
    return {
      hot: sealed[hotTree],
      hotFault: hotNow === null && move?.kind === 'recover' ? { code: 'HOT_BROKEN', message: '' } : null,
      hotTree: hotNow && hotTree,
      cold: sealed[spare],
      coldTree: spare,
      armed,
      unclean: true,
      sealed,
    }
  }
  const calm = survey(hot, cold, coldTree, cold?.armed ?? false)
  if (job?.kind === 'stage') return [calm, survey(hot, job.held, coldTree, true)]
  if (job?.kind === 'swap' && move !== null) {
    const to = phase === 'reverting' ? move.from : move.to
    const from = phase === 'reverting' ? move.to : hot
    return [calm, survey(to, from, otherTree(coldTree), false)]
  }
  return [calm]
}

/** Numbers and words that decide nothing are taken out, so that the walk ends. */
function normal(state: NodeState, universe: Universe): NodeState {
  const plain = { code: 'X', message: '' }
  const job = state.job && { ...state.job, n: 1, ...('tries' in state.job ? { tries: 0, trouble: null } : {}) }
  return {
    ...state,
    job,
    lastJob: 1,
    tries: Math.min(state.tries, 2),
    hotDrift: [],
    cold: state.cold && { ...state.cold, drift: [] },
    previous: universe.rollback ? state.previous : null,
    refusals: state.refusals.map((refusal) => ({ ...refusal, ...plain })).sort((a, b) => (a.build < b.build ? -1 : 1)),
    stand: state.stand && { ...state.stand, ...plain },
    crashes: BLANK.crashes,
  }
}

interface Visit {
  readonly state: NodeState
  /** How it was reached: the state before and the event. */
  readonly from: Visit | null
  readonly by: string
}

function story(visit: Visit): string {
  const words: string[] = []
  for (let at: Visit | null = visit; at !== null && words.length < 14; at = at.from) words.unshift(at.by)
  return words.join(' → ')
}

/** Walks breadth first. @param limit violations after which it stops; a broken machine needs no full list */
export function walk(stepOf: StepFunction, table: Table, universe: Universe, limit = 5): Walked {
  const seen = new Map<string, number>()
  const queue: Visit[] = []
  const next: { to: number; wait: boolean }[][] = []
  const violations: string[] = []
  const rows = new Map<string, number>()
  let steps = 0
  const report = (visit: Visit, what: string) => {
    violations.push(`${what}\n    after ${story(visit)}`)
  }
  const visit = (state: NodeState, from: Visit | null, by: string): number => {
    const plain = normal(state, universe)
    const key = JSON.stringify(plain)
    const known = seen.get(key)
    if (known !== undefined) return known
    const entry = { state: plain, from, by }
    const broken = ruleOf(plain)
    if (broken !== null) report(entry, broken)
    seen.set(key, queue.length)
    queue.push(entry)
    next.push([])
    return queue.length - 1
  }
  for (const start of universe.starts) visit(start, null, `start in ${start.phase}`)
  for (let at = 0; at < queue.length && violations.length < limit; at += 1) {
    const here = queue[at] as Visit
    const { state } = here
    const outside: NodeEvent[] = universe.orders.map((order) => ({ type: 'ordered', order }))
    if (universe.rollback) outside.push({ type: 'rollback', by: 'ana' })
    if (universe.stop && !state.stopping) outside.push({ type: 'stop' })
    const outcomes = outcomesOf(state)
    const gone = state.stopping && ['idle', 'staged', 'parked'].includes(state.phase)
    for (const event of gone ? [] : [...outcomes, ...outside]) {
      steps += 1
      const by =
        event.type === 'ordered' ? `order ${orderKey({ ...state, stand: null, order: event.order })}` : event.type
      try {
        const done = stepOf(state, event)
        for (const { from, edge } of done.trail) if (!rows.has(`${from}.${edge}`)) rows.set(`${from}.${edge}`, steps)
        const broken = afterEvent(state, event, done)
        const to = visit(done.state, here, by)
        if (broken !== null) report(queue[to] as Visit, `${broken} (on ${by} in ${state.phase})`)
        if ('n' in event) next[at]?.push({ to, wait: event.type === 'waited' })
      } catch (error) {
        report({ state, from: here, by }, `threw: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    if (!universe.crash) continue
    for (const survey of surveysOf(state)) {
      try {
        visit(recover(survey, journalOf(state), state.order, table).state, here, `crash in ${state.phase}`)
      } catch (error) {
        report({ state, from: here, by: 'crash' }, `threw: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  if (violations.length === 0) {
    for (const loop of loops(next)) report(queue[loop] as Visit, 'outcomes alone lead round in a circle without a wait')
    for (const entry of queue) {
      const stuck = goesWell(stepOf, entry.state)
      if (stuck !== null) report(entry, stuck)
      if (violations.length >= limit) break
    }
  }
  return { states: queue.length, steps, rows, violations: violations.slice(0, limit) }
}

/** States on a circle of outcomes that no wait slows down. */
function loops(next: readonly { to: number; wait: boolean }[][]): readonly number[] {
  const incoming = new Uint32Array(next.length)
  for (const edges of next) for (const edge of edges) if (!edge.wait) incoming[edge.to] = (incoming[edge.to] ?? 0) + 1
  const free: number[] = []
  for (const [at, count] of incoming.entries()) if (count === 0) free.push(at)
  for (let at = 0; at < free.length; at += 1) {
    for (const edge of next[free[at] as number] ?? []) {
      if (edge.wait) continue
      const left = (incoming[edge.to] ?? 0) - 1
      incoming[edge.to] = left
      if (left === 0) free.push(edge.to)
    }
  }
  return free.length === next.length ? [] : [[...incoming].findIndex((count) => count > 0)]
}

/** If from here on every job succeeds and no order comes, the node ends at rest with what is asked. Null when it does. */
function goesWell(stepOf: StepFunction, from: NodeState): string | null {
  let state = from
  for (let turn = 0; turn < 40; turn += 1) {
    const [event] = outcomesOf(state)
    if (event === undefined) break
    state = stepOf(state, event).state
  }
  if (state.job !== null) return `never comes to rest: still ${state.phase} with ${state.job.kind}`
  if (state.stopping) return null
  const wanted = askedHot(state)
  if (wanted !== null && !same(wanted, state.hot)) return `rests as ${state.phase} while ${wanted.build} should be hot`
  if (state.phase === 'parked') return null
  if (state.hot !== null && !state.verified) return `rests as ${state.phase} with a hot tree that was never verified`
  const { cold } = asked(state)
  if (cold !== null && !same(cold, state.cold)) return `rests as ${state.phase} without ${cold.build} in cold`
  const left = aim(state).kind === 'stage' || (state.phase === 'idle' && upkeep(state) !== null)
  return left ? `rests as ${state.phase} with work left` : null
}

/** A step function whose shell never hears of one kind of effect. */
export function without(stepOf: StepFunction, type: Effect['type']): StepFunction {
  return (state, event) => {
    const done = stepOf(state, event)
    return { ...done, effects: done.effects.filter((effect) => effect.type !== type) }
  }
}
