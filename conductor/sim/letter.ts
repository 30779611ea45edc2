// Owns what an order says to one node by the letter of the protocol, worked out in another way than `wants` does: what checks hold it to.
import { createHash } from 'node:crypto'
import type { BuildId } from '#fleet/build.ts'
import type { Order } from '#fleet/wire.ts'

/** What production's `wants` must never say more than. */
export interface Letter {
  /** Builds that the node may begin to run because of it. */
  readonly mayStart: readonly BuildId[]
  /** Builds that it may go on running when it runs them already. */
  readonly mayStay: readonly BuildId[]
  /** Builds that it may bring into cold. */
  readonly mayStage: readonly BuildId[]
  /** Whether it must come to rest on one of `mayStay` when it hears nothing more. */
  readonly moves: boolean
}

/** The place of a node by the letter of the contract: the first 8 hexadecimal digits. */
export function placeByLetter(salt: string, node: string): number {
  return Number.parseInt(createHash('sha256').update(`${salt}/${node}`).digest('hex').slice(0, 8), 16)
}

const some = (...builds: readonly (BuildId | null)[]) => builds.filter((build) => build !== null)

export function letterOf(order: Order, at: number): Letter {
  if (order.kind === 'bare') {
    const named = [order.bare.build]
    return { mayStart: named, mayStay: named, mayStage: named, moves: true }
  }
  const { build, fallback, cutoff, recall } = order.target
  if (build === null) return { mayStart: [], mayStay: [], mayStage: [], moves: false }
  const below = at < cutoff
  if (recall) {
    const back = some(fallback)
    return { mayStart: back, mayStay: below ? some(build, fallback) : back, mayStage: back, moves: fallback !== null }
  }
  const mayStage = some(build, fallback)
  if (below) return { mayStart: [build], mayStay: [build], mayStage, moves: true }
  if (fallback === null) return { mayStart: [], mayStay: [], mayStage, moves: false }
  return { mayStart: [fallback], mayStay: [fallback], mayStage, moves: true }
}
