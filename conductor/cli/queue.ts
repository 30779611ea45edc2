// Owns queueing behind an open rollout: `release --wait` begins when the one before it is over.

import { isOver } from '#conductor/core/reduce.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { LeaseNote } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

const LOOK_MS = 500

/**
 * Calls `begin` when no other rollout is in the way, again should somebody have been quicker. Among several that wait it is whoever takes the
 * lease first. @param begin is given what is left of the time, in milliseconds
 * @throws FleetError `ROLLOUT_OPEN` when the time is over
 */
export async function queued(
  bench: Bench,
  build: string | null,
  timeoutMs: number,
  begin: (leftMs: number) => Promise<number>,
): Promise<number> {
  const end = bench.clock.monotonic() + timeoutMs
  for (;;) {
    await untilClear(bench, build, end, timeoutMs)
    try {
      return await begin(Math.max(0, end - bench.clock.monotonic()))
    } catch (error) {
      const first = isFleetError(error, 'LEASE_HELD', 'ROLLOUT_OPEN', 'ROLLOUT_RECALLING', 'WRITE_CONFLICT')
      if (!first || bench.clock.monotonic() >= end) throw error
    }
  }
}

async function untilClear(bench: Bench, build: string | null, endMs: number, timeoutMs: number): Promise<void> {
  const { ports, clock, signal, report } = bench
  let told = ''
  for (;;) {
    const [{ rollout }, holder] = await Promise.all([ports.ledger.view([], signal), ports.locks.holder(signal)])
    const open = rollout !== null && !isOver(rollout.record) ? rollout.record : null
    if (open === null && (holder === null || holder.serves === true)) return
    // Of the same build, and left by its driver or in the hands of one who is asked: it is gone on with.
    const isLeft = holder === null || holder.serves === true
    if (open !== null && isLeft && open.build === build && open.phase !== 'recalling') return
    const line = describe(open, holder)
    if (line !== told) report.say(line)
    told = line
    if (clock.monotonic() >= endMs)
      throw new FleetError('ROLLOUT_OPEN', `waited ${formatDuration(timeoutMs)} in vain. ${line}`)
    await clock.sleep(LOOK_MS, signal)
  }
}

function describe(open: Rollout | null, holder: LeaseNote | null): string {
  if (open === null)
    return `Waiting for ${plain(holder?.holder ?? 'nobody')} to let the lease go: ${plain(holder?.reason ?? '')}`
  const what = `Waiting behind rollout ${open.id} of ${open.build} by ${plain(open.commander ?? open.by)} (${open.phase})`
  const stopped = open.hold === null ? '' : `, stopped by ${plain(open.hold.by)}: ${plain(open.hold.reason)}`
  const alone = `; nobody drives it: conduct release ${open.build} goes on with it, conduct rollback ends it`
  return `${what}${stopped}${holder === null ? alone : ''}`
}
