// Owns `conduct release`: begins a rollout or goes on with the open one, drives it, and says how it ended.

import { type Refusal, type ReleaseStart, type ReleaseWish, startRelease } from '#conductor/core/beginning.ts'
import { pictureOf, type RingPicture } from '#conductor/core/picture.ts'
import { type Finding, obstacles } from '#conductor/core/preflight.ts'
import { previewRing } from '#conductor/core/preview.ts'
import { type Beginning, beginRollout } from '#conductor/core/reduce.ts'
import { capOf } from '#conductor/core/standing.ts'
import { execute, tell } from '#conductor/shell/execute.ts'
import { type Observation, observe, ringOf } from '#conductor/shell/observe.ts'
import { type Driven, drive } from '#conductor/shell/reconcile.ts'
import { isBuildId, type Name } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { CatalogEntry, Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { payAfter, payOwed } from './after.ts'
import { already } from './already.ts'
import { conclude, endOfRelease } from './ending.ts'
import { leaseNote, rolloutId, takeLease } from './lease.ts'
import { noteOrphans } from './orphans.ts'
import { checkBypass, findingLines, forcedBy, lookAhead, refuseUnless, sayFindings } from './preflight.ts'
import { Progress } from './progress.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

export interface ReleaseOptions {
  readonly build: string | null
  readonly reason: string
  readonly adopt: boolean
  readonly restart: boolean
  readonly retry: boolean
  /** Take every node at once, whatever `maxUnavailable` says. */
  readonly now: boolean
  /** Checks to go past by name, and gates and windows all at once. */
  readonly force: readonly string[]
  readonly emergency: boolean
  /** Id of the rollout that was recalled to make way for this one. */
  readonly supersedes?: string | null
  /** The way back of `rollback --to`: what stands in a release's way does not stand in its. */
  readonly unchecked?: boolean
  readonly dryRun: boolean
  readonly timeoutMs: number
}

type Decided = Exclude<ReleaseStart, Refusal> & {
  readonly observed: Observation
  readonly catalog: readonly CatalogEntry[]
  /** What the pre-flight found; empty where no rollout would begin. */
  readonly findings: readonly Finding[]
}

/** @throws FleetError `NAME_INVALID` */
export function wishOf(bench: Bench, options: ReleaseOptions, id: string): ReleaseWish {
  const { app, by, clock, evidence } = bench
  const { build, reason, adopt, restart, retry } = options
  if (build !== null && !isBuildId(build))
    throw new FleetError('NAME_INVALID', `${JSON.stringify(build)} is not a build id`)
  const at = new Date(clock.now()).toISOString()
  const { required, afterRollout } = evidence
  const more = { force: forcedBy(options), required, afterRollout: afterRollout !== null }
  const { supersedes = null } = options
  return { app, build, by, reason, adopt, restart, retry, id, at, supersedes, ...more }
}

/** @param wish its id is that of the rollout, should one begin */
async function decide(bench: Bench, options: ReleaseOptions, wish: ReleaseWish): Promise<Decided> {
  const { app, rings, policy, ports, signal } = bench
  const { force: forced = [], retry } = wish
  const observed = await observe(ports, { app, rings, policy }, signal)
  const catalog = await ports.catalog.list(signal)
  const views = rings.map((ring) => ringOf(observed, ring))
  const start = startRelease(wish, { rings: views, rollout: observed.rollout, builds: catalog })
  if (start.kind === 'refuse') throw new FleetError(start.code, start.message)
  if (start.kind === 'resume' && forced.length > 0) {
    const fact = `rollout ${start.rollout.id} of ${start.rollout.build} is open already`
    throw new FleetError('ROLLOUT_OPEN', `${fact}: what it goes past was settled when it began`)
  }
  const checked = start.kind === 'begin' && options.unchecked !== true
  const findings = checked ? await lookAhead(bench, start.beginning, { observed, builds: catalog, lifting: retry }) : []
  if (start.kind === 'begin' && !options.dryRun) refuseUnless(bench, start.beginning.build, findings, forced)
  return { ...start, observed, catalog, findings }
}

export async function release(bench: Bench, options: ReleaseOptions): Promise<number> {
  const { report, signal, clock } = bench
  if (bench.unheeded.length > 0) {
    report.say(
      `Note: this version does not act on ${listed(bench.unheeded, 8)} of the config: each ring goes to 100 %.`,
    )
  }
  checkBypass(options, bench)
  const wish = wishOf(bench, options, rolloutId(clock))
  const first = await decide(bench, options, wish).catch(async (error: unknown) => {
    if (isFleetError(error, 'ORPHAN_WRITE') && !options.dryRun) await noteOrphans(bench)
    throw error
  })
  if (first.kind === 'already') return already(bench, first.build, options)
  if (options.dryRun) return dryRun(bench, first, forcedBy(options))
  await using lease = await lend(bench, first, options.timeoutMs)
  // What was seen before the lease may be old: under it nobody else writes.
  await payOwed(bench, lease)
  const start = await decide(bench, options, wish)
  if (start.kind === 'already') return already(bench, start.build, options)
  guardRestart(bench, start, options)
  sayFindings(bench, start.findings, start.kind === 'begin' ? forcedBy(options) : [])
  const rollout =
    start.kind === 'resume'
      ? await resume(bench, lease, start)
      : await begin(bench, lease, start.beginning, start, options.emergency)
  announce(bench, rollout, start.kind === 'resume')
  const progress = new Progress(report, clock, `Releasing ${rollout.build}`)
  const driven = await driveTo(bench, lease, rollout, progress, options).catch((error: unknown) => {
    if (signal.aborted) return null
    throw error
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
  timeoutMs: number,
): Promise<Lease> {
  const { build, id } = start.kind === 'begin' ? start.beginning : start.rollout
  try {
    return await takeLease(bench, leaseNote(bench, `release ${build}`, id), build, timeoutMs)
  } catch (error) {
    if (!isFleetError(error, 'LEASE_HELD')) throw error
    const { rollout } = observed
    const doing = rollout === null ? '' : ` (rollout ${rollout.id} of ${rollout.build}: ${rollout.phase})`
    const help = 'wait for it, watch it with conduct watch, or end it with conduct rollback'
    throw new FleetError('LEASE_HELD', `${error.message}${doing}; ${help}`, { cause: error })
  }
}

async function begin(
  bench: Bench,
  lease: Lease,
  beginning: Beginning,
  from: Decided,
  emergency: boolean,
): Promise<Rollout> {
  const { ports, by, signal } = bench
  const rollout = beginRollout(beginning)
  const { at, id, build, reason, stages, forced = [], supersedes = null } = beginning
  const rings = stages.map(({ ring }) => ring).join(', ')
  const past = forced.length === 0 ? {} : { forced: forced.join(', '), emergency }
  const facts = { rollout: id, build, rings, reason, ...past, ...(supersedes !== null && { supersedes }) }
  const told = [{ at, by, event: 'release-begun', facts }]
  const seen = from.observed.ledger
  await execute({ ledger: ports.ledger, lease }, seen, { rollout, events: [], told, answered: [] }, signal)
  await liftQuarantine(bench, beginning)
  return rollout
}

async function resume(bench: Bench, lease: Lease, start: Extract<Decided, { kind: 'resume' }>): Promise<Rollout> {
  const { ports, by, signal, clock } = bench
  const { rollout, adopts, observed } = start
  if (adopts.length === 0) return rollout
  const told = tell(rollout, adopts, by, new Date(clock.now()).toISOString())
  const world = { ledger: ports.ledger, lease }
  return (await execute(world, observed.ledger, { rollout, events: adopts, told, answered: [] }, signal)) ?? rollout
}

/** `--retry` says that the build may run after all. */
async function liftQuarantine({ ports, signal }: Bench, { build, attempt }: Beginning): Promise<void> {
  if (attempt === 1) return
  const found = await ports.catalog.find(build, signal)
  if (found === null || found.entry.quarantine === null) return
  await ports.catalog.put({ ...found.entry, quarantine: null }, found.index, signal)
}

/** A restart of what runs is one order to the whole ring: it must fit the cap, or be asked for by name. */
function guardRestart(bench: Bench, start: Decided, options: ReleaseOptions): void {
  if (start.kind !== 'begin' || !options.restart || options.now) return
  for (const ring of bench.rings) {
    const { standing, nodes } = ringOf(start.observed, ring)
    const runs = standing.kind === 'record' && standing.target.build === start.beginning.build
    const cap = capOf(bench.policy, nodes.length)
    if (!runs || nodes.length <= cap) continue
    const fact = `a restart of ${start.beginning.build} takes all ${nodes.length} nodes of ${ring} at once, and ${cap} may be out of service`
    throw new FleetError('CAP_EXCEEDED', `${fact}; nothing was written`)
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
): Promise<Driven> {
  const { app, ports, clock, policy, by, signal } = bench
  const rings = [...new Set([...bench.rings, ...(Object.keys(rollout.fallbacks) as Name[])])]
  const driving = {
    ...ports,
    app,
    clock,
    lease,
    policy: options.now ? { ...policy, maxUnavailable: 100, allAtOnce: true } : policy,
    by,
    deadlineMs: clock.monotonic() + options.timeoutMs,
    onTurn: (turn: Parameters<Progress['turn']>[0]) => progress.turn(turn, app),
  }
  return drive(driving, rings, signal)
}

export function ringPictures({ app, clock }: Bench, { observed, rollout }: Driven): readonly RingPicture[] {
  const rings = Object.values(observed.fleet.rings).filter(({ ring }) => ring in rollout.fallbacks)
  return pictureOf({ app, rings, fleet: observed.fleet, rollout, lease: null, builds: [], now: clock.now() }).rings
}

function interrupted({ report }: Bench, { id, build }: Rollout, progress: Progress): number {
  report.settle()
  report.say(
    `Stopped after ${formatDuration(progress.elapsedMs)}. The nodes finish what they were told; rollout ${id} stays open.`,
  )
  report.say(`conduct release ${build} goes on with it, conduct rollback takes it back.`)
  return 1
}

function dryRun(bench: Bench, start: Decided, forced: readonly string[]): number {
  const { report, policy } = bench
  if (start.kind === 'already') return 0
  const build = start.kind === 'begin' ? start.beginning.build : start.rollout.build
  const refused = obstacles(start.findings, forced).length > 0
  const previews = bench.rings.map((ring) => previewRing(ringOf(start.observed, ring), build, policy))
  if (report.json) {
    const begins = start.kind === 'begin'
    report.document({ app: bench.app, dryRun: true, build, begins, rings: previews, checks: start.findings, forced })
    return refused ? 3 : 0
  }
  if (refused) report.result(`Would refuse to release ${build}:`)
  else
    report.result(
      start.kind === 'begin' ? `Would release ${build}.` : `Would go on with rollout ${start.rollout.id} of ${build}.`,
    )
  for (const { ring, nodes, there, warm, download, silent, cap } of previews) {
    const parts = [`${there} run it already`, `${warm} hold it in cold`, `${download.length} must fetch it`]
    const quiet = silent > 0 ? `, ${silent} silent` : ''
    report.result(
      `  ${ring}: ${counted(nodes, 'node')} (${parts.join(', ')}${quiet}), at most ${cap} out of service at once.`,
    )
  }
  for (const line of findingLines(start.findings, forced)) report.result(line)
  return refused ? 3 : 0
}
