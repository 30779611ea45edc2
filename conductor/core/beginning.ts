// Owns how a release begins: a new rollout, the open one resumed, nothing to do, or a refusal with the fact that refuses it.
import type { BuildId, Name } from '#fleet/build.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef, Rollout } from '#fleet/rollout.ts'
import { ALL } from '#fleet/target.ts'
import { forceIn, isForeign, isRegressed, runningUnder } from './force.ts'
import { expectedTarget, nextGeneration, orderOf } from './orders.ts'
import { describeStanding, isOurs } from './ownership.ts'
import { type Beginning, isOver, type RolloutEvent } from './reduce.ts'
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
  /** Once more where nodes refused the build, or where it is under quarantine. */
  readonly retry: boolean
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
}

export interface Refusal {
  readonly kind: 'refuse'
  readonly code: ErrorCode
  readonly message: string
}

export type ReleaseStart =
  | { readonly kind: 'begin'; readonly beginning: Beginning }
  /** `adopts`: what puts it back over orders of others, with the operator's word. */
  | { readonly kind: 'resume'; readonly rollout: Rollout; readonly adopts: readonly RolloutEvent[] }
  | { readonly kind: 'already'; readonly build: BuildId }
  | Refusal

const refuse = (code: ErrorCode, message: string): Refusal => ({ kind: 'refuse', code, message })

export function startRelease(wish: ReleaseWish, facts: ReleaseFacts): ReleaseStart {
  const entry = chooseBuild(wish, facts)
  if ('kind' in entry) return entry
  const open = facts.rollout !== null && !isOver(facts.rollout) ? facts.rollout : null
  if (open !== null) return resumeOr(open, entry, wish, facts)
  const trouble = facts.rings.map((view) => unfit(view, facts, wish.adopt)).find((found) => found !== null)
  if (trouble) return trouble
  const there = facts.rings.every((view) => runsAlready(view, entry.build))
  if (there && !wish.restart && !wish.retry) return { kind: 'already', build: entry.build }
  return { kind: 'begin', beginning: beginningOf(wish, facts, entry) }
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
  if (entry.quarantine !== null && !wish.retry) {
    const { by, reason } = entry.quarantine
    return refuse('BUILD_QUARANTINED', `${entry.build} is under quarantine by ${by}: ${reason}`)
  }
  return entry
}

function resumeOr(open: Rollout, entry: CatalogEntry, wish: ReleaseWish, facts: ReleaseFacts): ReleaseStart {
  const what = `rollout ${open.id} of ${open.build} by ${open.by} is open (${open.phase})`
  if (open.phase === 'recalling') {
    return refuse('ROLLOUT_OPEN', `${what}: it is being rolled back; conduct rollback brings that to its end`)
  }
  if (open.build !== entry.build) {
    const ways = `conduct release ${open.build} goes on with it, conduct rollback ends it`
    return refuse('ROLLOUT_OPEN', `${what}: ${ways}; ${entry.build} was not started`)
  }
  if (open.hold !== null && !wish.adopt) {
    const { by, code, reason } = open.hold
    if (code === 'orphan-write') return refuse('ORPHAN_WRITE', reason)
    return refuse('ROLLOUT_OPEN', `${what} and held by ${by}: ${reason}`)
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
function unfit(view: RingView, facts: ReleaseFacts, adopt: boolean): Refusal | null {
  const { ring, standing, nodes } = view
  const { rollout, builds } = facts
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
    const force = forceIn(view, facts.rollout, facts.builds)
    const ordered = runningUnder(force) ?? mostRun(view, facts)
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
    stages: facts.rings.map(({ ring }) => ({ ring, share: 100 })),
    fallbacks: Object.fromEntries(rings.map(({ ring, back }) => [ring, back])),
    attempt: wish.retry ? 1 + highestAttempt(facts.rings) : 1,
    activation: wish.restart ? wish.id : null,
    adopt: wish.adopt,
    generations: facts.rollout?.generations ?? {},
    there: rings.filter(({ there }) => there).map(({ ring }) => ring),
    forced: wish.force ?? [],
    supersedes: wish.supersedes ?? null,
    afterRollout: wish.afterRollout ?? false,
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
