// Owns measuring moves: from the moment a node leaves its rest until it is at rest again, and where that led.
import type { NodeStatus, Phase } from '#fleet/node-status.ts'

/** `back`: to the build that ran before. `reverted`: by itself, because the build failed. `stayed`: restarted, or called off before the swap. */
export const MOVE_OUTCOMES = ['forward', 'back', 'reverted', 'stayed', 'parked'] as const
export type MoveOutcome = (typeof MOVE_OUTCOMES)[number]

export interface Moved {
  readonly outcome: MoveOutcome
  readonly ms: number
}

const MOVING: readonly Phase[] = ['draining', 'swapping', 'restarting', 'verifying', 'reverting']

interface Before {
  readonly hot: string | null
  /** What ran before hot. */
  readonly previous: string | null
}

/** What must be remembered from status to status: where the node rested last, and the move that is under way. */
export interface Moving {
  readonly rest: Before | null
  readonly begun: (Before & { readonly ms: number; readonly reverted: boolean }) | null
}

export const AT_REST: Moving = { rest: null, begun: null }

/**
 * Pure. Told every status in turn, with what ran before hot and the time in milliseconds; `moved` is the move that ended by it. A move that
 * was under way when the puller began is measured from there.
 */
export function follow(
  { rest, begun }: Moving,
  { phase, hot }: Pick<NodeStatus, 'phase' | 'hot'>,
  previous: string | null,
  ms: number,
): { readonly moving: Moving; readonly moved: Moved | null } {
  if (MOVING.includes(phase)) {
    const now = begun ?? { ...(rest ?? { hot, previous }), ms, reverted: false }
    const reverted = now.reverted || phase === 'reverting'
    return { moving: { rest, begun: { ...now, reverted } }, moved: null }
  }
  const moving = { rest: { hot, previous }, begun: null }
  if (begun === null) return { moving, moved: null }
  return { moving, moved: { outcome: outcomeOf(begun, phase, hot), ms: ms - begun.ms } }
}

function outcomeOf(begun: NonNullable<Moving['begun']>, phase: Phase, hot: string | null): MoveOutcome {
  if (phase === 'parked') return 'parked'
  if (begun.reverted) return 'reverted'
  if (hot === begun.hot) return 'stayed'
  return hot !== null && hot === begun.previous ? 'back' : 'forward'
}
