// Owns how a release begins: a new rollout, the open one resumed, nothing to do, or a refusal with the fact that refuses it.
import type { BuildId, Name } from '#fleet/build.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import { holdsOn, type LineHold } from '#fleet/hold.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef, Rollout, Stage } from '#fleet/rollout.ts'
import { ALL } from '#fleet/target.ts'
import { describeAbandoned, isAbandoned, takeUp } from './abandoned.ts'
import { forceIn, isBeyondUs, isForeign, isRegressed, runningUnder } from './force.ts'
import { goodAt } from './good.ts'
import { judge, ORPHAN } from './legality.ts'
import { expectedTarget, nextGeneration, orderOf } from './orders.ts'
import { describeHolds, describeStanding, isOurs } from './ownership.ts'
import { type Beginning, beginRollout, isOver, type RolloutEvent } from './reduce.ts'
import { isSettled, type RingView } from './standing.ts'

/** What a person asked for. */
export interface ReleaseWish {
  readonly app: Name
  /** Null: the newest build that may be released. */
  readonly build: BuildId | null
  readonly by: string
  readonly reason: string
  readonly adopt: boolean
  readonly restart: boolean
  /** Once more where nodes refused the build. */
  readonly retry: boolean
  /** The plan's stages for the rings; each ring at once when left out. */
  readonly stages?: readonly Stage[]
  /** When each ring may be staged at the earliest. */
  readonly prestage?: NonNullable<Rollout['prestage']>
  /** On behalf of `rollback --to`: no hold of the line stops it. */
  readonly back?: boolean
  /** Id and time of a rollout, should one begin. */
  readonly id: string
  readonly at: string
  /** Checks that are gone past by name. */
  readonly force?: readonly string[]
  /** Checks that a build must have passed to be taken without being named. */
  readonly required?: readonly string[]
  /** Id of the rollout that was recalled to make way for this one. */
  readonly supersedes?: string | null
  /** A command is owed to the end of the rollout. */
  readonly afterRollout?: boolean
}

export interface ReleaseFacts {
  /** In the order of the plan. */
  readonly rings: readonly RingView[]
  readonly rollout: Rollout | null
  /** Newest first. */
  readonly builds: readonly CatalogEntry[]
  /** Holds of the line; left out: none. */
  readonly line?: readonly LineHold[]
}

export interface Refusal {
  readonly kind: 'refuse'
  readonly code: ErrorCode
  readonly message: string
}

export type ReleaseStart =
  /** `takesUp`: its first orders, where an aborted rollout of the build left a ring. */
  | {
      readonly kind: 'begin'
      readonly beginning: Beginning
      readonly takesUp: readonly RolloutEvent[]
      /** When its build was published, ISO 8601. */
      readonly published: string
    }
  /** `adopts`: what puts it back over orders of others, with the operator's word. */
  | { readonly kind: 'resume'; readonly rollout: Rollout; readonly adopts: readonly RolloutEvent[] }
  | { readonly kind: 'already'; readonly build: BuildId }
  | Refusal

const refuse = (code: ErrorCode, message: string): Refusal => ({ kind: 'refuse', code, message })

export function startRelease(wish: ReleaseWish, facts: ReleaseFacts): ReleaseStart {
  const returning = stillReturning(wish, facts)
  if (returning !== null) return returning
  const entry = chooseBuild(wish, facts)
  if ('kind' in entry) return entry
  const open = facts.rollout !== null && !isOver(facts.rollout) ? facts.rollout : null
  if (open !== null) return resumeOr(open, entry, wish, facts)
  const trouble = facts.rings.map((view) => unfit(view, facts, wish, entry)).find((found) => found !== null)
  if (trouble) return trouble
  const there = facts.rings.every((view) => runsAlready(view, entry.build))
  if (there && !wish.restart && !wish.retry) return { kind: 'already', build: entry.build }
  const stopped = stoppedLine(wish, facts)
  if (stopped !== null) return stopped
  const beginning = beginningOf(wish, facts, entry)
  const rollout = beginRollout(beginning)
  const last = facts.rollout
  const left = facts.rings.filter((view) => isAbandoned(view, last))
  const takesUp = last === null ? [] : left.flatMap((view) => takeUp(rollout, last, view, Date.parse(wish.at)))
  return { kind: 'begin', beginning, takesUp, published: entry.createdAt }
}

/** Before the quarantine that the way back brings along: who releases the build again is told of the rollback, which goes on. */
function stillReturning({ build }: ReleaseWish, { rollout }: ReleaseFacts): Refusal | null {
  if (rollout === null || rollout.phase !== 'recalling' || rollout.build !== build) return null
  const ruling = judge('release', rollout)
  const why = rollout.outcome === null ? '' : ` (${rollout.outcome})`
  return ruling.kind === 'refuse' ? refuse(ruling.code, `${ruling.message}${why}; ${build} was not started`) : null
}

