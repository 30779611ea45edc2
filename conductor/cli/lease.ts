// Owns taking the lease for a verb: the note that others read, and who holds it instead.
import { isOver } from '#conductor/core/reduce.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Lease, LeaseNote } from '#fleet/ports.ts'
import { isDriven } from './ask.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

/** @param reason what is done, and why when a person said so @param build what is brought, if anything is */
export function leaseNote(
  bench: Bench,
  reason: string,
  rollout: string | null,
  build: string | null = null,
): LeaseNote {
  return { holder: bench.holder, since: new Date(bench.clock.now()).toISOString(), rollout, build, reason }
}

/** Consul lets a session of ten seconds live up to twenty; then the lease of a dead driver is free. */
export const ORPHANED_MS = 25_000
const LOOK_MS = 250

/**
 * The lease. That of a driver who does not answer is waited for: unlike a rollback, a release can wait until its session has ended.
 * @throws FleetError `LEASE_HELD`, naming the holder, when somebody drives
 */
export async function takeLease(bench: Bench, note: LeaseNote, timeoutMs: number): Promise<Lease> {
  const { ports, signal, report, clock } = bench
  try {
    return await ports.locks.acquire(note, signal)
  } catch (error) {
    if (!isFleetError(error, 'LEASE_HELD')) throw error
    const held = await ports.locks.holder(signal)
    if (held !== null && (await isDriven(bench))) throw error
    if (held !== null) {
      report.say(`${held.holder} holds the lease and does not answer: waiting for its session to end.`)
      await untilFree(bench, held.session, Math.min(ORPHANED_MS, timeoutMs))
    }
    const since = new Date(clock.now()).toISOString()
    return await ports.locks.acquire({ ...note, since }, signal)
  }
}

/**
 * The lease for work that is no rollout. From a daemon it is taken while none is open: that one leads again when the work is done.
 * @throws FleetError `LEASE_HELD`, naming the holder, when somebody drives
 */
export async function borrowLease({ ports, signal, report }: Bench, note: LeaseNote): Promise<Lease> {
  const holder = await ports.locks.holder(signal)
  if (holder?.serves !== true) return ports.locks.acquire(note, signal)
  const { rollout } = await ports.ledger.view([], signal)
  if (rollout !== null && !isOver(rollout.record)) {
    const { id, build, phase } = rollout.record
    throw new FleetError(
      'LEASE_HELD',
      `${holder.holder} drives rollout ${id} of ${build} (${phase}); nothing was written`,
    )
  }
  report.say(`${plain(holder.holder)} leads: taking the lease for the moment; it leads again afterwards.`)
  return ports.locks.fence(holder.session, note, signal)
}

export function isRolloutId(text: string): boolean {
  return /^r-\d{8}-\d{6}-[0-9a-f]{4}$/.test(text)
}

/** Waits until this session no longer holds the lease; false when it still does after `limitMs`. */
export async function untilFree({ ports, clock, signal }: Bench, session: string, limitMs: number): Promise<boolean> {
  const end = clock.monotonic() + limitMs
  while ((await ports.locks.holder(signal))?.session === session) {
    if (clock.monotonic() >= end) return false
    await clock.sleep(LOOK_MS, signal)
  }
  return true
}

/** `r-20261122-160430-3f2a`: sorts by time; the end keeps two of one second apart, as each is the salt of its circle. */
export function rolloutId(clock: Clock): string {
  const stamp = new Date(clock.now()).toISOString().replace(/[-:]/g, '')
  const chance = Math.floor(clock.random() * 65_536)
  return `r-${stamp.slice(0, 8)}-${stamp.slice(9, 15)}-${chance.toString(16).padStart(4, '0')}`
}
