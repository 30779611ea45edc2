// Owns the first transaction of a rollout: its record, its first orders, and what the history is told.
import type { ReleaseStart } from '#conductor/core/beginning.ts'
import { deliveryFacts } from '#conductor/core/delivery.ts'
import { beginRollout } from '#conductor/core/reduce.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { type Deed, tell } from './execute.ts'

/** @param more facts for the history, beside what it always tells */
export function beginDeed(
  start: Extract<ReleaseStart, { kind: 'begin' }>,
  by: string,
  more: Readonly<Record<string, unknown>>,
): Deed & { readonly rollout: Rollout } {
  const { beginning, takesUp: events } = start
  const rollout = beginRollout(beginning)
  const { at, id, build, reason, stages, forced = [], supersedes = null } = beginning
  const rings = [...new Set(stages.map(({ ring }) => ring))].join(', ')
  const past = forced.length === 0 ? {} : { forced: forced.join(', ') }
  const begun = { rollout: id, build, rings, stages: stages.length, reason }
  const facts = { ...begun, ...deliveryFacts(start), ...past, ...(supersedes !== null && { supersedes }), ...more }
  const told = [{ at, by, event: 'release-begun', facts }, ...tell(rollout, events, by, at)]
  return { rollout, events, told, answered: [] }
}
