// Owns what the conductor sees of a fleet: the order that stands in each ring, who is there, and how much may be out at once.
import type { Name } from '#fleet/build.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import type { LineHold } from '#fleet/hold.ts'
import type { TargetView } from '#fleet/ports.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { ALL, type BareOrder, type Target, targetOfBare } from '#fleet/target.ts'
import { readOrder } from '#fleet/wire.ts'

/** What stands in a target key. `bare` carries the target that a bare build id stands for (its manifest is not known here). */
export type Standing =
  | { readonly kind: 'record'; readonly target: Target }
  | { readonly kind: 'bare'; readonly bare: BareOrder; readonly target: Target }
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'gone' }

/** Limits of a rollout, in percent of a ring's roster. */
export interface Policy {
  readonly maxUnavailable: number
  readonly failureBudget: number
  /** How long a wave of a rollback is waited for before the next one goes, in milliseconds. */
  readonly waveMs: number
  /** `rollback --now`: one wave, whatever the cap says. */
  readonly allAtOnce: boolean
  /** Where a ring has limits of its own. */
  readonly rings?: Readonly<Record<string, Limits>>
}

export interface Limits {
  readonly maxUnavailable?: number
  readonly failureBudget?: number
}

/** The limits of one ring. `--now` lifts those of every ring. */
export function policyIn(policy: Policy, ring: Name): Policy {
  return policy.allAtOnce ? policy : { ...policy, ...policy.rings?.[ring] }
}

export interface RingView {
  readonly ring: Name
  readonly standing: Standing
  /** The bytes of the key are not those that were written there last by anybody with the lease, whatever they say. */
  readonly byHand?: boolean
  readonly nodes: readonly RosterNode[]
}

export interface FleetView {
  readonly rings: Readonly<Record<string, RingView>>
  readonly policy: Policy
  /** Holds of the line, also those that have expired; left out: none. */
  readonly line?: readonly LineHold[]
}

/** Reads a target key as the conductor must: nothing that stands there is an error, it is a fact to act on. */
export function readStanding(view: TargetView | undefined, app: Name, ring: Name): Standing {
  if (view === undefined || view.raw === null) return { kind: 'gone' }
  try {
    const order = readOrder(view.raw, { app, ring })
    if (order.kind === 'record') return order
    const context = { app, ring, generation: 0, manifest: null, at: '' }
    return { kind: 'bare', bare: order.bare, target: targetOfBare(order.bare, context) }
  } catch (error) {
    if (!(error instanceof FleetError)) throw error
    return { kind: 'rejected', code: error.code, message: error.message }
  }
}

/** Nothing of a rollout is under way in it: everybody is to run `build`, or nobody is asked for anything. */
export function isSettled(target: Target): boolean {
  return target.build === null || (target.cutoff === ALL && !target.recall)
}

/** The highest generation that anything in a ring names: what the next order has to be above. */
export function highestGeneration(view: RingView, written: number): number {
  const { standing, nodes } = view
  const stands = standing.kind === 'record' || standing.kind === 'bare' ? standing.target.generation : 0
  return nodes.reduce((highest, { status }) => Math.max(highest, status.generation), Math.max(stands, written))
}

/** floor(percent × nodes), computed without a fraction of a percent that binary cannot hold. */
export function shareOf(percent: number, nodes: number): number {
  return Math.floor((percent * nodes) / 100)
}

/** How many nodes of a ring may be out of service at once: at least one, else nothing could ever move. */
export function capOf(policy: Policy, nodes: number): number {
  return Math.max(1, shareOf(policy.maxUnavailable, nodes))
}