/** Nothing begins while every ring that it is about is stopped; a ring further on is waited for when its turn comes. */
function stoppedLine({ at, back }: ReleaseWish, { rings, line = [] }: ReleaseFacts): Refusal | null {
  const held = rings.map(({ ring }) => holdsOn(line, ring, Date.parse(at)))
  if (back === true || held.length === 0 || held.some((holds) => holds.length === 0)) return null
  const holds = [...new Set(held.flat())]
  return refuse('ON_HOLD', `${describeHolds(holds)}; nothing was written`)
}

/**
 * The newest build that may be released: past those that have not passed what is required, but never past one that is ordered already. When
 * none has passed, the newest is taken, so that the refusal says what it lacks.
 */
function newestEligible({ required = [], force = [] }: ReleaseWish, { builds, rings }: ReleaseFacts) {
  const free = builds.filter(({ quarantine }) => quarantine === null)
  const lacks = ({ checks }: CatalogEntry) =>
    required.some((name) => checks[name] !== 'passed' && !force.includes(name))
  const ordered = ({ build }: CatalogEntry) => rings.some((view) => runsAlready(view, build))
  return free.find((entry) => !lacks(entry) || ordered(entry)) ?? free[0]
}

export function chooseBuild(wish: ReleaseWish, facts: ReleaseFacts): CatalogEntry | Refusal {
  const { builds } = facts
  if (wish.build === null) {
    const newest = newestEligible(wish, facts)
    if (newest !== undefined) return newest
    const why = builds.length === 0 ? 'nothing is published yet' : 'every published build is under quarantine'
    return refuse('NO_ELIGIBLE_BUILD', why)
  }
  const entry = builds.find(({ build }) => build === wish.build)
  if (entry === undefined) return refuse('BUILD_UNKNOWN', `${wish.build} is not in the catalog of ${wish.app}`)
  if (entry.quarantine !== null) {
    const { by, reason } = entry.quarantine
    return refuse('BUILD_QUARANTINED', `${entry.build} is under quarantine by ${by}: ${reason}`)
  }
  return entry
}

function resumeOr(open: Rollout, entry: CatalogEntry, wish: ReleaseWish, facts: ReleaseFacts): ReleaseStart {
  const ruling = judge('release', open)
  if (ruling.kind === 'refuse' && (open.phase === 'recalling' || open.build !== entry.build)) {
    return refuse(ruling.code, `${ruling.message}; ${entry.build} was not started`)
  }
  if (open.hold !== null && !wish.adopt) {
    const { by, code, reason } = open.hold
    if (code === ORPHAN) return refuse('ORPHAN_WRITE', reason)
    return refuse('ROLLOUT_STOPPED', `rollout ${open.id} of ${open.build} is stopped by ${by}: ${reason}`)
  }
  return { kind: 'resume', rollout: open, adopts: wish.adopt ? adoption(open, facts.rings, wish.at) : [] }
}

/** Writes the orders of an open rollout again, above what someone else put in their place. */
function adoption(open: Rollout, rings: readonly RingView[], at: string): readonly RolloutEvent[] {
  const lost = rings.flatMap((view): readonly RolloutEvent[] => {
    const mark = open.marks?.[view.ring]
    if (mark === undefined || isOurs(open, view)) return []
    const stamped = { generation: nextGeneration(open, view), at }
    const order = orderOf('rewrite', view, { ...expectedTarget(open, view, mark), ...stamped }, [])
    return [{ type: 'ordered', order, prior: mark.prior }]
  })
  return open.hold === null ? lost : [{ type: 'unheld' }, ...lost]
}

/** Why a ring cannot be released to as it stands. */
function unfit(view: RingView, facts: ReleaseFacts, { adopt }: ReleaseWish, entry: CatalogEntry): Refusal | null {
  const { ring, standing, nodes } = view
  const { rollout, builds } = facts
  if (isAbandoned(view, rollout) && nodes.length > 0) {
    if (rollout.build === entry.build) return null
    const ways = `conduct rollback takes it back, conduct release ${rollout.build} goes on with it`
    return refuse('RING_PARTIAL', `${describeAbandoned(view, rollout)}: ${ways}; nothing was written`)
  }
  const known = rollout !== null && ring in rollout.fallbacks
  if (standing.kind === 'gone' && !known && nodes.length === 0) {
    return refuse('NOT_INITIALISED', `conduct init --ring ${ring} creates it`)
  }
  if (nodes.length === 0) return refuse('RING_EMPTY', `no node of ${ring} has ever reported`)
  const force = forceIn(view, rollout, builds)
  if (adopt && force !== null && force.cutoff > 0 && force.cutoff < ALL) {
    // A third build in a ring that runs two already could not be told apart from either by anybody.
    return refuse('ORPHAN_WRITE', `${ring} runs ${force.build.build} in part: conduct rollback settles it first`)
  }
  if (adopt) return null
  if (standing.kind === 'gone' && !known) return refuse('NOT_INITIALISED', `conduct init --ring ${ring} creates it`)
  if (standing.kind !== 'record') {
    return refuse('ORPHAN_WRITE', `${describeStanding(view)}; nothing was written`)
  }
  if (isRegressed(view, rollout)) {
    return refuse('ORPHAN_WRITE', `${describeStanding(view)}, below what nodes accepted already; nothing was written`)
  }
  if (isForeign(view, rollout)) return refuse('ORPHAN_WRITE', `${describeStanding(view)}; nothing was written`)
  if (!isSettled(standing.target)) {
    return refuse(
      'ORPHAN_WRITE',
      `${describeStanding(view)} for a part of the ring, and no rollout is open; nothing was written`,
    )
  }
  return null
}

