// Owns what a release decides on before it writes: what was asked, what stands, what the pre-flight found, and what refuses it.
import { type Refusal, type ReleaseStart, type ReleaseWish, startRelease } from '#conductor/core/beginning.ts'
import type { Finding } from '#conductor/core/preflight.ts'
import { fastRoute, prestageOf, stagesOf, unfitRoute } from '#conductor/core/route.ts'
import { capOf, policyIn } from '#conductor/core/standing.ts'
import { type Observation, observe, ringOf } from '#conductor/shell/observe.ts'
import { isBuildId } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { forcedBy, lookAhead, refuseUnless } from './preflight.ts'
import type { Bench } from './world.ts'

export interface ReleaseOptions {
  readonly build: string | null
  readonly reason: string
  readonly adopt: boolean
  readonly restart: boolean
  readonly retry: boolean
  /** Take every node at once, whatever `maxUnavailable` says. */
  readonly now: boolean
  /** Id that a new rollout is to have; null or left out: one of its own. */
  readonly id?: string | null
  /** Queue behind an open rollout. */
  readonly wait?: boolean
  /** Take the lease from whoever holds it. */
  readonly takeOver?: boolean
  /**
   * The way back of `rollback --to`: no shares, no soaks, no tests, every ring staged from the start; what stands in a release's way does not
   * stand in its.
   */
  readonly back?: boolean
  /** Checks to go past by name, and gates and windows all at once. */
  readonly force: readonly string[]
  readonly emergency: boolean
  /** Id of the rollout that was recalled to make way for this one. */
  readonly supersedes?: string | null
  readonly dryRun: boolean
  readonly timeoutMs: number
}

export type Decided = Exclude<ReleaseStart, Refusal> & {
  readonly observed: Observation
  readonly catalog: readonly CatalogEntry[]
  /** What the pre-flight found; empty where no rollout would begin. */
  readonly findings: readonly Finding[]
}

/** @param id of the rollout, should one begin. @throws FleetError `NAME_INVALID` */
export function wishOf(bench: Bench, options: ReleaseOptions, id: string): ReleaseWish {
  const { app, by, clock, evidence, rings } = bench
  const { build, reason, adopt, restart, retry, back = false, supersedes = null } = options
  if (build !== null && !isBuildId(build))
    throw new FleetError('NAME_INVALID', `${JSON.stringify(build)} is not a build id`)
  const at = new Date(clock.now()).toISOString()
  const route = back ? fastRoute(rings) : bench.route
  const way = { stages: stagesOf(route, rings), prestage: prestageOf(route, rings), back }
  const { required, afterRollout } = evidence
  const more = { force: forcedBy(options), required, afterRollout: afterRollout !== null, supersedes }
  return { app, build, by, reason, adopt, restart, retry, id, at, ...way, ...more }
}

/** @throws FleetError with what refuses it */
export async function decide(bench: Bench, options: ReleaseOptions, wish: ReleaseWish): Promise<Decided> {
  const { app, rings, policy, ports, signal } = bench
  const { force: forced = [], id } = wish
  const observed = await observe(ports, { app, rings, policy }, signal)
  const catalog = await ports.catalog.list(signal)
  const views = rings.map((ring) => ringOf(observed, ring))
  const line = observed.fleet.line ?? []
  const start = startRelease(wish, { rings: views, rollout: observed.rollout, builds: catalog, line })
  if (start.kind === 'refuse') throw new FleetError(start.code, start.message)
  if (start.kind === 'begin' && observed.rollout?.id === id) {
    throw new FleetError('USAGE', `--as ${id}: there was such a rollout already; conduct plan names another id`)
  }
  if (start.kind === 'resume' && forced.length > 0) {
    const fact = `rollout ${start.rollout.id} of ${start.rollout.build} is open already`
    throw new FleetError('ROLLOUT_OPEN', `${fact}: what it goes past was settled when it began`)
  }
  const checked = start.kind === 'begin' && options.back !== true
  const findings = checked ? await lookAhead(bench, start.beginning, { observed, builds: catalog }) : []
  if (start.kind === 'begin' && !options.dryRun) refuseUnless(bench, start.beginning.build, findings, forced)
  return { ...start, observed, catalog, findings }
}

/** A plan that cannot end in its slot is not begun. One that is open goes on. */
export function guardRoute(bench: Bench, start: Decided): void {
  if (start.kind !== 'begin') return
  const unfit = unfitRoute(start.beginning.stages, bench.route)
  if (unfit !== null) throw new FleetError('PLAN_UNFIT', `${unfit}; nothing was written`)
}

/** A restart of what runs is one order to the whole ring: it must fit the cap, or be asked for by name. */
export function guardRestart(bench: Bench, start: Decided, options: ReleaseOptions): void {
  if (start.kind !== 'begin' || !options.restart || options.now) return
  for (const ring of bench.rings) {
    const { standing, nodes } = ringOf(start.observed, ring)
    const runs = standing.kind === 'record' && standing.target.build === start.beginning.build
    const cap = capOf(policyIn(bench.policy, ring), nodes.length)
    if (!runs || nodes.length <= cap) continue
    const fact = `a restart of ${start.beginning.build} takes all ${nodes.length} nodes of ${ring} at once, and ${cap} may be out of service`
    throw new FleetError('CAP_EXCEEDED', `${fact}; nothing was written`)
  }
}
