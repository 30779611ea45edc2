// Owns how a ring's nodes are counted: each node in exactly one count, and the counts sum to the roster.
import type { BuildId } from './build.ts'
import type { NodeStatus } from './node-status.ts'
import type { Target } from './target.ts'

/** A node as the conductor sees it: its last status, and whether its session still lives. */
export interface RosterNode {
  readonly status: NodeStatus
  readonly silent: boolean
}

export const NODE_STATES = ['converged', 'staged', 'working', 'failed', 'silent'] as const
export type NodeState = (typeof NODE_STATES)[number]

export type Counts = Readonly<Record<NodeState | 'total', number>>

/**
 * At rest and caught up with the order: what it says of itself is about this rollout. A node writes only when what it wants changes, so a
 * later cutoff of the same rollout needs no new word from it; an order of another rollout does.
 */
function settled(status: NodeStatus, target: Target): boolean {
  const caughtUp =
    status.generation >= target.generation || (target.rollout !== '' && status.rollout === target.rollout)
  return (status.phase === 'idle' || status.phase === 'staged') && caughtUp
}

function refuses(status: NodeStatus, build: BuildId | null): boolean {
  return status.refusal !== null && status.refusal.build === build
}

/** Silent before failed before all else: no data is never good news. */
export function stateOf(node: RosterNode, target: Target): NodeState {
  const { status } = node
  if (node.silent) return 'silent'
  if (status.phase === 'parked' || refuses(status, target.build)) return 'failed'
  if (target.build !== null && settled(status, target)) {
    if (status.hot === target.build) return 'converged'
    if (status.hot === target.fallback && status.cold === target.build) return 'staged'
  }
  return 'working'
}

export function countNodes(nodes: readonly RosterNode[], target: Target): Counts {
  const counts = { total: nodes.length, converged: 0, staged: 0, working: 0, failed: 0, silent: 0 }
  for (const node of nodes) counts[stateOf(node, target)] += 1
  return counts
}
