// Owns who is in service: which nodes are known, from what they said themselves, to serve what they are asked to run.
import type { NodeStatus } from '#fleet/node-status.ts'
import type { RingMark } from '#fleet/rollout.ts'
import { type RosterNode, stateOf } from '#fleet/roster.ts'
import { place, type Target, wants } from '#fleet/target.ts'

/** A node with its place on the circle of a salt. */
export interface Placed {
  readonly at: number
  readonly silent: boolean
  readonly status: NodeStatus
}

/** In the order in which a rising cutoff takes them; equal places in the order of their names. */
export function placeAll(nodes: readonly RosterNode[], salt: string): readonly Placed[] {
  return nodes
    .map(({ status, silent }) => ({ at: place(salt, status.node), silent, status }))
    .sort((a, b) => a.at - b.at || (a.status.node < b.status.node ? -1 : 1))
}

/** `serving` is in service; the other three are out. */
export type Service = 'serving' | 'working' | 'failed' | 'silent'

function refuses(status: NodeStatus, build: string | null): boolean {
  return status.refusal !== null && status.refusal.build === build
}

/** Phases in which a node serves what its hot link names; fetching writes the cold tree only. */
function serves({ phase }: NodeStatus): boolean {
  return phase === 'idle' || phase === 'fetching' || phase === 'staged'
}

/**
 * The generation from which on a status is proof (design section 13): the one that changed what the node must run. On the way forward
 * that is the first of the rollout, because a node reaches the build only by it; on the way back it is the first that took builds back,
 * but for a node that the rollout never asked to run the build, or that may still stay on it.
 */
function proofFrom(node: Placed, target: Target, mark: RingMark): number {
  if (mark.recalled === null || node.at >= mark.peak) return mark.began
  const stays = target.recall && node.at < target.cutoff && node.status.hot === target.build
  return stays ? mark.began : mark.recalled
}

/** Silent before failed before all else: no data is never good news. */
export function serviceOf(node: Placed, target: Target, mark: RingMark): Service {
  const { status } = node
  if (node.silent) return 'silent'
  const wanted = wants(target, node.at, status.hot).hot
  if (status.phase === 'parked' || refuses(status, target.build) || refuses(status, wanted)) return 'failed'
  // Where nothing is asked of it a node serves what it has; one that has nothing serves nobody.
  if (status.hot === null || (wanted !== null && status.hot !== wanted) || !serves(status)) return 'working'
  return status.generation >= proofFrom(node, target, mark) ? 'serving' : 'working'
}

/**
 * Failed, and not by news from before this rollout: a node that was parked or refused its build under a lower attempt says so until it
 * has heard of the new order, and that is no verdict on it.
 */
export function hasFailed({ status, silent }: RosterNode, target: Target, mark: RingMark): boolean {
  if (stateOf({ status, silent }, target) !== 'failed') return false
  const heard = status.generation >= mark.began
  // It was asked once more since (`conduct retry`), and has not answered yet.
  if (status.attempt < target.attempt) return false
  if (refuses(status, target.build)) return true
  // Parked: a verdict only of a node that was asked to run the build.
  return heard && place(target.salt, status.node) < target.cutoff
}

/**
 * Keeps what it runs although that is not the fallback, because it refuses that or there is none: it never comes to be staged as the others
 * do, and must not be waited for.
 */
export function keepsItsOwn({ status }: RosterNode, target: Target): boolean {
  const atRest = status.phase === 'idle' || status.phase === 'staged'
  const refusing = refuses(status, target.fallback) && status.attempt >= target.attempt
  const stray = target.fallback === null && status.hot !== null && status.cold === target.build
  return atRest && (refusing || stray)
}

/** On a first deploy a node without hot serves nobody: taking it costs nothing. */
export function isFree(node: Placed, target: Target): boolean {
  return target.fallback === null && !target.recall && node.status.hot === null
}

export function namesOf(nodes: readonly Placed[]): readonly string[] {
  return nodes.map(({ status }) => status.node)
}
