// Owns taking the lease for a verb: the note that others read, and who holds it instead.
import type { Clock, Lease, LeaseNote } from '#fleet/ports.ts'
import type { Bench } from './world.ts'

export function leaseNote(bench: Bench, reason: string, rollout: string | null): LeaseNote {
  return { holder: bench.holder, since: new Date(bench.clock.now()).toISOString(), rollout, reason }
}

/** @throws FleetError `LEASE_HELD`, naming the holder */
export function takeLease(bench: Bench, reason: string): Promise<Lease> {
  return bench.ports.locks.acquire(leaseNote(bench, reason, null), bench.signal)
}

/** `r-20261122-160430-3f2a`: sorts by time; the end keeps two of one second apart, as each is the salt of its circle. */
export function rolloutId(clock: Clock): string {
  const stamp = new Date(clock.now()).toISOString().replace(/[-:]/g, '')
  const chance = Math.floor(clock.random() * 65_536)
  return `r-${stamp.slice(0, 8)}-${stamp.slice(9, 15)}-${chance.toString(16).padStart(4, '0')}`
}
