// Owns carrying out a verb under the lease: reads the key that it is about, lets the core decide, and makes one deed of what came of it.

import { reduce } from '#conductor/core/reduce.ts'
import { asideOf, type Decision, decideVerb, type VerbWish } from '#conductor/core/verbs.ts'
import { isBuildId, isName, type Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Ledger, Request } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { writeRollout } from '#fleet/wire.ts'
import { type Deed, tell } from './execute.ts'
import type { Observation } from './observe.ts'

/** A reason longer than this would crowd the records that carry it. */
export const MAX_REASON = 500
const MAX_NAMES = 50

/** What a verb does as things stand. @throws FleetError of kind transient or refused by Consul */
export async function consider(
  ledger: Ledger,
  observed: Observation,
  wish: VerbWish,
  signal: AbortSignal,
): Promise<Decision> {
  const { rollout, fleet } = observed
  const key = asideOf(wish, rollout)
  const aside = key === null ? null : await ledger.peek(key, signal)
  try {
    const decision = decideVerb(wish, { rollout, fleet, aside })
    if (decision.kind === 'do' && rollout !== null) writeRollout(decision.events.reduce(reduce, rollout))
    return decision
  } catch (error) {
    // A record that would be too large is found by writing it: it is refused here, and must not end a driver that was merely asked.
    if (!(error instanceof FleetError)) throw error
    return { kind: 'refuse', code: error.code, message: error.message }
  }
}

/** A decision as one transaction. */
export function deedOf(
  decision: Extract<Decision, { kind: 'do' }>,
  rollout: Rollout | null,
  by: string,
  at: string,
): Deed {
  const { events, noted, aside } = decision
  const befalls = rollout !== null && events.length > 0 ? rollout : null
  const told = befalls === null ? [] : tell(befalls, events, by, at)
  const more = noted.map(({ event, facts }) => ({ at, by, event, facts }))
  return { rollout: befalls, events, told: [...more, ...told], answered: [], aside }
}

/** A request's arguments as a wish, or what is wrong with them. */
export function wishOf(
  verb: VerbWish['verb'],
  { args, by }: Pick<Request, 'args' | 'by'>,
  at: string,
): VerbWish | string {
  const { reason = '', nodes = [], rings = [], build = null, to = null, expires = null } = args
  if (typeof reason !== 'string' || reason.length > MAX_REASON) return `a reason has at most ${MAX_REASON} characters`
  if (!isNames(nodes)) return 'the nodes are no names'
  if (!isNames(rings)) return 'the rings are no names'
  if (build !== null && (typeof build !== 'string' || !isBuildId(build))) return 'the build is no build id'
  if (to !== null && (typeof to !== 'string' || to.length > 100)) return 'whom to hand over to is no name'
  if (expires !== null && (typeof expires !== 'string' || Number.isNaN(Date.parse(expires))))
    return 'the end is no time'
  return { verb, by, reason, at, nodes, rings, build, to, expires }
}

function isNames(value: unknown): value is readonly Name[] {
  return (
    Array.isArray(value) && value.length <= MAX_NAMES && value.every((name) => typeof name === 'string' && isName(name))
  )
}
