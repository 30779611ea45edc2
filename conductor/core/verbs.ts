// Owns what each verb of an operator does to a rollout: the events that befall it, or why it changes nothing.
import type { BuildId, Name } from '#fleet/build.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import { holdsOn } from '#fleet/hold.ts'
import type { AsideKey, AsideView, AsideWrite } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { place } from '#fleet/target.ts'
import { decideAside, quarantineOf } from './aside.ts'
import { judge, PAUSED, type Verb } from './legality.ts'
import { orderOf, raiseOrder } from './orders.ts'
import { describeHolds, isOurs } from './ownership.ts'
import { type RolloutEvent, reduce } from './reduce.ts'
import { hasFailed } from './service.ts'
import type { FleetView, RingView } from './standing.ts'

/** What an operator asked for. Fields that a verb does not use are empty. */
export interface VerbWish {
  readonly verb: Exclude<Verb, 'release' | 'rollback'>
  readonly by: string
  readonly reason: string
  /** ISO 8601. */
  readonly at: string
  readonly nodes: readonly Name[]
  readonly rings: readonly Name[]
  readonly build: BuildId | null
  readonly to: string | null
  /** ISO 8601. */
  readonly expires: string | null
}

export interface VerbFacts {
  readonly rollout: Rollout | null
  readonly fleet: FleetView
  /** The key of `asideOf`, as it stands. */
  readonly aside: AsideView | null
}

/** An entry of the history that is no event of a rollout. */
export interface Noted {
  readonly event: string
  readonly facts: Readonly<Record<string, unknown>>
}

export type Decision =
  | {
      readonly kind: 'do'
      readonly events: readonly RolloutEvent[]
      readonly noted: readonly Noted[]
      readonly aside: readonly AsideWrite[]
      readonly message: string
    }
  | { readonly kind: 'already'; readonly message: string }
  | { readonly kind: 'refuse'; readonly code: ErrorCode; readonly message: string }

/** The key beside the rollouts that a verb reads or writes. */
export function asideOf(
  { verb, rings: [ring], nodes: [node], build }: VerbWish,
  rollout: Rollout | null,
): AsideKey | null {
  switch (verb) {
    case 'hold':
    case 'unhold':
      return { kind: 'hold' }
    case 'pin':
    case 'unpin':
      return ring === undefined || node === undefined ? null : { kind: 'pin', ring, node }
    case 'forget':
      return ring === undefined || node === undefined ? null : { kind: 'node', ring, node }
    case 'quarantine':
    case 'clear':
      return build === null ? null : { kind: 'build', build }
    case 'resume':
      return rollout === null ? null : { kind: 'build', build: rollout.build }
    default:
      return null
  }
}

/** Pure; the table of legality is asked first. What it writes must be written in one transaction with what it was decided on. */
export function decideVerb(wish: VerbWish, facts: VerbFacts): Decision {
  const ruling = judge(wish.verb, facts.rollout)
  if (ruling.kind !== 'allowed') return ruling
  const { rollout } = facts
  if (rollout === null) return decideAside(wish, facts)
  switch (wish.verb) {
    case 'pause':
      return pause(wish, rollout)
    case 'resume':
      return resume(rollout, facts.aside)
    case 'promote':
      return promote(wish, rollout)
    case 'abort':
      return abort(wish, rollout, facts.fleet)
    case 'retry':
      return retry(wish, rollout, facts.fleet)
    case 'waive':
      return waive(wish, rollout, facts.fleet)
    case 'unwaive':
      return unwaive(wish, rollout)
    case 'handover':
      return handover(wish, rollout)
    default:
      return decideAside(wish, facts)
  }
}

function doing(message: string, ...events: readonly RolloutEvent[]): Decision {
  return { kind: 'do', events, noted: [], aside: [], message }
}

export function because(reason: string): string {
  return reason === '' ? '' : `: ${reason}`
}

