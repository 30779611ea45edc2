// Owns the proof of what a conductor takes for the order in force where Consul was restored and no rollout is open.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRelease } from '#conductor/core/beginning.ts'
import { forceIn } from '#conductor/core/force.ts'
import { startRollback } from '#conductor/core/reversal.ts'
import type { RingView } from '#conductor/core/standing.ts'
import type { BuildId } from '#fleet/build.ts'
import { ALL, place, type Target, wants } from '#fleet/target.ts'
import { A, APP, B, C, digestFor, RING, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const D = 'd-build' as BuildId
const builds = [entryOf(D), entryOf(C), entryOf(B), entryOf(A)]
const ref = (build: BuildId) => ({ build, manifest: digestFor(build) })

/** Consul shows B over A as a rollout left it; six nodes have accepted a later order of C over B, and so many of them have come to run C. */
function restored(on: number) {
  const sim = new Simulation({ nodes: 6, before: settledOn(A, null), hot: A, cold: null, build: B })
  sim.settle()
  const later: Target = {
    ...sim.order,
    ...{ generation: sim.order.generation + 5, build: C, manifest: digestFor(C), rollout: 'r-later', salt: 'r-later' },
    ...{ fallback: B, fallbackManifest: digestFor(B), cutoff: ALL },
  }
  const nodes = Array.from({ length: 6 }, (_, i) => new SimNode(`n${i}`, later, B, C))
  const placed = nodes.toSorted((a, b) => place('r-later', a.name) - place('r-later', b.name))
  for (const node of placed.slice(0, on)) [node.hot, node.cold] = [C, B]
  const view: RingView = {
    ring: RING,
    standing: { kind: 'record', target: sim.order },
    nodes: nodes.map((node) => ({ status: node.status(), silent: false })),
  }
  return { view, placed, later, facts: { rings: [view], rollout: sim.rollout, builds } }
}

test('A4: what all nodes run is in force, whatever a restored record remembers; nobody is taken back by what is adopted over it', () => {
  const { view, later, facts } = restored(6)
  const force = forceIn(view, facts.rollout, builds)
  assert.deepEqual(force, {
    build: ref(C),
    fallback: ref(B),
    cutoff: ALL,
    salt: 'r-later',
    generation: later.generation,
  })
  const refused = startRelease({ ...WISH, build: D }, facts)
  assert.ok(refused.kind === 'refuse' && refused.code === 'ORPHAN_WRITE')
  const start = startRelease({ ...WISH, build: D, adopt: true }, facts)
  assert.ok(start.kind === 'begin')
  assert.deepEqual(start.beginning.fallbacks[RING], ref(C))
  const back = startRollback({ app: APP, by: 'ana', reason: '', id: 'r-y', at: WISH.at, previous: false }, facts)
  assert.ok(back.kind === 'reverse')
  assert.deepEqual(back.rollouts[0]?.fallbacks[RING], ref(B))
})

test('A4: a part of the ring that was brought further is known by its places, and settled by a rollback first', () => {
  const { view, placed, later, facts } = restored(2)
  const force = forceIn(view, facts.rollout, builds)
  assert.ok(force !== null && force.cutoff < ALL)
  assert.deepEqual([force.build, force.fallback], [ref(C), ref(B)])
  const stays = { ...later, cutoff: force.cutoff, salt: force.salt }
  for (const node of placed) assert.equal(wants(stays, place(stays.salt, node.name), node.hot).hot, node.hot)
  const refused = startRelease({ ...WISH, build: D, adopt: true }, facts)
  assert.ok(refused.kind === 'refuse' && /runs c-build in part: conduct rollback/.test(refused.message))
})

test('A4: three builds, or one that the catalog forgot too, are not guessed at: nobody is sent to what the record remembers', () => {
  const { view, facts } = restored(6)
  const [first, second, ...rest] = view.nodes
  assert.ok(first && second)
  const mixed = [
    { ...first, status: { ...first.status, hot: A } },
    { ...second, status: { ...second.status, hot: D } },
  ]
  const lost = { ...facts, builds: [entryOf(D), entryOf(B), entryOf(A)] }
  for (const seen of [lost, { ...facts, rings: [{ ...view, nodes: [...mixed, ...rest] }] }]) {
    const start = startRelease({ ...WISH, build: D, adopt: true }, seen)
    assert.ok(start.kind === 'begin')
    assert.equal(start.beginning.fallbacks[RING], null)
    const back = startRollback({ app: APP, by: 'ana', reason: '', id: 'r-y', at: WISH.at, previous: false }, seen)
    assert.ok(back.kind === 'refuse' && /conduct rollback --to BUILD/.test(back.message), JSON.stringify(back))
  }
})
