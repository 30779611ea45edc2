// Owns the proof that the node's machine has no stuck and no unsafe state, and that the proof notices when it is broken.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { step } from '#puller/core/machine.ts'
import { recover } from '#puller/core/recover.ts'
import { BLANK, type Held, type NodeState, type Order } from '#puller/core/state.ts'
import { TABLE } from '#puller/core/table.ts'
import { type Universe, walk } from '#test/support/walk.ts'

const held = (letter: string): Held => ({
  build: letter as BuildId,
  manifest: `sha256:${letter.toLowerCase().repeat(64)}` as Digest,
})

const PLACE = 1_000

function order(
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
const bare = (generation: number, build: string): Order => ({
  ...order(generation, build, null, ALL, { rollout: build, salt: build }),
  bare: true,
})

/** At rest on a build, with another in cold. */
function resting(on: Order, hot: string, cold: string | null): NodeState {
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

const UNIVERSES: Readonly<Record<string, Universe>> = {
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

test('no order of targets and outcomes leaves a node stuck, draining towards an unwanted build, or out of service', (t: TestContext) => {
  let states = 0
  for (const [name, universe] of Object.entries(UNIVERSES)) {
    const began = performance.now()
    const found = walk(step, TABLE, universe)
    t.diagnostic(`${name}: ${found.states} states, ${found.steps} steps, ${Math.round(performance.now() - began)} ms`)
    assert.deepEqual(found.violations, [], name)
    states += found.states
  }
  assert.ok(states > 1, `only ${states} states were seen`)
})
