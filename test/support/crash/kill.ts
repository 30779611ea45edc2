// Owns one crash point: a fresh copy of a state, a death at a step, the invariants before recovery, the recovery, and what is served after it.
import type { Builds } from './builds.ts'
import { leftovers, look, servedWrong, violations } from './check.ts'
import { type Errand, runErrand } from './errand.ts'
import type { Workshop } from './image.ts'
import { type Operation, type OperationName, operationIn, rootOf, type State } from './states.ts'
import { type ChildEnd, recordSteps, runChild } from './victim.ts'

export interface Ground {
  readonly workshop: Workshop
  readonly builds: Builds
}

export interface Point {
  readonly state: State
  readonly operation: Operation
  /** Which step of all, over all threads, from 1. */
  readonly at: number
  readonly how: 'kill' | 'tear'
  /** Which step of the recovery, for a second death. */
  readonly again: number | null
}

export interface Verdict {
  /** It may have been done by then: threads take turns in their own way. */
  readonly killed: boolean
  readonly killedAgain: boolean
  readonly recoveryMs: number
  /** Empty when all held. */
  readonly wrong: readonly string[]
}

export function errandIn(root: string, { store, orders, switchAt, rest }: Operation): Errand {
  return { root, store, orders, ...(switchAt !== undefined && { switchAt }), rest }
}

/** After a death the node is told its newest order, as Consul would tell it. */
export function recoveryIn(root: string, { store, orders, rest }: Operation): Errand {
  return { root, store, orders: orders.slice(-1), rest }
}

/** The steps of an operation in a state, in a run that nothing happens to. */
export async function stepsOf({ workshop }: Ground, state: State, operation: Operation): Promise<readonly string[]> {
  const mounted = await workshop.copy(state.kind, state.image)
  try {
    return await recordSteps(errandIn(rootOf(mounted), operation), workshop.name('steps'))
  } finally {
    await mounted.release()
  }
}

/** An abort comes when the staging is well under way: after a third of the steps of the whole deploy. */
export async function operationFor(ground: Ground, state: State, name: OperationName): Promise<Operation> {
  const operation = operationIn(state, name, ground.builds)
  if (name !== 'abort') return operation
  const deploy = await stepsOf(ground, state, operationIn(state, 'delta', ground.builds))
  return { ...operation, switchAt: Math.floor(deploy.length / 3) }
}

function orderedBy({ orders }: Operation): number | null {
  return orders[0]?.generation ?? null
}

/** What a crash at any moment must leave true; see `violations`. */
export function brokenIn(root: string, { builds }: Ground, state: State, operation: Operation): readonly string[] {
  return violations(root, state.facts, builds.all, orderedBy(operation))
}

export interface Recovery {
  readonly recoveryMs: number
  readonly wrong: readonly string[]
}

/** Starts the node again on what lies there, lets it come to rest, and looks at what is served. */
export async function recoverIn(root: string, { builds }: Ground, operation: Operation): Promise<Recovery> {
  const { hot, seals } = look(root)
  const shown = hot === null ? null : (seals[hot === 'trees/a' ? 'a' : 'b']?.build ?? null)
  try {
    const { recoveryMs, resumed } = await runErrand(recoveryIn(root, operation))
    const trusted = resumed.hot === shown ? [] : [`recovery took ${resumed.hot} for hot, which is ${shown}`]
    return { recoveryMs, wrong: [...trusted, ...wrongAtRest(root, operation, builds)] }
  } catch (error) {
    return { recoveryMs: 0, wrong: [`recovery: ${error instanceof Error ? error.message : error}`] }
  }
}

/** What must be so once the node is at rest: what is served, and that nothing lies about. */
export function wrongAtRest(root: string, { wanted, rest }: Operation, builds: Builds): readonly string[] {
  const facts = look(root)
  return [
    ...servedWrong(root, wanted).map((line) => `served: ${line}`),
    ...violations(root, { ...facts, seals: { a: null, b: null } }, builds.all, null).map((it) => `at rest: ${it}`),
    ...leftovers(root).map((path) => `left lying: ${path}`),
    ...(facts.generation === rest.generation ? [] : [`the ratchet is at ${facts.generation}, not ${rest.generation}`]),
  ]
}

export async function dieAt(ground: Ground, point: Point): Promise<Verdict> {
  const { state, operation, at, how, again } = point
  const mounted = await ground.workshop.copy(state.kind, state.image)
  const root = rootOf(mounted)
  try {
    const first = await runChild(errandIn(root, operation), { failpoint: `*@${at}:${how}` })
    const wrong = [...endedBadly(first), ...brokenIn(root, ground, state, operation)]
    let killedAgain = false
    if (again !== null) {
      const { generation, hot, inodes } = look(root)
      const second = await runChild(recoveryIn(root, operation), { failpoint: `*@${again}:kill` })
      killedAgain = second.killed
      const between = { ...state, facts: { ...state.facts, generation, hot, inodes } }
      wrong.push(...endedBadly(second), ...brokenIn(root, ground, between, operation))
    }
    const recovery = await recoverIn(root, ground, operation)
    return { killed: first.killed, killedAgain, recoveryMs: recovery.recoveryMs, wrong: [...wrong, ...recovery.wrong] }
  } finally {
    await mounted.release()
  }
}

/** Dead, or done: threads take turns in their own way, so the last steps may not come. */
function endedBadly({ killed, code, told }: ChildEnd): readonly string[] {
  return killed || code === 0 ? [] : [`ended by itself with ${code}: ${told.join(', ')}`]
}
