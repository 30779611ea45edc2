// Owns how far the stage in hand has come: what converging, soaking, its smoke test and a promotion change in the rollout record.
import { assert, never } from '#fleet/assert.ts'
import type { Rollout, Stage, StageProgress } from '#fleet/rollout.ts'
import type { Order } from './orders.ts'

export type StageEvent =
  /** Everybody it is about runs the build: its soak begins. */
  | { readonly type: 'converged'; readonly at: string }
  /** Somebody it is about no longer does: its soak is void. */
  | { readonly type: 'convergenceLost'; readonly at: string }
  | { readonly type: 'smoked'; readonly passed: boolean; readonly message: string }
  /** It waits for nothing but silent nodes from now on, or for something else again. */
  | { readonly type: 'silenceBegun'; readonly at: string }
  | { readonly type: 'silenceOver' }
  /** Its soak is over, and something else still keeps it. */
  | { readonly type: 'soaked' }
  /** An operator lets it go on: in place of the approval that its plan asks for. */
  | { readonly type: 'promoted'; readonly by: string }
  | { readonly type: 'stagePassed'; readonly at: string }

/** @param at ISO 8601 */
export function begunAt(at: string): StageProgress {
  return { begunAt: at, movedAt: at, convergedAt: null, smoke: null }
}

/** The stage in hand, which every rollout has. */
export function stageOf(rollout: Rollout): Stage {
  const stage = rollout.stages[rollout.stage]
  assert(stage !== undefined, 'the stage in hand exists')
  return stage
}

/** It has converged: nothing is left to it but time and its tests. */
export function isSoaking({ phase }: Rollout): boolean {
  return phase === 'soaking' || phase === 'waiting'
}

/** Of a record that an older program wrote: as if the stage had begun with the rollout, and without a deadline. */
export function progressOf(rollout: Rollout): StageProgress {
  return rollout.progress ?? { ...begunAt(rollout.startedAt), movedAt: null }
}

/** @param at null: from now on no deadline counts until it moves again */
export function moved(rollout: Rollout, at: string | null): Pick<Rollout, 'progress'> {
  return { progress: { ...progressOf(rollout), movedAt: at } }
}

/** Without the time since when it waits for silent nodes: it does not any more. */
function unsilenced({ silentAt: _silentAt, ...progress }: StageProgress): StageProgress {
  return progress
}

/** What an order changes: one that takes the stage in hand further makes an end of its soak; one for another ring is no news of it. */
export function stepped(rollout: Rollout, { ring, kind, target }: Order): Partial<Rollout> {
  const further = kind === 'stage' || kind === 'raise'
  if (rollout.phase === 'recalling' || !further || ring !== stageOf(rollout).ring) return {}
  const phase = target.cutoff === 0 ? 'staging' : 'advancing'
  return { phase, progress: { ...unsilenced(progressOf(rollout)), movedAt: target.at, convergedAt: null, smoke: null } }
}

function passed(rollout: Rollout, at: string): Rollout {
  const next = { ...rollout, stage: rollout.stage + 1, progress: begunAt(at), verdicts: [] }
  const exposed = (rollout.marks?.[stageOf(next).ring]?.peak ?? 0) > 0
  return { ...next, phase: exposed ? 'advancing' : 'staging' }
}

export function staged(rollout: Rollout, event: StageEvent): Rollout {
  assert(rollout.phase !== 'recalling', 'a recall passes no stage')
  const progress = progressOf(rollout)
  const heard = unsilenced(progress)
  switch (event.type) {
    case 'converged':
      return {
        ...rollout,
        phase: 'soaking',
        progress: { ...heard, movedAt: event.at, convergedAt: event.at, smoke: null },
      }
    case 'convergenceLost':
      return {
        ...rollout,
        phase: 'advancing',
        progress: { ...heard, movedAt: event.at, convergedAt: null, smoke: null },
      }
    case 'silenceBegun':
      return { ...rollout, progress: { ...progress, silentAt: event.at } }
    case 'silenceOver':
      return { ...rollout, progress: heard }
    case 'smoked':
      return { ...rollout, progress: { ...progress, smoke: { passed: event.passed, message: event.message } } }
    case 'soaked':
      return { ...rollout, phase: 'waiting' }
    case 'promoted':
      return { ...rollout, promoted: rollout.stage }
    case 'stagePassed':
      assert(rollout.stage + 1 < rollout.stages.length, 'there is a next stage')
      return passed(rollout, event.at)
    default:
      return never(event, 'stage event')
  }
}
