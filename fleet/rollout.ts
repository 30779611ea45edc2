// Owns the rollout: one journey of a build through the rings, its phases and the record that any conductor can resume from.
import type { BuildId, Digest, Name } from './build.ts'

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

/** One step of the plan: a ring and the share of it, in percent, that runs the build when the step is done. */
export interface Stage {
  readonly ring: Name
  readonly share: number
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
  readonly fallbacks: Readonly<Record<string, { readonly build: BuildId; readonly manifest: Digest } | null>>
  readonly hold: Hold | null
  /** Why it ended or is being recalled, in words. */
  readonly outcome: string | null
  /** Highest generation written per ring by this rollout. */
  readonly generations: Readonly<Record<string, number>>
}
