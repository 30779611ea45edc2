// Owns what a node says about itself: its phases and the status record it publishes.
import type { BuildId, Name } from './build.ts'

/** Where a puller stands, in the order of a deploy. */
export const PHASES = [
  'idle',
  'fetching',
  'staged',
  'draining',
  'swapping',
  'restarting',
  'verifying',
  'reverting',
  'parked',
] as const
export type Phase = (typeof PHASES)[number]

/** A build that a node will not run, and why. Ends only by a higher `attempt` in a target. */
export interface Refusal {
  readonly build: BuildId
  readonly code: string
  readonly message: string
}

/** Something that is wrong now, in one sentence; gone from the status when it is over. */
export interface Trouble {
  readonly code: string
  readonly message: string
}

/** A puller's status record (contract: design section 5; `troubles` and `progress` are ours). */
export interface NodeStatus {
  readonly app: Name
  readonly ring: Name
  readonly node: Name
  readonly phase: Phase
  /** What `hot` resolves to and is sealed, null before the first swap. */
  readonly hot: BuildId | null
  /** What lies complete in the cold directory, null when it is being written or empty. */
  readonly cold: BuildId | null
  /** A rollback to `cold` needs no sweep. */
  readonly armed: boolean
  /** Highest generation accepted. */
  readonly generation: number
  readonly rollout: string | null
  readonly attempt: number
  readonly refusal: Refusal | null
  /** ISO 8601, the node's own clock: for people. */
  readonly at: string
  readonly troubles: readonly Trouble[]
  /** Bytes of the download in hand, null when there is none. */
  readonly progress: { readonly doneBytes: number; readonly totalBytes: number } | null
}
