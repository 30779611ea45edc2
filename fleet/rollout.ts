// Owns the rollout: one journey of a build through the rings, its phases and the record that any conductor can resume from.
import type { BuildId, Digest, Name } from './build.ts'
import type { GateMark } from './gate.ts'

export const ROLLOUT_PHASES = [
  'staging',
  'advancing',
  'soaking',
  'waiting',
  'recalling',
  'done',
  'rolledBack',
  'aborted',
] as const
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number]

/** Phases in which nothing more happens to a rollout. */
export const TERMINAL_PHASES: readonly RolloutPhase[] = ['done', 'rolledBack', 'aborted']

/** An operator's (or our own) stop, by name. A field, not a phase. */
export interface Hold {
  readonly by: string
  readonly code: string
  readonly reason: string
  readonly at: string
}

/** Why a rollout stands where it stands: a code of the table, and its evidence. */
export interface Because {
  readonly code: string
  readonly message: string
  readonly nodes?: readonly string[]
}

/** A node that need not be waited for. It stays counted and shown; it only blocks nothing any more. */
export interface Waiver {
  readonly node: Name
  readonly by: string
  readonly reason: string
  readonly at: string
  /** By the plan and nobody's word (`silentNodes: proceed`): it ends when the node is heard of again. */
  readonly policy?: boolean
}

/**
 * One step of the plan: a ring and the share of it, in percent, that runs the build when the step is done. What the plan asks of it beyond
 * that travels in the record, so that whoever takes over asks the same; a field that is left out asks for nothing.
 */
export interface Stage {
  readonly ring: Name
  readonly share: number
  /** How long it must stay converged before it is passed. */
  readonly soakSeconds?: number
  /** Argv that is run once it has converged; anything but exit 0 rolls back. */
  readonly smoke?: readonly string[]
  readonly smokeSeconds?: number
  /** Names of the gates that must pass before it is left; every gate that is for the ring when left out. */
  readonly gates?: readonly string[]
  /** `manual`: after its soak it is left by an operator's `promote` only. */
  readonly approval?: 'manual'
  /** Nobody swaps before every node of the ring has the build in cold. */
  readonly barrier?: boolean
  /** Without a step forward for this long the rollout is put on hold; 0 or left out: never. */
  readonly progressSeconds?: number
  /** It goes on without nodes that stay silent for so long, within the failure budget; left out: it waits for them. */
  readonly silentSeconds?: number
}

/** What happened so far at the stage in hand; it begins anew with every stage. */
export interface StageProgress {
  readonly begunAt: string
  /** Last order or gain or loss of convergence: from here the progress deadline counts. Null: it does not count. */
  readonly movedAt: string | null
  /** Since when it is converged without a break: the beginning of its soak. Null while it is not. */
  readonly convergedAt: string | null
  readonly smoke: { readonly passed: boolean; readonly message: string } | null
  /** Since when it waits for nothing but silent nodes; noted only where the plan goes on without them. */
  readonly silentAt?: string
}

/** A build and the digest of its manifest: what an order names. */
export interface BuildRef {
  readonly build: BuildId
  readonly manifest: Digest
}

/** What a rollout remembers of a ring, so that any conductor can tell from a status whether it is about this rollout. */
export interface RingMark {
  /** Generation of the first record of this rollout there; a status below it says nothing about it. */
  readonly began: number
  readonly salt: string
  /** Highest cutoff written on the way forward: a place at or above it never ran the build because of this rollout. */
  readonly peak: number
  /** Generation of the first record that took the build back, null before. */
  readonly recalled: number | null
  /** Generation of the closing record, null before. */
  readonly closed: number | null
  /** What stood there as fallback before: the fallback of the closing record. */
  readonly prior: BuildRef | null
}

/** The rollout in progress of an app, or its last one (contract: design section 5). */
export interface Rollout {
  readonly app: Name
  readonly id: string
  readonly build: BuildId
  readonly manifest: Digest
  readonly by: string
  readonly reason: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly phase: RolloutPhase
  readonly stages: readonly Stage[]
  /** Index into `stages` of the one in hand. */
  readonly stage: number
  /** What each ring goes back to, fixed when the rollout begins; null on a first deploy. */
  readonly fallbacks: Readonly<Record<string, BuildRef | null>>
  readonly hold: Hold | null
  /** Why it ended or is being recalled, in words. */
  readonly outcome: string | null
  /** Highest generation written per ring, by this rollout or by those before it. */
  readonly generations: Readonly<Record<string, number>>
  /** Per ring that it has written to. */
  readonly marks?: Readonly<Record<string, RingMark>>
  /** Code of what made it turn back: an operator's word or our own verdict. */
  readonly cause?: string | null
  /** Attempt and activation of its records (see `Target`). */
  readonly attempt?: number
  readonly activation?: string | null
  /** May take over orders that nobody with the lease wrote, in rings it has not written to yet (`release --adopt`). */
  readonly adopt?: boolean
  /** Rings that ran the build already when it began: there it is ordered on every node at once, which takes nobody out of service. */
  readonly there?: readonly string[]
  /** Of the stage in hand; null in a record of before. */
  readonly progress?: StageProgress | null
  /** The stage that an operator let pass where the plan waits for approval; null: none yet. */
  readonly promoted?: number | null
  /** Rings that may bring the build into cold before it is their turn, and when. */
  readonly prestage?: Readonly<Record<string, 'previous' | 'start'>>
  readonly waivers?: readonly Waiver[]
  /** Who owns it now; null: still the one who began it. */
  readonly commander?: string | null
  /** Goes to an older build by name (`rollback --to`): like every rollback, no hold of the line stops it. */
  readonly back?: boolean
  /** What each gate said last of the stage in hand, in the order of their names. */
  readonly verdicts?: readonly GateMark[]
  /** Ring → SHA-256 of the order that was written there last, by this rollout or one before it; the ledger notes it with each write. */
  readonly orders?: Readonly<Record<string, Digest>>
  /** Checks that an operator bypassed by name (`release --force`, `--emergency`). */
  readonly forced?: readonly string[]
  /** Id of the rollout that was recalled to make way for this one (`release --supersede`). */
  readonly supersedes?: string | null
  /** The command `afterRollout` is owed to its end. */
  readonly afterRollout?: boolean
}
