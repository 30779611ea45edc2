// Owns leading an app: waiting for its lease, doing a leader's duties while it is held, and letting it go in time.

import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Lease, LeaseNote, Locks, Logger } from '#fleet/ports.ts'

/** What a leader does for as long as it leads. Ends when the signal aborts; ending before is fine, throwing before ends the term. */
export type Duty = (lease: Lease, signal: AbortSignal) => Promise<void>

export interface Leading {
  readonly locks: Locks
  readonly clock: Clock
  readonly log: Logger
  /** What the lease says of us, made anew for each term. */
  note(): LeaseNote
  readonly duties: readonly Duty[]
  /** Resolves when the lease may be free, or after a moment. */
  stirred(signal: AbortSignal): Promise<void>
  /** Told when a term begins and ends. */
  onTerm(leads: boolean): void
  /** Told at each turn of the waiting. */
  onTurn(): void
}

/** What duties may take to stop before the lease goes all the same: what they still send is fenced off with it. */
const STOP_LIMIT_MS = 1_500
/** Between two tries while Consul does not answer; a refused token is not cured by asking. */
const TRY_AGAIN_MS = 1_000
const REFUSED_MS = 10_000
/** After a term that ended by a fault of ours somebody else may try. */
const FAULT_PAUSE_MS = 3_000

/** Leads whenever the lease is free, until the signal aborts; then the lease is let go. */
export async function lead(leading: Leading, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    leading.onTurn()
    const lease = await takenIfFree(leading, signal)
    if (lease === null) await leading.stirred(signal).catch(() => undefined)
    else await term(leading, lease, signal)
  }
}

async function takenIfFree(leading: Leading, signal: AbortSignal): Promise<Lease | null> {
  const { locks, log, note, clock } = leading
  try {
    if ((await locks.holder(signal)) !== null) return null
    return await locks.acquire(note(), signal)
  } catch (error) {
    if (signal.aborted) return null
    if (!isFleetError(error)) throw error
    const { code, kind, message } = error
    if (code === 'LEASE_HELD') return null
    log.warn('the lease is not answered for', { code, error: message })
    const waitMs = (kind === 'refused' ? REFUSED_MS : TRY_AGAIN_MS) * (0.5 + clock.random())
    await clock.sleep(waitMs, signal).catch(() => undefined)
    return null
  }
}

async function term(leading: Leading, lease: Lease, signal: AbortSignal): Promise<void> {
  const { clock, log, duties, onTerm } = leading
  const ended = new AbortController()
  const over = AbortSignal.any([signal, lease.lost, ended.signal])
  let isFaulty = false
  log.info('leads from here on', { session: lease.session })
  onTerm(true)
  try {
    const doing = duties.map((duty) =>
      duty(lease, over).catch((error: unknown) => {
        if (over.aborted) return
        isFaulty = !isFleetError(error, 'LEASE_LOST')
        if (isFaulty) log.error('a duty has failed', { error })
        ended.abort(error)
      }),
    )
    await aborted(over)
    const stopped = new AbortController()
    const late = clock.sleep(STOP_LIMIT_MS, stopped.signal).catch(() => undefined)
    await Promise.race([Promise.all(doing), late])
    stopped.abort()
  } finally {
    await lease[Symbol.asyncDispose]()
    onTerm(false)
    log.info('leads no longer', { reason: describeError(over.reason) })
  }
  if (isFaulty && !signal.aborted) await clock.sleep(FAULT_PAUSE_MS, signal).catch(() => undefined)
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
