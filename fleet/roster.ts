// Owns how a ring's nodes are counted: each node in exactly one count, and the counts sum to the roster.
import { type BuildId, isName, type Name } from './build.ts'
import { FleetError, isFleetError } from './errors.ts'
import type { NodeStatus } from './node-status.ts'
import type { Target } from './target.ts'
import { readStatus } from './wire.ts'

/** A node as the conductor sees it: its last status, and whether its session still lives. */
export interface RosterNode {
  readonly status: NodeStatus
  readonly silent: boolean
}

/**
 * The node that a status key stands for. The roster is made of the keys: one whose value cannot be read, or is about another node, is a node
 * of which nothing is known, and that is silent. Null for a key that can be no node's.
 * @param of `node` is the last part of the key
 * @param onRejected told why the value was not believed
 */
export function rosterNode(
  of: { readonly app: Name; readonly ring: Name; readonly node: string },
  entry: { readonly value: Uint8Array; readonly session: string | null },
  onRejected: (error: FleetError) => void = () => undefined,
): RosterNode | null {
  const { app, ring, node } = of
  if (!isName(node)) return null
  try {
    const status = readStatus(entry.value)
    if (status.app === app && status.ring === ring && status.node === node) {
      return { status, silent: entry.session === null }
    }
    throw new FleetError('RECORD_INVALID', `the status is of ${status.node} in ${status.app}/${status.ring}`)
  } catch (error) {
    if (!isFleetError(error)) throw error
    onRejected(error)
    return { status: unknownStatus({ app, ring, node }, error), silent: true }
  }
}

function unknownStatus(of: { app: Name; ring: Name; node: Name }, { code, message }: FleetError): NodeStatus {
  const nothing = { hot: null, cold: null, armed: false, generation: -1, rollout: null, attempt: 1, refusal: null }
  return { ...of, ...nothing, phase: 'idle', at: '', troubles: [{ code, message }], progress: null }
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
