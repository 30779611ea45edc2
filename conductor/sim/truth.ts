// Owns what is really so in a simulated ring, whatever anybody has said of it: who is out of service, and whom an order takes out.
import { capOf, type Policy } from '#conductor/core/standing.ts'
import type { NodeStatus, Phase } from '#fleet/node-status.ts'
import { type Target, wants } from '#fleet/target.ts'
import type { SimNode } from './node.ts'

const SERVES: readonly Phase[] = ['idle', 'fetching', 'staged']

type RefusedBy = Pick<Target, 'build'> & Partial<Pick<Target, 'attempt'>>

/** A node, and what the conductor knew of it when it decided. */
export interface Seen {
  readonly node: SimNode
  readonly said: NodeStatus
  /** Its session was gone. */
  readonly silent: boolean
}

export function refuses({ state }: SimNode, { build, attempt = 1 }: RefusedBy): boolean {
  return state.refusals.some((refusal) => refusal.build === build && refusal.attempt >= attempt)
}

/** Truly out of service, whatever it said last; a session that is gone counts from when the conductor can know. */
export function isOut({ node, silent }: Seen, order: Target): boolean {
  const { state } = node
  const hot = state.hot?.build ?? null
  const own = state.order?.target
  // Who refuses what it is asked to run has failed, and is out by definition, whatever it serves meanwhile.
  const { hot: asked } = wants(order, node.place(order.salt), hot)
  const failed = refuses(node, order) || refuses(node, { build: asked, attempt: order.attempt })
  const calm = SERVES.includes(state.phase) && state.verified && !failed
  // An order that it has heard beyond, as after a restore, moves it no more.
  const stands = order.generation >= node.ratchet.generation ? node.wants(order) : null
  const moves = [stands, own === undefined ? null : node.wants(own)].some((to) => to !== null && to !== hot)
  return silent || !calm || moves || hot === null
}

/** What a write means for a ring at the moment when it happens. */
export interface Toll {
  /** Nodes in service that it asks to run something else. */
  readonly taken: number
  /** Nodes truly out, and of them the silent and failed ones inside the wave of a recall. */
  readonly out: number
  readonly free: number
  readonly roster: number
}

export function tollOf(kind: string, order: Target, before: Target, ring: readonly Seen[]): Toll {
  const out = ring.filter((seen) => isOut(seen, before))
  const outside = new Set(out)
  const lowest = kind === 'close' ? 0 : order.cutoff
  const free = out.filter(({ node, silent }) => {
    const at = node.place(before.salt)
    return at >= lowest && at < before.cutoff && (silent || node.state.phase === 'parked' || refuses(node, before))
  })
  const taken = ring.filter((seen) => {
    const { node, said } = seen
    const hot = node.state.hot?.build ?? null
    if (outside.has(seen) || order.generation <= node.ratchet.generation) return false
    // A node that has not said yet that it serves what it runs is out by definition: it went out through us, within the cap.
    const told = kind === 'raise' || (said.hot === hot && SERVES.includes(said.phase))
    const wanted = node.wants(order)
    return told && wanted !== null && wanted !== hot
  })
  return { taken: taken.length, out: out.length, free: free.length, roster: ring.length }
}

/** Why a write takes too many out, or null. */
export function overCap(kind: string, { taken, out, free, roster }: Toll, policy: Policy): string | null {
  const cap = capOf(policy, roster)
  if (taken === 0) return null
  const back = kind === 'recall' || kind === 'close'
  if (back && policy.allAtOnce) return null
  const fits = back ? taken <= Math.max(1, cap - (out - free)) : taken + out <= cap
  const words = `${kind} takes ${taken} of ${roster} with ${out} out (${free} of them free), cap ${cap}`
  return fits ? null : words
}

/** What is wrong with one record after the other: generations, cutoffs, and never three builds in play; or null. */
export function outOfSequence(kind: string, order: Target, before: Target): string | null {
  if (order.generation <= before.generation) return `generation ${order.generation} follows ${before.generation}`
  const same = order.build === before.build && order.fallback === before.fallback && order.salt === before.salt
  if (same) {
    const falls = order.recall ? order.cutoff <= before.cutoff : order.cutoff >= before.cutoff
    if (!falls) return `the cutoff goes from ${before.cutoff} to ${order.cutoff}${order.recall ? ' in a recall' : ''}`
    return order.recall || !before.recall ? null : 'a recall is taken back'
  }
  const settled = !before.recall && (before.build === null || before.cutoff === 2 ** 32)
  if (kind === 'close' || settled) return null
  return `${order.build} over ${order.fallback} is written while ${before.build} over ${before.fallback} is under way`
}
