// Owns what a rollout does next, and why: from the record, the fleet, the signals, the opening hours and the time, to one action.

import type { Name } from '#fleet/build.ts'
import type { Because, Hold, Rollout, Waiver } from '#fleet/rollout.ts'
import { goesPast } from './bypass.ts'
import { forward } from './forward.ts'
import type { Order } from './orders.ts'
import type { AheadSince } from './ownership.ts'
import { recalling } from './recalling.ts'
import { isOver } from './reduce.ts'
import type { FleetView } from './standing.ts'

/** One thing to do, in one transaction. */
export type Action =
  | { readonly type: 'wait' }
  | { readonly type: 'order'; readonly order: Order }
  | { readonly type: 'nextStage' }
  /** A word about the stage in hand, for the record. */
  | {
      readonly type: 'note'
      readonly note: 'converged' | 'convergenceLost' | 'soaked' | 'silenceBegun' | 'silenceOver'
    }
  /** Its smoke test is to run, or runs: its outcome comes back as an event. Nothing is written. */
  | { readonly type: 'smoke' }
  | { readonly type: 'hold'; readonly hold: Hold }
  /** By the plan's own policy nodes are not waited for any more, or are again. */
  | { readonly type: 'waive'; readonly waivers: readonly Waiver[] }
  | { readonly type: 'unwaive'; readonly nodes: readonly Name[]; readonly reason: string }
  | { readonly type: 'rollBack'; readonly cause: string; readonly outcome: string }
  | { readonly type: 'end'; readonly phase: 'done' | 'rolledBack' | 'aborted'; readonly outcome: string }

export interface Plan {
  readonly action: Action
  /** Why this, also when it is nothing: what `status`, `watch` and the live view show. */
  readonly because: readonly Because[]
}

/** What gates say of the stage in hand. Without data a gate is inconclusive, and nothing passes on that. */
export interface Signals {
  readonly verdicts: readonly {
    readonly gate: string
    readonly verdict: 'pass' | 'fail' | 'inconclusive'
    readonly message: string
  }[]
  /** Left out: what is ahead is answered at once. */
  readonly aheadSince?: AheadSince
}

/** Whether the calendar lets a rollout advance now. */
export interface Opening {
  readonly open: boolean
  readonly because: Because | null
}

export const NO_SIGNALS: Signals = { verdicts: [] }
export const ALWAYS_OPEN: Opening = { open: true, because: null }

/**
 * Decides the next action. Pure: the same arguments, the same plan. Rolling back ignores holds, calendar and gates; advancing never does.
 * @param now milliseconds since 1970
 */
export function plan(rollout: Rollout, fleet: FleetView, signals: Signals, opening: Opening, now: number): Plan {
  if (isOver(rollout)) return { action: { type: 'wait' }, because: [] }
  if (rollout.phase === 'recalling') return recalling(rollout, fleet, now)
  const heard = goesPast(rollout, 'gates') ? { ...signals, verdicts: [] } : signals
  return forward(rollout, fleet, heard, goesPast(rollout, 'windows') ? ALWAYS_OPEN : opening, now)
}
