// Owns what a leader does with a request that begins something: the decisions of `release` and `rollback`, written with their answer.

import { execute, tell } from '#conductor/shell/execute.ts'
import type { Beginner, Begun } from '#conductor/shell/leading.ts'
import { isPassing } from '#conductor/shell/observe.ts'
import { MAX_REASON } from '#conductor/shell/perform.ts'
import { type Answer, tellAnswer } from '#conductor/shell/requests.ts'
import { isName, type Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Lease, Request } from '#fleet/ports.ts'
import { begin, resume } from './begin.ts'
import { decide, guardRestart, guardRoute, type ReleaseOptions, wishOf } from './deciding.ts'
import { isRolloutId, rolloutId } from './lease.ts'
import { checkBypass, forcedBy, sayFindings } from './preflight.ts'
import { decideBack, gather, reduceOutcome } from './rollback.ts'
import type { Bench } from './world.ts'

const NOTHING_BEGUN: Begun = { rollout: null, atOnce: false, later: [] }

/** Begins what requests ask for, as the command line would by itself, in the name of whoever asked. */
export function beginnerOf(bench: Bench): Beginner {
  return async (request, lease, signal) => {
    const asker = askerOf({ ...bench, signal }, request)
    try {
      if (asker instanceof FleetError) throw asker
      return request.verb === 'rollback' ? await back(asker, lease, request) : await forth(asker, lease, request)
    } catch (error) {
      // Consul is away or somebody was first: it is tried again for as long as its asker waits.
      if (!isFleetError(error) || isFleetError(error, 'LEASE_LOST') || isPassing(error)) throw error
      const { code, message: outcome } = error as FleetError
      const answer: Answer = { outcome, result: 'refused', code }
      await only({ ...bench, signal }, lease, request, answer, null)
      return NOTHING_BEGUN
    }
  }
}

/** The bench as of the asker: their name, and the rings that they named. */
function askerOf(bench: Bench, { by, args }: Request): Bench | FleetError {
  const { rings = [], reason = '' } = args
  if (!Array.isArray(rings) || !rings.every((ring) => typeof ring === 'string' && isName(ring)))
    return new FleetError('USAGE', 'the rings are no names')
  if (typeof reason !== 'string' || reason.length > MAX_REASON)
    return new FleetError('USAGE', `a reason has at most ${MAX_REASON} characters`)
  const named = rings as readonly Name[]
  const asker = { ...bench, by: by.slice(0, 100) }
  return named.length === 0 ? asker : { ...asker, rings: named, ringsNamed: true }
}

async function forth(bench: Bench, lease: Lease, request: Request): Promise<Begun> {
  const options = optionsIn(request)
  checkBypass(options, bench)
  const start = await decide(bench, options, wishOf(bench, options, options.id ?? rolloutId(bench.clock)))
  const at = new Date(bench.clock.now()).toISOString()
  if (start.kind === 'already') {
    await only(bench, lease, request, { outcome: `${start.build} is ordered already`, result: 'already' }, null)
    return NOTHING_BEGUN
  }
  guardRestart(bench, start, options)
  guardRoute(bench, start)
  const along = (id: string, answer: Answer) => ({
    told: [tellAnswer(request, answer, id, at)],
    answered: [request.id],
  })
  if (start.kind === 'resume') {
    const { id, build } = start.rollout
    const outcome = `rollout ${id} of ${build} is under way`
    await resume(bench, lease, start, along(id, { outcome, result: 'already' }))
    return { rollout: id, atOnce: options.now, later: [] }
  }
  const { id, build } = start.beginning
  sayFindings(bench, start.findings, forcedBy(options))
  const answer: Answer = { outcome: `rollout ${id} of ${build} has begun`, result: 'done' }
  await begin(bench, lease, start, options.emergency, along(id, answer))
  return { rollout: id, atOnce: options.now, later: [] }
}

async function back(bench: Bench, lease: Lease, request: Request): Promise<Begun> {
  const { clock, by, ports, signal } = bench
  const { reason, now, id } = optionsIn(request)
  const to = request.args.to === 'previous' ? 'previous' : null
  const facts = await gather(bench)
  const options = { to, now, reason, dryRun: false, timeoutMs: 0 }
  const start = decideBack(bench, options, facts, id ?? rolloutId(clock))
  const at = new Date(clock.now()).toISOString()
  if (start.kind === 'already') {
    await only(bench, lease, request, { outcome: start.message, result: 'already' }, null)
    return NOTHING_BEGUN
  }
  const [first, ...later] = start.kind === 'reverse' ? start.rollouts : []
  // A rollout was opened meanwhile: whoever drives it turns it back.
  if (first === undefined) return NOTHING_BEGUN
  const outcome = `rolled back by ${by}${reason === '' ? '' : `: ${reason}`}`
  const turn = { type: 'recallBegun', cause: 'operator', outcome } as const
  const born = reduceOutcome(first, outcome)
  const answer: Answer = { outcome: 'rolling back', result: 'done' }
  const told = [...tell(born, [turn], by, at), tellAnswer(request, answer, born.id, at)]
  const deed = { rollout: born, events: [], told, answered: [request.id] }
  await execute({ ledger: ports.ledger, lease }, facts.observed.ledger, deed, signal)
  return { rollout: born.id, atOnce: now, later: later.map((one) => reduceOutcome(one, outcome)) }
}

/** Nothing but the answer. */
async function only(
  { ports, rings, clock, signal }: Bench,
  lease: Lease,
  request: Request,
  answer: Answer,
  rollout: string | null,
): Promise<void> {
  const seen = await ports.ledger.view(rings, signal)
  const told = [tellAnswer(request, answer, rollout, new Date(clock.now()).toISOString())]
  const deed = { rollout: null, events: [], told, answered: [request.id] }
  await execute({ ledger: ports.ledger, lease }, seen, deed, signal)
}

/** Anybody may leave a request: what is not of its kind counts as left out. */
function optionsIn({ args }: Request): ReleaseOptions {
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  const is = (name: string): boolean => args[name] === true
  const { id, supersedes, force } = args
  return {
    build: text(args.build),
    reason: text(args.reason) ?? '',
    adopt: is('adopt'),
    restart: is('restart'),
    retry: is('retry'),
    now: is('now'),
    back: is('back'),
    emergency: is('emergency'),
    id: typeof id === 'string' && isRolloutId(id) ? id : null,
    supersedes: typeof supersedes === 'string' && isRolloutId(supersedes) ? supersedes : null,
    force: Array.isArray(force) ? force.filter((name) => typeof name === 'string').slice(0, 50) : [],
    dryRun: false,
    timeoutMs: 0,
  }
}
