// Owns the words of the node's machine: its state, the jobs it gives out, the events it takes and the effects it asks for.
import type { BuildId, Digest } from '#fleet/build.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import type { Phase, Trouble } from '#fleet/node-status.ts'
import type { Target } from '#fleet/target.ts'
import type { Edge } from './table.ts'
import type { TreeName } from './trees.ts'

/** A build and the manifest it was named with: two of the same id but another manifest are not the same. */
export interface Held {
  readonly build: BuildId
  readonly manifest: Digest
}

/** The spare tree, complete. */
export interface ColdTree extends Held {
  /** Swept since it was retired: the status may promise a rollback without a sweep. */
  readonly armed: boolean
  /** May be swapped in without a further sweep: armed, or swept for just that while something still used it. */
  readonly ready: boolean
  /** Files that differ and could not be repaired. */
  readonly drift: readonly string[]
}

/** An accepted order, with this node's place on its circle. */
export interface Order {
  readonly target: Target
  /** 0 … 4294967295. */
  readonly place: number
  readonly modifyIndex: number
  /** A bare build id: taken in three waves. */
  readonly bare: boolean
}

/** A build this node will not run under orders of this attempt or a lower one. */
export interface Refused extends Held {
  readonly attempt: number
  readonly code: string
  readonly message: string
}

/** What parks a node: why, and the order it was parked under. `manual`: an operator on the node swapped back, and this is what must run. */
export interface Stand {
  readonly code: string
  readonly message: string
  readonly manual: Held | null
  readonly rollout: string
  readonly build: BuildId | null
  readonly generation: number
  readonly attempt: number
  readonly activation: string | null
}

/** A change of what serves, from draining to the end of verifying: `restart` swaps nothing, `recover` leaves a hot tree that is not sound. */
export interface Move {
  readonly kind: 'swap' | 'restart' | 'recover'
  readonly to: Held
  readonly from: Held | null
  /** The target's activation string that this move satisfies once it is verified. */
  readonly activation: string | null
}

/** What the shell is asked to do: one thing at a time, numbered; its outcome carries the number. */
export type Job =
  | { readonly n: number; readonly kind: 'stage'; readonly held: Held; readonly background: boolean }
  | {
      readonly n: number
      readonly kind: 'wait'
      readonly pause: Pause
      readonly tries: number
      /** What is staged when it is over; null when a turn is asked for again. */
      readonly held: Held | null
      readonly order: string
      /** Why, in one sentence; null for a wait that is only polite. */
      readonly trouble: Trouble | null
    }
  /** `order` names the reading of the order that it was asked under. */
  | { readonly n: number; readonly kind: 'turn'; readonly order: string }
  | { readonly n: number; readonly kind: 'drain'; readonly insist: boolean }
  | { readonly n: number; readonly kind: 'swap'; readonly to: TreeName }
  | { readonly n: number; readonly kind: 'undrain' | 'afterSwap' | 'verify' | 'afterVerify' }
export type JobKind = Job['kind']

/** Names of the waits; each has its limits in `PAUSES`. */
export type Pause = 'retry' | 'arm' | 'rearm' | 'pin'

/** How long each wait is: full jitter between the bounds, doubling by tries. */
export const PAUSES = {
  retry: { floorMs: 500, ceilingMs: 30_000 },
  arm: { floorMs: 2_000, ceilingMs: 120_000 },
  rearm: { floorMs: 0, ceilingMs: 0 },
  pin: { floorMs: 5_000, ceilingMs: 15_000 },
} as const satisfies Record<Pause, { floorMs: number; ceilingMs: number }>

export interface NodeState {
  readonly phase: Phase
  readonly job: Job | null
  /** Number of the newest job. */
  readonly lastJob: number
  readonly hot: Held | null
  /** Null while it is written, and when it is empty. */
  readonly cold: ColdTree | null
  readonly coldTree: TreeName
  /** Files of hot that are known to differ from its build. */
  readonly hotDrift: readonly string[]
  /** Hot passed its verification, or was running before this puller came. */
  readonly verified: boolean
  /** Out of service: from the moment draining begins until maintenance is lifted. */
  readonly out: boolean
  readonly order: Order | null
  readonly move: Move | null
  /** What ran before hot, for a local rollback; null when nothing did or it failed. */
  readonly previous: Held | null
  /** The activation string that was last satisfied. */
  readonly activated: string | null
  readonly refusals: readonly Refused[]
  readonly stand: Stand | null
  /** Failed tries of the staging in hand. */
  readonly tries: number
  /** How often the puller died in each phase of the order with this key. */
  readonly crashes: { readonly key: string; readonly phases: Readonly<Partial<Record<Phase, number>>> }
  readonly stopping: boolean
}

/** Outcomes carry the number of their job; the rest comes from outside. */
export type Outcome =
  | {
      readonly type: 'fetched'
      readonly n: number
      readonly armed: boolean
      readonly drift: readonly string[]
      /** Why a sweep could not arm. */
      readonly busy: Trouble | null
    }
  /** `cold`: what lies complete in the spare tree all the same; a staging that fails early leaves it as it was. */
  | (Failed<'fetchBlocked'> & { readonly cold: ColdTree | null })
  | { readonly type: 'waited' | 'turnGranted' | 'drained' | 'undrained' | 'swapped'; readonly n: number }
  | { readonly type: 'restarted' | 'verified' | 'finished'; readonly n: number }
  | Failed<'turnHeld' | 'drainFailed' | 'swapFailed' | 'restartFailed' | 'verifyFailed' | 'finishFailed'>

interface Failed<type extends string> {
  readonly type: type
  readonly n: number
  readonly code: ErrorCode
  readonly message: string
}

export type NodeEvent =
  | Outcome
  | { readonly type: 'ordered'; readonly order: Order }
  | { readonly type: 'rollback'; readonly by: string }
  | { readonly type: 'stop' }

/** `start` begins once what was cancelled has ended; a cancelled job's outcome is dropped by its number. `exit`: nothing is in flight. */
export type Effect =
  | { readonly type: 'start'; readonly job: Job }
  | { readonly type: 'cancel'; readonly n: number }
  | { readonly type: 'exit' }

/** One edge that was followed, for the log line of the transition. */
export interface Followed {
  readonly from: Phase
  readonly edge: Edge
  readonly to: Phase
  /** The job that was begun there, a wait with its name. */
  readonly began: JobKind | Pause | null
}

export interface Step {
  readonly state: NodeState
  readonly effects: readonly Effect[]
  readonly trail: readonly Followed[]
}

export function same(one: Held | null, other: Held | null): boolean {
  return one !== null && other !== null && one.build === other.build && one.manifest === other.manifest
}

/** A node that knows nothing yet. */
export const BLANK: NodeState = {
  phase: 'idle',
  job: null,
  lastJob: 0,
  hot: null,
  cold: null,
  coldTree: 'a',
  hotDrift: [],
  verified: false,
  out: false,
  order: null,
  move: null,
  previous: null,
  activated: null,
  refusals: [],
  stand: null,
  tries: 0,
  crashes: { key: '', phases: {} },
  stopping: false,
}
