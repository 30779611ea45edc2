// Owns what it takes for a release to go in the place of an open rollout: another build, fit to be released, and a rollout to recall.
import type { CatalogEntry } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { chooseBuild, type Refusal, type ReleaseFacts, type ReleaseWish } from './beginning.ts'
import { isOver } from './reduce.ts'

export type Superseding =
  /** Nothing is open: a release like any other. */
  | { readonly kind: 'free' }
  | { readonly kind: 'recall'; readonly open: Rollout; readonly entry: CatalogEntry }
  | Refusal

export function supersede(wish: ReleaseWish, facts: ReleaseFacts): Superseding {
  const open = facts.rollout
  if (open === null || isOver(open)) return { kind: 'free' }
  const entry = chooseBuild(wish, facts)
  if ('kind' in entry) return entry
  if (entry.build !== open.build || open.phase === 'recalling') return { kind: 'recall', open, entry }
  const message = `rollout ${open.id} by ${open.by} is of ${open.build} itself: conduct release ${open.build} goes on with it`
  return { kind: 'refuse', code: 'ROLLOUT_OPEN', message }
}
