// Owns telling the catalog what a rollout taught, in the transaction that records it.
import { lessonOf, taught } from '#conductor/core/learning.ts'
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { AsideWrite, Catalog } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { writeCatalogEntry } from '#fleet/wire.ts'

/**
 * The writes that go with the events. A driver that dies between two transactions would leave it unsaid, and one without the lease could say it.
 * @param at ISO 8601
 * @throws FleetError of kind transient or refused
 */
export async function learned(
  catalog: Catalog,
  rollout: Rollout,
  events: readonly RolloutEvent[],
  at: string,
  signal: AbortSignal,
): Promise<readonly AsideWrite[]> {
  const lesson = lessonOf(rollout, events)
  if (lesson === null) return []
  const found = await catalog.find(rollout.build, signal).catch((error: unknown) => {
    // A broken entry is no reason to stay with a build that failed.
    if (isFleetError(error, 'RECORD_INVALID')) return null
    throw error
  })
  if (found === null) return []
  const raw = writeCatalogEntry(taught(found.entry, lesson, at))
  return [{ key: { kind: 'build', build: rollout.build }, raw, index: found.index }]
}
