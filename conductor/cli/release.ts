// Owns `conduct release`: begins a rollout or goes on with the open one, drives it, and says how it ended.

import type { GateReader } from '#conductor/core/gates.ts'
import { ALWAYS_OPEN } from '#conductor/core/plan.ts'
import { evaluator } from '#conductor/shell/evaluate.ts'
import { gateReader } from '#conductor/shell/gates.ts'
import { pastFigures } from '#conductor/shell/past.ts'
import { type Driven, type Driving, drive } from '#conductor/shell/reconcile.ts'
import type { Name } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { payAfter, payOwed } from './after.ts'
import { already } from './already.ts'
import { begin, resume } from './begin.ts'
import { openingFor } from './calendar.ts'
import { type Decided, decide, guardRestart, guardRoute, type ReleaseOptions, wishOf } from './deciding.ts'
import { dryRun } from './dry-release.ts'
import { conclude, endOfRelease } from './ending.ts'
import { leaseNote, rolloutId, takeLease } from './lease.ts'
import { releaseLed } from './led.ts'
import { noteOrphans } from './orphans.ts'
import { checkBypass, forcedBy, sayFindings } from './preflight.ts'
import { Progress } from './progress.ts'
import { queued } from './queue.ts'
import { ringPictures } from './release-pictures.ts'
import { namingTaker, takeOver } from './take-over.ts'
import { listed } from './words.ts'
import type { Bench } from './world.ts'

const always = () => ALWAYS_OPEN

export async function release(bench: Bench, options: ReleaseOptions): Promise<number> {
  if (options.wait !== true || options.dryRun) return releaseNow(bench, options)
  return queued(bench, options.build, options.timeoutMs, (timeoutMs) => releaseNow(bench, { ...options, timeoutMs }))
}

async function releaseNow(bench: Bench, options: ReleaseOptions, unled = false): Promise<number> {
  const { report, signal, clock } = bench
  checkBypass(options, bench)
  // The way back asks no calendar, so a broken one does not stop it.
  const opening = options.back === true ? always : await openingFor(bench)
  const wish = wishOf(bench, options, options.id ?? rolloutId(clock))
  const first = await decide(bench, options, wish).catch(async (error: unknown) => {
    if (isFleetError(error, 'ORPHAN_WRITE') && !options.dryRun) await noteOrphans(bench)
    throw error
  })
  if (first.kind === 'already') return already(bench, first.build, options)
  guardRoute(bench, first)
  if (options.dryRun) return dryRun(bench, first, forcedBy(options))
  const leader = unled || options.takeOver === true ? null : await bench.ports.locks.holder(signal)
  if (leader?.serves === true) {
    const { build } = first.kind === 'begin' ? first.beginning : first.rollout
    const led = await releaseLed(bench, leader, options, build)
    // Who led is gone or silent: its session ends, and what it began is gone on with.
    return led.kind === 'ended' ? led.exit : releaseNow(bench, { ...options, build: led.build }, true)
  }
  await using lease = await lend(bench, first, options)
  await payOwed(bench, lease)
  // What was seen before the lease may be old: under it nobody else writes.
  const start = await decide(bench, options, { ...wish, at: new Date(clock.now()).toISOString() })
  if (start.kind === 'already') return already(bench, start.build, options)
  guardRestart(bench, start, options)
  guardRoute(bench, start)
  sayFindings(bench, start.findings, start.kind === 'begin' ? forcedBy(options) : [])
  const rollout =
    start.kind === 'resume' ? await resume(bench, lease, start) : await begin(bench, lease, start, options.emergency)
  announce(bench, rollout, start.kind === 'resume')
  const progress = new Progress(report, clock, `Releasing ${rollout.build}`)
  const driven = await driveTo(bench, lease, rollout, progress, options, opening).catch(async (error: unknown) => {
    if (signal.aborted) return null
    throw await namingTaker(error, bench)
  })
  if (driven === null) return interrupted(bench, rollout, progress)
  const exit = await conclude(bench, endOfRelease(driven, ringPictures(bench, driven), progress.elapsedMs))
  await payAfter(bench, lease, driven.rollout)
  return exit
}

/** The lease, or a refusal that says what its holder is doing. */
async function lend(
  bench: Bench,
  { observed, ...start }: Exclude<Decided, { kind: 'already' }>,
  { reason, takeOver: takes, timeoutMs }: ReleaseOptions,
): Promise<Lease> {
  const { build, id } = start.kind === 'begin' ? start.beginning : start.rollout
  const note = leaseNote(bench, `release ${build}${reason === '' ? '' : `: ${reason}`}`, id, build)
  if (takes === true) return takeOver(bench, note, reason)
  try {
    return await takeLease(bench, note, timeoutMs)
  } catch (error) {
    if (!isFleetError(error, 'LEASE_HELD')) throw error
    const { rollout } = observed
    const doing = rollout === null ? '' : ` (rollout ${rollout.id} of ${rollout.build}: ${rollout.phase})`
    const help = '--wait queues behind it, conduct watch shows it, conduct rollback ends it, --take-over takes it away'
    throw new FleetError('LEASE_HELD', `${error.message}${doing}; ${help}`, { cause: error })
  }
}

function announce({ report }: Bench, { id, build, stages, startedAt }: Rollout, resumed: boolean): void {
  const rings = listed([...new Set(stages.map(({ ring }) => ring))], 8)
  if (resumed) report.say(`Going on with rollout ${id} of ${build} to ${rings}, begun ${startedAt.slice(11, 19)} UTC.`)
  else report.say(`Releasing ${build} to ${rings} (rollout ${id}).`)
}

function driveTo(
  bench: Bench,
  lease: Lease,
  rollout: Rollout,
  progress: Progress,
  options: ReleaseOptions,
  opening: NonNullable<Driving['opening']>,
): Promise<Driven> {
  const { app, ports, clock, policy, by, signal, place } = bench
  const rings = [...new Set([...bench.rings, ...(Object.keys(rollout.fallbacks) as Name[])])]
  const driving = {
    ...ports,
    opening,
    app,
    clock,
    lease,
    policy: options.now ? { ...policy, maxUnavailable: 100, allAtOnce: true } : policy,
    by,
    place,
    gates: readerOf(bench),
    deadlineMs: clock.monotonic() + options.timeoutMs,
    onTurn: (turn: Parameters<Progress['turn']>[0]) => progress.turn(turn, app),
  }
  return drive(driving, rings, signal)
}

/** The gates of the config, null when there are none. */
export function readerOf({ gates, ports, clock, place }: Bench): GateReader | null {
  if (gates.length === 0) return null
  const sources = { clock, place, metrics: ports.metrics, baseline: pastFigures(ports) }
  return gateReader(gates, evaluator(sources), clock)
}

function interrupted({ report }: Bench, { id, build }: Rollout, progress: Progress): number {
  report.settle()
  report.say(
    `Stopped after ${formatDuration(progress.elapsedMs)}. The nodes finish what they were told; rollout ${id} stays open.`,
  )
  report.say(`conduct release ${build} goes on with it, conduct rollback takes it back.`)
  return 1
}
