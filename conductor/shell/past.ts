// Owns reading what gates said in rollouts before: once for each rollout that asks, because it does not change meanwhile.

import type { Cohort, PrometheusGate } from '#conductor/core/gates.ts'
import { baselineOf, type PastRollout, pastRollouts } from '#conductor/core/past.ts'
import type { Catalog, Ledger } from '#fleet/ports.ts'

/** Entries of the history that are looked through: years of a team's rollouts, and a second's reading. */
const ENTRIES = 5_000

interface Books {
  readonly ledger: Ledger
  readonly catalog: Catalog
}

/** Newest first. @throws FleetError of kind transient or refused */
export async function readPast({ ledger, catalog }: Books, signal: AbortSignal): Promise<readonly PastRollout[]> {
  const [entries, builds] = await Promise.all([ledger.history(ENTRIES, signal), catalog.list(signal)])
  return pastRollouts(entries, builds)
}

/** The baselines of z-scores, out of the history. */
export function pastFigures(books: Books) {
  let read: { readonly rollout: string; readonly past: readonly PastRollout[] } | null = null
  return async (gate: PrometheusGate, { rollout, ring }: Cohort, signal: AbortSignal): Promise<readonly number[]> => {
    if (read?.rollout !== rollout) read = { rollout, past: await readPast(books, signal) }
    const others = read.past.filter((one) => one.rollout !== rollout)
    return baselineOf(others, { gate: gate.name, ring, before: null })
  }
}
