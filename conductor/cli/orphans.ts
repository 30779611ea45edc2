// Owns leaving word of an orphan write when a verb is refused because of one.
import { everyRing, OrphanWatch } from '#conductor/shell/orphans.ts'
import { isFleetError } from '#fleet/errors.ts'
import { leaseNote } from './lease.ts'
import type { Bench } from './world.ts'

/**
 * Writes into the history what stands in the targets and was written by hand, under a lease of its own. Where somebody else holds the lease
 * they look for themselves; where Consul does not answer, the refusal is said all the same.
 */
export async function noteOrphans(bench: Bench): Promise<void> {
  const { app, by, ports, clock, signal } = bench
  try {
    await using lease = await ports.locks.acquire(leaseNote(bench, 'telling of a write by hand', null), signal)
    const seen = await ports.ledger.view(await everyRing(ports.ledger, bench.rings, signal), signal)
    const at = new Date(clock.now()).toISOString()
    await new OrphanWatch().record({ ledger: ports.ledger, lease }, seen, { app, by, at }, signal)
  } catch (error) {
    if (!isFleetError(error)) throw error
  }
}
