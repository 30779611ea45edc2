// Owns a release that somebody else carries out: the request to whoever leads the app, and following the rollout to its end.

import { PAUSED } from '#conductor/core/legality.ts'
import { isOver } from '#conductor/core/reduce.ts'
import { observe } from '#conductor/shell/observe.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { LeaseNote, Request } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { ask } from './ask.ts'
import type { ReleaseOptions } from './deciding.ts'
import { conclude, endOfRelease } from './ending.ts'
import { follow } from './follow.ts'
import { Progress } from './progress.ts'
import { ringPictures } from './release-pictures.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

/** It looks at the store and at commits before it answers. */
const PATIENCE_MS = 30_000
/** How long nobody may hold the lease before we stop hoping for another daemon: one that waits takes it at once, one that is started anew soon. */
export const LEADERLESS_MS = 5_000

/** `exit`: it ended. `alone`: nobody answers or leads any more, and the release is ours to go on with. */
export type Led = { readonly kind: 'ended'; readonly exit: number } | { readonly kind: 'alone'; readonly build: string }

/**
 * Asks the leader to release, and follows what it begins.
 * @throws FleetError with the leader's refusal
 */
export async function releaseLed(
  bench: Bench,
  leader: LeaseNote,
  options: ReleaseOptions,
  build: string,
): Promise<Led> {
  const { report, clock, signal } = bench
  report.say(`${plain(leader.holder)} leads: asking to release ${build}.`)
  const answer = await ask(bench, 'release', argsOf(bench, options, build), PATIENCE_MS)
  if (answer === null) {
    report.say(`${plain(leader.holder)} does not answer.`)
    return { kind: 'alone', build }
  }
  if (answer.result === 'refused' || answer.rollout === null)
    throw new FleetError(answer.code ?? 'ROLLOUT_OPEN', answer.outcome)
  report.say(`${plain(answer.outcome)}.`)
  const progress = new Progress(report, clock, `Releasing ${build}`)
  try {
    return await accompany(bench, answer.rollout, build, options.timeoutMs, progress)
  } catch (error) {
    if (!signal.aborted) throw error
    report.settle()
    report.say(
      `Stopped looking on after ${formatDuration(progress.elapsedMs)}: ${plain(leader.holder)} goes on with it.`,
    )
    report.say(`conduct watch shows it, conduct pause stops it, conduct rollback takes it back.`)
    return { kind: 'ended', exit: 1 }
  }
}

/** What is asked for, in words of a request: `optionsIn` reads it. */
function argsOf({ rings, ringsNamed }: Bench, options: ReleaseOptions, build: string): Request['args'] {
  const { reason, adopt, restart, retry, now, id = null, force, emergency, back = false, supersedes = null } = options
  const asked = { build, reason, adopt, restart, retry, now, id, force, emergency, back, supersedes }
  return { ...asked, rings: ringsNamed ? rings : [] }
}

async function accompany(bench: Bench, id: string, build: string, timeoutMs: number, progress: Progress): Promise<Led> {
  const { ports, clock, signal, app, policy } = bench
  let ledAt = clock.monotonic()
  let stopped = false
  await follow(bench, timeoutMs, (now) => {
    const { rollout, lease } = now
    progress.show(now, rollout?.because ?? [], null)
    if (lease !== null) ledAt = clock.monotonic()
    const held =
      rollout !== null && rollout.hold !== null && rollout.hold.code !== PAUSED && rollout.phase !== 'recalling'
    stopped = held && rollout.id === id
    const over = rollout === null || rollout.id !== id || rollout.endedAt !== null
    return over || stopped || clock.monotonic() - ledAt > LEADERLESS_MS
  })
  const rollout = await recordOf(bench, id)
  const over = isOver(rollout)
  if (!over && !stopped && clock.monotonic() - ledAt > LEADERLESS_MS) {
    bench.report.say('Nobody leads any more: going on with it from here.')
    return { kind: 'alone', build }
  }
  const rings = [...new Set(rollout.stages.map(({ ring }) => ring))]
  const observed = await observe(ports, { app, rings, policy }, signal)
  const driven = { rollout, end: over ? 'over' : stopped ? 'held' : 'late', observed } as const
  const ending = endOfRelease(driven, ringPictures(bench, driven), progress.elapsedMs)
  return { kind: 'ended', exit: await conclude(bench, ending) }
}

/** The rollout as it stands, or as it was kept when another one has begun since. */
async function recordOf({ ports, rings, signal, app }: Bench, id: string): Promise<Rollout> {
  const { rollout } = await ports.ledger.view(rings, signal)
  const found = rollout?.record.id === id ? rollout.record : await ports.ledger.finished(id, signal)
  if (found !== null) return found
  throw new FleetError('RECORD_INVALID', `the record of rollout ${id} of ${app} is gone`)
}
