// Owns what a driver does with the requests it finds: executes and answers them in one transaction, in its own words in the history.

import { isOver, type RolloutEvent } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Request } from '#fleet/ports.ts'
import { type Deed, type Told, tell } from './execute.ts'
import type { Observation } from './observe.ts'

/** Name of the history entry that answers a request; its facts carry the request's id and the answer. */
export const ANSWERED = 'request-answered'

/** Deed and policy after the oldest request, or null when there is none. */
export function answerRequests(
  observed: Observation,
  policy: Policy,
  at: string,
): { deed: Deed; policy: Policy } | null {
  const [request] = observed.ledger.requests
  const { rollout } = observed
  if (request === undefined) return null
  const answer = (outcome: string): Told => ({
    at,
    by: request.by,
    event: ANSWERED,
    facts: { request: request.id, verb: request.verb, outcome, rollout: rollout?.id ?? null },
  })
  const only = (outcome: string) => ({
    deed: { rollout: null, events: [], told: [answer(outcome)], answered: [request.id] },
    policy,
  })
  if (request.expires < at) return only('expired')
  if (request.verb === 'release') return only('refused, another rollout is under way')
  if (request.verb !== 'rollback') return only('unknown verb')
  if (rollout === null || isOver(rollout)) return only('nothing is under way')
  const allAtOnce = policy.allAtOnce || request.args.now === true
  if (rollout.phase === 'recalling') return { ...only('joined'), policy: { ...policy, allAtOnce } }
  const events = [turnBack(request)]
  const told = [...tell(rollout, events, request.by, at), answer('rolling back')]
  return { deed: { rollout, events, told, answered: [request.id] }, policy: { ...policy, allAtOnce } }
}

function turnBack(request: Request): RolloutEvent {
  const reason = typeof request.args.reason === 'string' && request.args.reason !== '' ? `: ${request.args.reason}` : ''
  return { type: 'recallBegun', cause: 'operator', outcome: `rolled back by ${request.by}${reason}` }
}
