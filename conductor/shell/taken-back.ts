// Owns looking up which builds were taken back: as far back in the history as a build that may be fired is old.
import { newerThanGood, type SlotFacts, takenBackFrom } from '#conductor/core/slot.ts'
import type { Ledger } from '#fleet/ports.ts'

/** Entries that are read at first, and how many times more each time that these do not go back far enough. */
const FIRST = 500
const FACTOR = 4
/** Clocks of those who publish may be ahead of those who write the history. */
const SKEW_MS = 86_400_000

/** A build cannot have been taken back before there was one. @throws FleetError of kind transient or refused */
export async function takenBackOf(
  ledger: Pick<Ledger, 'history'>,
  facts: Omit<SlotFacts, 'takenBack'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { goal } = facts
  const candidates = newerThanGood({ ...facts, takenBack: [] })
  const [newest] = candidates
  if (newest === undefined) return []
  const sinceMs = Math.min(...candidates.map(({ createdAt }) => Date.parse(createdAt))) - SKEW_MS
  for (let limit = FIRST; ; limit *= FACTOR) {
    const history = await ledger.history(limit, signal)
    const takenBack = takenBackFrom(history, goal)
    const oldest = history.at(-1)
    const whole = oldest === undefined || history.length < limit || Date.parse(oldest.at) < sinceMs
    // Where the newest is among them, nothing older matters.
    if (whole || takenBack.includes(newest.build)) return takenBack
  }
}
