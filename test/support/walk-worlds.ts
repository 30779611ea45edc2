// Owns the worlds that the node's machine is walked through: which orders may come, in any order, and where a node may stand at first.
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { recover } from '#puller/core/recover.ts'
import { BLANK, type Held, type NodeState, type Order } from '#puller/core/state.ts'
import type { Universe } from './walk.ts'

export const held = (letter: string): Held => ({
  build: letter as BuildId,
  manifest: `sha256:${letter.toLowerCase().repeat(64)}` as Digest,
})

export const PLACE = 1_000

export function order(
  generation: number,
  build: string | null,
  fallback: string | null,
  cutoff: number,
  more: Partial<Target> = {},
): Order {
  const target: Target = {
    app: 'web' as Name,
    ring: 'production' as Name,
    generation,
    build: build === null ? null : held(build).build,
    manifest: build === null ? null : held(build).manifest,
    fallback: fallback === null ? null : held(fallback).build,
    fallbackManifest: fallback === null ? null : held(fallback).manifest,
    cutoff,
    salt: 'r-1',
    rollout: 'r-1',
    by: 'ana',
    reason: '',
    at: '',
    recall: false,
    attempt: 1,
    activation: null,
    ...more,
  }
  return { target, place: PLACE, modifyIndex: generation, bare: false }
}
export const bare = (generation: number, build: string): Order => ({
  ...order(generation, build, null, ALL, { rollout: build, salt: build }),
  bare: true,
})

/** At rest on a build, with another in cold. */
export function resting(on: Order, hot: string, cold: string | null): NodeState {
  return {
    ...BLANK,
    order: on,
    hot: held(hot),
    cold: cold === null ? null : { ...held(cold), armed: true, ready: true, drift: [] },
    previous: cold === null ? null : held(cold),
    coldTree: 'b',
    verified: true,
  }
}

const fresh = recover(
  {
    hot: null,
    hotFault: null,
    hotTree: null,
    cold: null,
    coldTree: 'a',
    armed: false,
    unclean: false,
    sealed: { a: null, b: null },
  },
  null,
  null,
).state
const settledA = order(1, 'A', null, ALL, { rollout: 'r-0' })

const B_ON_A = [
  order(2, 'B', 'A', 0),
  order(3, 'B', 'A', PLACE + 1),
  order(4, 'B', 'A', PLACE + 1, { recall: true }),
  order(5, 'B', 'A', 0, { recall: true }),
  order(6, 'A', null, ALL),
]

export const UNIVERSES: Readonly<Record<string, Universe>> = {
  'a release, its recall and its closing record': {
    starts: [resting(settledA, 'A', null)],
    orders: B_ON_A,
    stop: true,
    crash: true,
  },
  'a retry and a restart': {
    starts: [resting(settledA, 'A', 'B')],
    orders: [
      order(3, 'B', 'A', PLACE + 1),
      order(5, 'B', 'A', 0, { recall: true }),
      order(7, 'B', 'A', ALL, { attempt: 2 }),
      order(8, 'B', 'A', ALL, { activation: 'x' }),
    ],
    crash: true,
  },
  'an operator on the node': {
    starts: [resting(settledA, 'A', 'B')],
    orders: [order(3, 'B', 'A', PLACE + 1), order(5, 'B', 'A', 0, { recall: true }), order(6, 'A', null, ALL)],
    rollback: true,
    crash: true,
  },
  'three builds, some by bare id': {
    starts: [resting(settledA, 'A', 'B')],
    orders: [
      order(3, 'B', 'A', PLACE + 1),
      order(9, 'C', 'B', 0, { rollout: 'r-2', salt: 'r-2' }),
      order(10, 'C', 'B', ALL, { rollout: 'r-2', salt: 'r-2' }),
      bare(12, 'A'),
    ],
    stop: true,
  },
  'the first deploys of a node': {
    starts: [fresh],
    orders: [order(0, null, null, 0), order(1, 'A', null, 0), order(2, 'A', null, ALL), order(4, 'B', 'A', ALL)],
    stop: true,
    crash: true,
  },
}
