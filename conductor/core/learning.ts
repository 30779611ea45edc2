// Owns what the catalog learns from a rollout: where its build proved good, and that a build which failed may not be released again.
import type { Name } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { provedGood } from './good.ts'
import { stageOf } from './progress.ts'
import type { RolloutEvent } from './reduce.ts'

export interface Lesson {
  /** Rings where the build has proved good. */
  readonly good: readonly Name[]
  /** Why it failed, in words; null: it did not, or an operator alone took it back. */
  readonly bad: string | null
}

/** Null: these events teach nothing. */
export function lessonOf(rollout: Rollout, events: readonly RolloutEvent[]): Lesson | null {
  const good = events.flatMap((event) => provedBy(rollout, event))
  const failed = events.find((event) => event.type === 'recallBegun' && event.cause !== 'operator')
  const bad = failed?.type === 'recallBegun' ? failed.outcome : null
  return good.length === 0 && bad === null ? null : { good, bad }
}

/** The entry as it is with the lesson. @param at ISO 8601 */
export function taught(entry: CatalogEntry, { good, bad }: Lesson, at: string): CatalogEntry {
  const proved = provedGood(entry, good, at)
  return bad === null ? proved : { ...proved, quarantine: { by: 'conduct', reason: bad, at } }
}

/**
 * The rings where a build has proved good by this event: it converged on the whole ring, soaked, and passed whatever its stage asks. A ring
 * that this rollout did not have to write to proves nothing anew.
 */
function provedBy(rollout: Rollout, event: RolloutEvent): readonly Name[] {
  const ended = event.type === 'ended' && event.phase === 'done'
  if (!ended && event.type !== 'stagePassed') return []
  const { ring, share } = stageOf(rollout)
  return share >= 100 && rollout.marks?.[ring] !== undefined ? [ring] : []
}
