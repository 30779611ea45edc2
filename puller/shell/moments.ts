// Owns when a staging may ask the store, and for how long it waits for a repair.
import { hash } from 'node:crypto'
import { FleetError } from '#fleet/errors.ts'
import type { Ground } from './ground.ts'
import type { StageJob } from './stage-job.ts'

/** Waits for this node's moment in the spread, so that a fleet does not ask one store all at once; once for each order. */
export async function waitForMoment(
  { clock, fetch, node }: Pick<Ground, 'clock' | 'fetch' | 'node'>,
  { order, spread, signal }: Pick<StageJob, 'order' | 'spread' | 'signal'>,
): Promise<void> {
  if (spread.has(order.manifest)) return
  const place = Number.parseInt(hash('sha256', `${order.build}/${node}`).slice(0, 8), 16) / 2 ** 32
  await clock.sleep(fetch.spreadSeconds * 1_000 * place, signal)
  spread.add(order.manifest)
}

/** A signal that also ends a repair for which no bytes come within `repairSeconds`. Call `end` when it is over. */
export function repairLimit(
  { clock, repairSeconds }: Pick<Ground, 'clock' | 'repairSeconds'>,
  signal: AbortSignal,
): { signal: AbortSignal; end: () => void } {
  const limit = new AbortController()
  const done = new AbortController()
  clock.sleep(repairSeconds * 1_000, done.signal).then(
    () => limit.abort(new FleetError('STORE_STALLED', `no bytes for a repair within ${repairSeconds} s`)),
    () => undefined,
  )
  return { signal: AbortSignal.any([signal, limit.signal]), end: () => done.abort() }
}
