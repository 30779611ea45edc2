// Owns what a driver does with the requests it finds: executes and answers them in one transaction, in its own words in the history.

import { isVerb, judge } from '#conductor/core/legality.ts'
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Decision } from '#conductor/core/verbs.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import type { Ledger, Request } from '#fleet/ports.ts'
import { type Deed, type Told, tell } from './execute.ts'
import type { Observation } from './observe.ts'
import { consider, deedOf, MAX_REASON, wishOf } from './perform.ts'

/** Name of the history entry that answers a request; its facts carry the request's id and the answer. */
export const ANSWERED = 'request-answered'

/** What a request was answered: in words, what came of it, and the code of a refusal. */
export interface Answer {
  readonly outcome: string
  readonly result: 'done' | 'already' | 'refused'
  readonly code?: ErrorCode
}

interface Answered {
  readonly deed: Deed
  readonly policy: Policy
}

/** Whether a request is one to begin a rollout as things stand: one who leads begins it, one who drives has a rollout in hand. */
export function begins({ verb }: Request, { rollout }: Observation): boolean {
  return verb === 'release' || (verb === 'rollback' && (rollout === null || rollout.endedAt !== null))
}

export const none = (): boolean => false

/** @param leaves requests that are somebody else's to answer. @returns deed and policy after the oldest request, or null when there is none */
export async function answerRequests(
  ledger: Ledger,
  observed: Observation,
  policy: Policy,
  at: string,
  signal: AbortSignal,
  leaves: (request: Request, observed: Observation) => boolean = none,
): Promise<Answered | null> {
  const [found] = observed.ledger.requests
  if (found === undefined || (leaves(found, observed) && found.expires >= at)) return null
  const request = tamed(found)
  const only = (answer: Answer): Answered => ({
    deed: { rollout: null, events: [], told: [told(request, observed, answer, at)], answered: [request.id] },
    policy,
  })
  const { verb } = request
  if (request.expires < at) return only({ outcome: 'expired', result: 'refused' })
  if (!isVerb(verb)) return only({ outcome: 'unknown verb', result: 'refused' })
  if (verb === 'release') return only(busy(observed))
  if (verb === 'rollback')
    return turnBack(request, observed, policy, at) ?? only({ outcome: 'nothing is under way', result: 'refused' })
  const wish = wishOf(verb, request, at)
  if (typeof wish === 'string') return only({ outcome: wish, result: 'refused', code: 'USAGE' })
  const decision = await consider(ledger, observed, wish, signal)
  const answer = answerOf(decision)
  if (decision.kind !== 'do') return only(answer)
  const deed = deedOf(decision, observed.rollout, request.by, at)
  return {
    deed: { ...deed, told: [...deed.told, told(request, observed, answer, at)], answered: [request.id] },
    policy,
  }
}

/** A driver that is asked to release has a rollout of its own in hand, whatever the request names. */
function busy({ rollout }: Observation): Answer {
  const ruling = judge('release', rollout)
  const outcome = ruling.kind === 'refuse' ? ruling.message : 'the rollout in hand ends now'
  return { outcome, result: 'refused', code: 'ROLLOUT_OPEN' }
}

export function answerOf(decision: Decision): Answer {
  if (decision.kind === 'do') return { outcome: decision.message, result: 'done' }
  if (decision.kind === 'already') return { outcome: decision.message, result: 'already' }
  return { outcome: decision.message, result: 'refused', code: decision.code }
}

/** Anybody may leave a request: what is too long for the records that tell of it is cut, and ends no driver. */
function tamed({ verb, by, args, ...request }: Request): Request {
  const { reason } = args
  const kept =
    verb === 'rollback' && typeof reason === 'string' ? { ...args, reason: reason.slice(0, MAX_REASON) } : args
  return { ...request, verb: verb.slice(0, 40), by: by.slice(0, 100), args: kept }
}

function told(request: Request, { rollout }: Observation, answer: Answer, at: string): Told {
  return tellAnswer(request, answer, rollout?.id ?? null, at)
}

/** The entry of the history that answers a request. @param rollout id of the one that it is about */
export function tellAnswer(request: Request, answer: Answer, rollout: string | null, at: string): Told {
  const { id, verb, by } = tamed(request)
  const outcome = answer.outcome.slice(0, 1_000)
  return { at, by, event: ANSWERED, facts: { request: id.slice(0, 100), verb, ...answer, outcome, rollout } }
}

/** Null when there is nothing that this driver could turn back. */
function turnBack(request: Request, observed: Observation, policy: Policy, at: string): Answered | null {
  const { rollout } = observed
  const ruling = judge('rollback', rollout)
  // The table allows it after the end too: that is a rollout of its own, for whoever takes the lease next.
  if (rollout === null || rollout.endedAt !== null || ruling.kind === 'refuse') return null
  const next = { ...policy, allAtOnce: policy.allAtOnce || request.args.now === true }
  const turned = ruling.kind === 'allowed'
  const events = turned ? [recallBegun(request)] : []
  const answer: Answer = turned ? { outcome: 'rolling back', result: 'done' } : { outcome: 'joined', result: 'already' }
  const said = [...tell(rollout, events, request.by, at), told(request, observed, answer, at)]
  return { deed: { rollout: turned ? rollout : null, events, told: said, answered: [request.id] }, policy: next }
}

function recallBegun(request: Request): RolloutEvent {
  const reason = typeof request.args.reason === 'string' && request.args.reason !== '' ? `: ${request.args.reason}` : ''
  return { type: 'recallBegun', cause: 'operator', outcome: `rolled back by ${request.by}${reason}` }
}