/** Names for a sentence: a record must stay small however many there are. */
export function someOf(names: readonly string[]): string {
  return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`
}

function pause({ by, reason, at }: VerbWish, { id, build }: Rollout): Decision {
  const hold = { by, code: PAUSED, reason: reason === '' ? 'paused' : reason, at }
  const message = `rollout ${id} of ${build} is paused: no more nodes get it; conduct resume goes on, conduct rollback takes it back`
  return doing(message, { type: 'held', hold })
}

function resume({ id, build }: Rollout, aside: AsideView | null): Decision {
  const quarantine = quarantineOf(aside)
  if (quarantine !== null) {
    const { by, reason } = quarantine
    const help = `conduct clear ${build} lifts that, conduct rollback takes it back`
    return {
      kind: 'refuse',
      code: 'BUILD_QUARANTINED',
      message: `${build} is under quarantine by ${by}: ${reason}; ${help}`,
    }
  }
  return doing(`rollout ${id} of ${build} goes on`, { type: 'unheld' })
}

function promote({ by }: VerbWish, rollout: Rollout): Decision {
  const { id, stage, stages, promoted } = rollout
  const { ring, share } = stages[stage] ?? { ring: '', share: 0 }
  const which = `stage ${stage + 1} of ${stages.length} (${ring} ${share} %) of rollout ${id}`
  if (promoted === stage) return { kind: 'already', message: `${which} is approved` }
  return doing(`${which} is approved`, { type: 'promoted', by })
}

/** How many nodes the orders of a rollout ask to run its build, ring by ring. */
function exposure(rollout: Rollout, fleet: FleetView): readonly string[] {
  return Object.entries(rollout.marks ?? {}).flatMap(([ring, mark]) => {
    const nodes = fleet.rings[ring]?.nodes ?? []
    const on = nodes.filter(({ status }) => place(mark.salt, status.node) < mark.peak).length
    const back = rollout.fallbacks[ring]?.build ?? 'what they run'
    const rest = on === nodes.length ? '' : `, the others ${back}`
    return [`${ring} keeps ${rollout.build} on ${on} of ${nodes.length} nodes${rest}`]
  })
}

function abort({ by, reason, at }: VerbWish, rollout: Rollout, fleet: FleetView): Decision {
  const { id, build } = rollout
  const kept = exposure(rollout, fleet)
  const what = kept.length === 0 ? 'no ring was ordered to run it' : kept.join('; ')
  const ways = `conduct release ${build} goes on from there, conduct rollback takes it back`
  const outcome = `aborted by ${by}${because(reason)}`
  const message = `rollout ${id} of ${build} is aborted and nothing is taken back: ${what}; ${ways}`
  return doing(message, { type: 'ended', phase: 'aborted', cause: 'aborted', outcome, at })
}

interface Failing {
  readonly view: RingView
  readonly nodes: readonly string[]
}

/** Rings whose order is ours, with the nodes that failed it. */
function failing(rollout: Rollout, fleet: FleetView): readonly Failing[] {
  return Object.entries(rollout.marks ?? {}).flatMap(([ring, mark]) => {
    const view = fleet.rings[ring]
    if (view === undefined || view.standing.kind !== 'record' || !isOurs(rollout, view)) return []
    const { target } = view.standing
    const nodes = view.nodes.filter((node) => hasFailed(node, target, mark)).map(({ status }) => status.node)
    return nodes.length === 0 ? [] : [{ view, nodes }]
  })
}

function retry(wish: VerbWish, rollout: Rollout, fleet: FleetView): Decision {
  const { id, build } = rollout
  const unknown = strangers(wish.nodes, rollout, fleet)
  if (unknown !== null) return unknown
  const named = (nodes: readonly string[]) =>
    wish.nodes.length === 0 || nodes.some((node) => wish.nodes.includes(node as Name))
  const found = failing(rollout, fleet).filter(({ nodes }) => named(nodes))
  const nodes = found.flatMap((ring) => ring.nodes)
  if (nodes.length === 0) return { kind: 'already', message: `no node that failed ${build} waits to be asked again` }
  const now = Date.parse(wish.at)
  const holds = found.flatMap(({ view }) => holdsOn(fleet.line ?? [], view.ring, now))
  if (holds.length > 0)
    return { kind: 'refuse', code: 'ON_HOLD', message: `${describeHolds(holds)}; conduct unhold first` }
  const said = found.flatMap(({ view }) => [...view.nodes.map(({ status }) => status.attempt), attemptOf(view)])
  const retried = {
    type: 'retried',
    attempt: 1 + Math.max(rollout.attempt ?? 1, ...said),
    nodes: nodes.length,
  } as const
  const after = reduce(rollout, retried)
  const orders = found.flatMap(({ view }): readonly RolloutEvent[] => {
    if (view.standing.kind !== 'record') return []
    const { target } = view.standing
    const order = orderOf('rewrite', view, raiseOrder(after, view, target, target.cutoff, now), [])
    return [{ type: 'ordered', order, prior: rollout.marks?.[view.ring]?.prior ?? null }]
  })
  const beside = wish.nodes.length === 0 ? [] : nodes.filter((node) => !wish.nodes.includes(node as Name))
  const also = beside.length === 0 ? '' : `; an attempt is the ring's, so ${someOf(beside)} with them`
  return doing(
    `${someOf(nodes)} will try ${build} once more (attempt ${retried.attempt} of rollout ${id})${also}`,
    retried,
    ...orders,
  )
}