function runsAlready({ standing }: RingView, build: BuildId): boolean {
  return standing.kind === 'record' && isSettled(standing.target) && standing.target.build === build
}

function beginningOf(wish: ReleaseWish, facts: ReleaseFacts, entry: CatalogEntry): Beginning {
  const rings = facts.rings.map((view) => {
    const last = facts.rollout
    if (isAbandoned(view, last)) return { ring: view.ring, there: false, back: last.fallbacks[view.ring] ?? null }
    // Without a fallback nobody is asked to leave what it runs before its turn.
    const beyond = isBeyondUs(view, facts.rollout, facts.builds)
    const force = beyond ? null : forceIn(view, facts.rollout, facts.builds)
    const ordered = beyond ? null : (runningUnder(force) ?? mostRun(view, facts))
    const running = ordered !== null && isStillborn(view, ordered, facts) ? null : ordered
    const there = running?.build === entry.build && (force?.cutoff ?? 0) === ALL
    // Where the build runs already, the way back is the one that it has.
    return {
      ring: view.ring,
      there: there && !runsAlready(view, entry.build),
      back: there ? (force?.fallback ?? null) : running,
    }
  })
  return {
    app: wish.app,
    id: wish.id,
    build: entry.build,
    manifest: entry.manifest,
    by: wish.by,
    reason: wish.reason,
    at: wish.at,
    stages: wish.stages ?? facts.rings.map(({ ring }) => ({ ring, share: 100 })),
    prestage: Object.fromEntries(
      rings.filter(mayStageEarly(wish, facts)).map(({ ring }) => [ring, whenOf(wish, ring)]),
    ),
    fallbacks: Object.fromEntries(rings.map(({ ring, back }) => [ring, back])),
    attempt: wish.retry ? 1 + highestAttempt(facts.rings) : 1,
    activation: wish.restart ? wish.id : null,
    adopt: wish.adopt,
    generations: facts.rollout?.generations ?? {},
    there: rings.filter(({ there }) => there).map(({ ring }) => ring),
    forced: wish.force ?? [],
    supersedes: wish.supersedes ?? null,
    afterRollout: wish.afterRollout ?? false,
    ...(wish.back === true && { back: true }),
  }
}

const whenOf = ({ prestage = {} }: ReleaseWish, ring: Name) => prestage[ring] ?? 'previous'

/** Where what runs now has proved good: else the older build in cold may be needed yet, and is not given up before it must be. */
function mayStageEarly({ force = [] }: ReleaseWish, { builds }: ReleaseFacts) {
  return ({ ring, there, back }: { ring: Name; there: boolean; back: BuildRef | null }): boolean => {
    const entry = builds.find(({ build }) => build === back?.build)
    const proved = back === null || (entry !== undefined && goodAt(entry, ring) !== null)
    return !there && (proved || force.includes('soak'))
  }
}

/** Ordered, failed before it ever was good here, and run by nobody: no way back leads there. */
function isStillborn({ ring, nodes }: RingView, { build }: BuildRef, { builds }: ReleaseFacts): boolean {
  const entry = builds.find((known) => known.build === build)
  const failed = entry !== undefined && entry.quarantine !== null && entry.good[ring] === undefined
  const runs = nodes.filter(({ status }) => status.hot === build && status.phase !== 'parked')
  return failed && runs.every(({ status }) => status.refusal?.build === build)
}

/** When no record tells what ran: what most nodes say they run, if its manifest is known. */
function mostRun(view: RingView, { builds }: ReleaseFacts): BuildRef | null {
  if (view.standing.kind === 'record') return null
  const ran = builds.map((entry) => ({
    entry,
    count: view.nodes.filter(({ status }) => status.hot === entry.build).length,
  }))
  const most = ran.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count)[0]
  return most === undefined ? null : { build: most.entry.build, manifest: most.entry.manifest }
}

function highestAttempt(rings: readonly RingView[]): number {
  const said = rings.flatMap(({ nodes, standing }) => [
    ...nodes.map(({ status }) => status.attempt),
    standing.kind === 'record' ? standing.target.attempt : 1,
  ])
  return Math.max(1, ...said)
}
