// Owns the records that a rollout writes: each kind of order as a value, ready for the key.
import { assert } from '#fleet/assert.ts'
import type { Name } from '#fleet/build.ts'
import type { RingMark, Rollout } from '#fleet/rollout.ts'
import { ALL, place, type Target } from '#fleet/target.ts'
import { highestGeneration, type RingView } from './standing.ts'

/** `stage` pre-stages at cutoff 0, `raise` exposes more nodes, `recall` takes them back in waves, `close` ends, `rewrite` climbs above a node. */
export type OrderKind = 'stage' | 'raise' | 'recall' | 'close' | 'rewrite'

export interface Order {
  readonly kind: OrderKind
  readonly ring: Name
  readonly target: Target
  /** Nodes in service that it takes out. */
  readonly taken: readonly string[]
  /** How many nodes are below its cutoff, of how many. */
  readonly exposed: number
  readonly roster: number
}

export function orderOf(kind: OrderKind, view: RingView, target: Target, taken: readonly string[]): Order {
  const exposed = view.nodes.filter(({ status }) => place(target.salt, status.node) < target.cutoff).length
  return { kind, ring: view.ring, target, taken, exposed, roster: view.nodes.length }
}

/** One above everything that the ring, its nodes and the rollout record know. */
export function nextGeneration(rollout: Rollout, view: RingView): number {
  return 1 + highestGeneration(view, rollout.generations[view.ring] ?? 0)
}

function record(rollout: Rollout, view: RingView, now: number) {
  return {
    app: rollout.app,
    ring: view.ring,
    generation: nextGeneration(rollout, view),
    rollout: rollout.id,
    by: rollout.by,
    reason: rollout.reason,
    at: new Date(now).toISOString(),
    attempt: rollout.attempt ?? 1,
  }
}

/**
 * The cutoff that this rollout has reached already by what nodes say, whatever Consul remembers of it: a restored one may know nothing of
 * nodes that were brought to the build, and the cutoff never falls on the way forward.
 */
export function reached(rollout: Rollout, nodes: RingView['nodes'], salt: string): number {
  const there = nodes.filter(({ status }) => status.rollout === rollout.id && status.hot === rollout.build)
  return Math.max(0, ...there.map(({ status }) => 1 + place(salt, status.node)))
}

/** Cutoff 0: nobody runs the build yet, everybody brings it into cold. */
export function stageOrder(rollout: Rollout, view: RingView, now: number): Target {
  const fallback = rollout.fallbacks[view.ring] ?? null
  return {
    ...record(rollout, view, now),
    build: rollout.build,
    manifest: rollout.manifest,
    fallback: fallback?.build ?? null,
    fallbackManifest: fallback?.manifest ?? null,
    cutoff: reached(rollout, view.nodes, rollout.id),
    salt: rollout.id,
    recall: false,
    activation: rollout.activation ?? null,
  }
}

/** The same order with more nodes below the cutoff. */
export function raiseOrder(rollout: Rollout, view: RingView, standing: Target, cutoff: number, now: number): Target {
  assert(!standing.recall && cutoff >= standing.cutoff, 'a cutoff rises in a rollout')
  return { ...standing, ...record(rollout, view, now), cutoff }
}

/** The order in force as the rollout last wrote it, for when something else stands in its place. */
export function expectedTarget(rollout: Rollout, view: RingView, mark: RingMark): Target {
  const restored = stageOrder(rollout, view, 0)
  return { ...restored, salt: mark.salt, cutoff: mark.peak, generation: rollout.generations[view.ring] ?? 0 }
}

/** The same build, fallback and salt, with fewer nodes that may stay. */
export function recallOrder(rollout: Rollout, view: RingView, standing: Target, cutoff: number, now: number): Target {
  assert(cutoff <= standing.cutoff, 'a cutoff falls in a recall')
  return { ...standing, ...record(rollout, view, now), cutoff, recall: true, activation: null }
}

/** Back to what ran before, on every node; with nothing to go back to, nobody is asked for anything. */
export function closingOrder(rollout: Rollout, view: RingView, mark: RingMark, now: number): Target {
  const back = rollout.fallbacks[view.ring] ?? null
  return {
    ...record(rollout, view, now),
    build: back?.build ?? null,
    manifest: back?.manifest ?? null,
    fallback: (back && mark.prior?.build) ?? null,
    fallbackManifest: (back && mark.prior?.manifest) ?? null,
    cutoff: back === null ? 0 : ALL,
    salt: rollout.id,
    recall: false,
    attempt: 1,
    activation: null,
  }
}
