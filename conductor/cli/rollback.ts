// Owns `conduct rollback`: back to what ran before, through whoever drives, or past them when they are dead or silent.

import { previewRing } from '#conductor/core/preview.ts'
import { isOver, reduce } from '#conductor/core/reduce.ts'
import { type RollbackStart, startRollback } from '#conductor/core/reversal.ts'
import { execute, tell } from '#conductor/shell/execute.ts'
import { type Observation, observe, ringOf } from '#conductor/shell/observe.ts'
import { type Driven, drive } from '#conductor/shell/reconcile.ts'
import { isBuildId } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { CatalogEntry, Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { payAfter } from './after.ts'
import { askDriver } from './ask.ts'
import { accompanyBack } from './back-led.ts'
import { sayUnasked } from './calendar.ts'
import { conclude, type Ending, endOfRollback } from './ending.ts'
import { leaseNote, rolloutId } from './lease.ts'
import { Progress } from './progress.ts'
import { release } from './release.ts'
import { ringPictures } from './release-pictures.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

export interface RollbackOptions {
  /** A build, `previous`, or null: what each ring's own record names. */
  readonly to: string | null
  readonly now: boolean
  readonly reason: string
  readonly dryRun: boolean
  readonly timeoutMs: number
}

interface Facts {
  readonly observed: Observation
  readonly catalog: readonly CatalogEntry[]
}

export async function rollback(bench: Bench, options: RollbackOptions): Promise<number> {
  const { report, clock, signal } = bench
  if (options.to !== null && options.to !== 'previous') return rollbackTo(bench, options, options.to)
  if (options.dryRun) {
    const facts = await gather(bench)
    return dryRun(bench, decideBack(bench, options, facts, rolloutId(clock)), facts)
  }
  try {
    return await conclude(bench, await bringBack(bench, options))
  } catch (error) {
    if (!signal.aborted) throw error
    report.settle()
    report.say('Stopped. The nodes finish what they were told; conduct rollback goes on with it.')
    return 1
  }
}

/** Back to what ran before, by whoever can: the living driver of an open rollout, or this very process. */
export async function bringBack(bench: Bench, options: RollbackOptions): Promise<Ending> {
  const { report, clock } = bench
  const facts = await gather(bench)
  const id = rolloutId(clock)
  const start = decideBack(bench, options, facts, id)
  if (start.kind === 'already') return { exit: 0, lines: [`${start.message}. Nothing was written.`] }
  for (const line of previewLines(bench, start, facts)) report.say(line)
  await sayUnasked(bench)
  const progress = new Progress(report, clock, 'Rolling back')
  const lease = await reach(bench, options, start, id)
  if (lease === null) {
    const ids = rolloutsOf(start).map((rollout) => rollout.id)
    const ending = await accompanyBack(bench, options, progress, ids)
    if (ending === null) return bringBack(bench, options)
    if (start.kind === 'reverse' && (await isOvertaken(bench, facts.observed, ids))) {
      report.say('That was a rollout that had begun meanwhile: what was asked for is still to be done.')
      return bringBack(bench, options)
    }
    // The open rollout is ended; what was asked for is the build before the one that runs now.
    const further = start.kind !== 'reverse' && options.to === 'previous' && ending.exit === 0
    return further ? bringBack(bench, options) : ending
  }
  await using held = lease
  const ending = await takeBack(bench, held, options, progress, id)
  // What is owed to the rollout before waits until nodes are back: a rollback waits for nobody's command.
  await payAfter(bench, held, facts.observed.rollout)
  return ending
}

/** Whether the driver turned back another rollout than those of `ids`: one of a slot or of somebody else, begun between our look and its answer. */
async function isOvertaken(
  { ports, signal }: Bench,
  { rollout }: Observation,
  ids: readonly string[],
): Promise<boolean> {
  const now = (await ports.ledger.view([], signal)).rollout?.record.id ?? ''
  const [first = ''] = ids
  return now !== rollout?.id && !ids.includes(now) && (await ports.ledger.finished(first, signal)) === null
}

/** What `bringBack` would do, a line for each ring. */
export async function previewBack(bench: Bench, options: RollbackOptions): Promise<readonly string[]> {
  const facts = await gather(bench)
  return previewLines(bench, decideBack(bench, options, facts, rolloutId(bench.clock)), facts)
}

export async function gather({ app, rings, policy, ports, signal }: Bench): Promise<Facts> {
  const observed = await observe(ports, { app, rings, policy }, signal)
  return { observed, catalog: await ports.catalog.list(signal) }
}

/** @param id of the rollout, should one begin. @throws FleetError `NO_PREVIOUS` */
export function decideBack(
  bench: Bench,
  options: RollbackOptions,
  { observed, catalog }: Facts,
  id: string,
): Exclude<RollbackStart, { kind: 'refuse' }> {
  const { app, by, clock } = bench
  const rings = affected(bench, observed).map((ring) => ringOf(observed, ring))
  const reason = options.reason === '' ? 'rollback' : options.reason
  const at = new Date(clock.now()).toISOString()
  const afterRollout = bench.evidence.afterRollout !== null
  const wish = { app, by, reason, id, at, previous: options.to === 'previous', afterRollout }
  const start = startRollback(wish, { rings, rollout: observed.rollout, builds: catalog })
  if (start.kind === 'refuse') throw new FleetError(start.code, start.message)
  return start
}

/** The rings that were named; else those of the last rollout: to roll back is to undo that, and not what runs elsewhere. */
function affected({ rings, ringsNamed }: Bench, { rollout }: Observation) {
  const last = rings.filter((ring) => rollout?.marks?.[ring] !== undefined)
  return ringsNamed || last.length === 0 ? rings : last
}

function rolloutsOf(start: RollbackStart): readonly Rollout[] {
  if (start.kind === 'turn' || start.kind === 'join') return [start.rollout]
  return start.kind === 'reverse' ? start.rollouts : []
}

/** Said before anything is written: what goes back to what, and who must download. */
function previewLines(bench: Bench, start: RollbackStart, { observed }: Facts): readonly string[] {
  return rolloutsOf(start).flatMap(({ build, fallbacks }) =>
    Object.entries(fallbacks).flatMap(([ring, back]) => {
      const view = observed.fleet.rings[ring]
      if (view === undefined) return []
      if (back === null) return [`${ring}: the release of ${build} is ended; nothing ran there before.`]
      const { download, nodes } = previewRing(view, back.build, bench.policy)
      const on = view.nodes.filter(({ status }) => status.hot === build).length
      const moves = on === 0 ? `no node runs ${build} yet` : `${on} of ${counted(nodes, 'node')} back from ${build}`
      const fetches =
        download.length === 0
          ? 'none must download'
          : `${counted(download.length, 'node')} must download (${listed(download)})`
      return [`${ring}: ${moves}; ${back.build} is ordered everywhere, and ${fetches}.`]
    }),
  )
}

function dryRun(bench: Bench, start: RollbackStart, facts: Facts): number {
  const { report, app, policy } = bench
  const rollouts = rolloutsOf(start)
  if (report.json) {
    const rings = rollouts.flatMap(({ build, fallbacks }) =>
      Object.entries(fallbacks).flatMap(([ring, back]) => {
        const view = facts.observed.fleet.rings[ring]
        return view === undefined || back === null
          ? []
          : [{ from: build, to: back.build, ...previewRing(view, back.build, policy) }]
      }),
    )
    report.document({ app, dryRun: true, rings })
    return 0
  }
  if (start.kind === 'already') report.result(`${start.message}.`)
  else report.result('Would roll back:')
  for (const line of previewLines(bench, start, facts)) report.result(`  ${line}`)
  return 0
}

/** The lease, taken from its holder when it is dead or silent; null when a living driver does what was asked. */
async function reach(bench: Bench, options: RollbackOptions, start: RollbackStart, id: string): Promise<Lease | null> {
  const { ports, signal, report, clock } = bench
  const why = options.reason === '' ? '' : `: ${options.reason}`
  const [first] = rolloutsOf(start)
  const note = leaseNote(bench, `rollback${why}`, first?.id ?? null, first?.build ?? null)
  for (let attempt = 0; ; attempt += 1) {
    const holder = await ports.locks.holder(signal)
    try {
      if (holder === null) return await ports.locks.acquire(note, signal)
      if (await askDriver(bench, holder, options, id)) return null
      report.say(`${holder.holder} holds the lease and did not answer: taking it away and writing.`)
      return await ports.locks.fence(holder.session, note, signal)
    } catch (error) {
      // Someone took it in between: ask them in turn.
      if (!isFleetError(error, 'LEASE_HELD') || attempt > 4) throw error
      await clock.sleep(100, signal)
    }
  }
}

/** Decides anew under the lease, then writes and drives until everybody is back. */
async function takeBack(
  bench: Bench,
  lease: Lease,
  options: RollbackOptions,
  progress: Progress,
  id: string,
): Promise<Ending> {
  const { ports, signal, by, clock } = bench
  const facts = await gather(bench)
  const start = decideBack(bench, options, facts, id)
  if (start.kind === 'already') return { exit: 0, lines: [`${start.message}. Nothing was written.`] }
  const world = { ledger: ports.ledger, lease }
  const at = new Date(clock.now()).toISOString()
  const endings: Ending[] = []
  const ended: Rollout[] = []
  let seen = facts.observed.ledger
  for (const rollout of rolloutsOf(start)) {
    const reason = options.reason === '' ? '' : `: ${options.reason}`
    const turn = { type: 'recallBegun', cause: 'operator', outcome: `rolled back by ${by}${reason}` } as const
    if (start.kind === 'turn') {
      await execute(world, seen, { rollout, events: [turn], told: tell(rollout, [turn], by, at), answered: [] }, signal)
    } else if (start.kind === 'reverse') {
      const born = reduceOutcome(rollout, turn.outcome)
      await execute(world, seen, { rollout: born, events: [], told: tell(born, [turn], by, at), answered: [] }, signal)
    }
    const driven = await driveBack(bench, lease, rollout, options, progress)
    ended.push(driven.rollout)
    endings.push(endOfRollback(driven, ringPictures(bench, driven), progress.elapsedMs))
    seen = (await gather(bench)).observed.ledger
  }
  for (const rollout of ended) await payAfter(bench, lease, rollout)
  const exit = Math.max(...endings.map((ending) => ending.exit))
  if (start.kind !== 'reverse' && options.to === 'previous' && exit === 0) {
    // The open rollout is ended; what was asked for is the build before the one that runs now.
    return takeBack(bench, lease, options, progress, rolloutId(clock))
  }
  return { exit, lines: endings.flatMap(({ lines }) => lines) }
}

/** A rollout of the way back, with who turned it back and why. */
export function reduceOutcome(rollout: Rollout, outcome: string): Rollout {
  return reduce(rollout, { type: 'recallBegun', cause: 'operator', outcome })
}

function driveBack(
  bench: Bench,
  lease: Lease,
  rollout: Rollout,
  options: RollbackOptions,
  progress: Progress,
): Promise<Driven> {
  const { app, ports, clock, policy, by, signal } = bench
  const rings = [...new Set([...bench.rings, ...Object.values(rollout.stages).map(({ ring }) => ring)])]
  const driving = {
    ...ports,
    app,
    clock,
    lease,
    policy: { ...policy, allAtOnce: options.now },
    by,
    place: bench.place,
    deadlineMs: clock.monotonic() + options.timeoutMs,
    onTurn: (turn: Parameters<Progress['turn']>[0]) => progress.turn(turn, app),
  }
  if (options.now) bench.report.say('All nodes go back at once (--now): the cap does not count.')
  return drive(driving, rings, signal)
}

/** To a build by name: what a record already goes back to is a plain rollback; anything else is a rollout of its own. */
async function rollbackTo(bench: Bench, options: RollbackOptions, to: string): Promise<number> {
  if (!isBuildId(to)) throw new FleetError('NAME_INVALID', `${JSON.stringify(to)} is not a build id`)
  const { observed } = await gather(bench)
  const plain = { ...options, to: null }
  const open = observed.rollout !== null && !isOver(observed.rollout) ? observed.rollout : null
  const rings = affected(bench, observed).map((ring) => ringOf(observed, ring).standing)
  const backs =
    open === null
      ? rings.map((at) => (at.kind === 'record' ? at.target.fallback : null))
      : Object.values(open.fallbacks).map((ref) => ref?.build ?? null)
  if (backs.every((build) => build === to)) return rollback(bench, plain)
  if (open !== null) {
    const exit = await rollback(bench, plain)
    if (exit !== 0 || options.dryRun) return exit
  }
  const { reason, now, dryRun: dry, timeoutMs } = options
  const said = reason === '' ? `rollback to ${to}` : reason
  return release(bench, {
    build: to,
    reason: said,
    adopt: true,
    restart: false,
    retry: false,
    back: true,
    now,
    force: [],
    emergency: false,
    dryRun: dry,
    timeoutMs,
  })
}