function attemptOf({ standing }: RingView): number {
  return standing.kind === 'record' ? standing.target.attempt : 1
}

/** A refusal when a name stands for no node of the rollout. */
function strangers(names: readonly Name[], { id, fallbacks }: Rollout, fleet: FleetView): Decision | null {
  const rings = Object.keys(fallbacks)
  const known = rings.flatMap((ring) => fleet.rings[ring]?.nodes.map(({ status }) => status.node) ?? [])
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length === 0) return null
  const message = `${someOf(unknown)} never reported in ${rings.join(', ')}, the rings of rollout ${id}`
  return { kind: 'refuse', code: 'NODE_UNKNOWN', message }
}

function waive({ nodes, by, reason, at }: VerbWish, rollout: Rollout, fleet: FleetView): Decision {
  const unknown = strangers(nodes, rollout, fleet)
  if (unknown !== null) return unknown
  const before = rollout.waivers ?? []
  const fresh = nodes.filter((node) => !before.some((waiver) => waiver.node === node))
  if (fresh.length === 0) {
    const [first] = before.filter(({ node }) => nodes.includes(node))
    return { kind: 'already', message: `${someOf(nodes)} is waived by ${first?.by}: ${first?.reason}` }
  }
  const events = fresh.map((node) => ({ type: 'waived', waiver: { node, by, reason, at } }) as const)
  const message = `rollout ${rollout.id} no longer waits for ${someOf(fresh)}; counted and shown all the same`
  return doing(message, ...events)
}

/** What the rollout has passed without the node stays passed; from now on it is waited for, and its failures count. */
function unwaive({ nodes, reason }: VerbWish, { id, waivers = [] }: Rollout): Decision {
  const waived = nodes.filter((name) => waivers.some(({ node }) => node === name))
  if (waived.length === 0) return { kind: 'already', message: `${someOf(nodes)} is not waived in rollout ${id}` }
  const events = waived.map((node) => ({ type: 'unwaived', node, reason }) as const)
  return doing(`rollout ${id} waits for ${someOf(waived)} again`, ...events)
}

function handover({ to, by }: VerbWish, rollout: Rollout): Decision {
  const from = rollout.commander ?? rollout.by
  if (to === null || to === '') return { kind: 'refuse', code: 'USAGE', message: 'a handover names who takes over' }
  if (to === from) return { kind: 'already', message: `${to} is the commander of rollout ${rollout.id}` }
  return doing(`${to} is the commander of rollout ${rollout.id} now, after ${from}`, {
    type: 'handedOver',
    to,
    from,
    by,
  })
}
