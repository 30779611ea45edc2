// Owns the proof of how releases and rollbacks begin: what is refused and by which fact, what goes back to what, and three builds never.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReleaseFacts, type ReleaseWish, startRelease } from '#conductor/core/beginning.ts'
import { leftBy } from '#conductor/core/force.ts'
import { pictureOf } from '#conductor/core/picture.ts'
import { ALWAYS_OPEN, NO_SIGNALS, plan } from '#conductor/core/plan.ts'
import { beginRollout, reduce } from '#conductor/core/reduce.ts'
import { startRollback } from '#conductor/core/reversal.ts'
import type { Policy, RingView, Standing } from '#conductor/core/standing.ts'
import type { BuildId } from '#fleet/build.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { ALL, type Target, targetOfBare } from '#fleet/target.ts'
import { A, APP, B, C, digestFor, RING, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const policy: Policy = { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false }

const builds = [entryOf(C), entryOf(B), entryOf(A)]

function ring(standing: Standing, hot: BuildId | null = B, nodes = 3): RingView {
  const each = Array.from({ length: nodes }, (_, i) => new SimNode(`n${i}`, settledOn(B, A), hot, A))
  return { ring: RING, standing, nodes: each.map((node) => ({ status: node.status(), silent: false })) }
}
const record = (target: Target): Standing => ({ kind: 'record', target })
const bare = (build: BuildId): Standing => {
  const context = { app: APP, ring: RING, generation: 0, manifest: null, at: '' }
  return { kind: 'bare', bare: { build, generation: null }, target: targetOfBare({ build, generation: null }, context) }
}

/** The rollout that brought B over A to the ring, and its order. */
function broughtB(): { rollout: Rollout; order: Target } {
  const sim = new Simulation({ nodes: 3, before: settledOn(A, null), hot: A, cold: null, build: B })
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  return { rollout: sim.rollout, order: sim.order }
}

const back = { app: APP, by: 'ana', reason: '', id: 'r-y', at: '2026-11-22T16:05:30Z', previous: false }

function facts(
  standing: Standing,
  rollout: Rollout | null = broughtB().rollout,
  over: Partial<ReleaseFacts> = {},
): ReleaseFacts {
  return { rings: [ring(standing)], rollout, builds, ...over }
}
const codeOf = (start: { kind: string } & object) => ('code' in start ? start.code : start.kind)

test('a release begins over a settled record, with what runs there as its fallback', () => {
  const { rollout, order } = broughtB()
  const start = startRelease(WISH, facts(record(order), rollout))
  assert.ok(start.kind === 'begin')
  assert.deepEqual(start.beginning.fallbacks[RING], { build: B, manifest: digestFor(B) })
  assert.deepEqual(start.beginning.stages, [{ ring: RING, share: 100 }])
})

test('each refusal of a release names its fact', () => {
  const { rollout, order } = broughtB()
  const over = (changes: Partial<ReleaseWish>, standing = record(order), more: Partial<ReleaseFacts> = {}) =>
    codeOf(startRelease({ ...WISH, ...changes }, facts(standing, rollout, more)))
  assert.equal(over({ build: 'nope' as BuildId }), 'BUILD_UNKNOWN')
  assert.equal(over({ build: null }, record(order), { builds: [] }), 'NO_ELIGIBLE_BUILD')
  const bad = [entryOf(C, { quarantine: { by: 'conduct', reason: 'failed', at: '' } }), entryOf(B), entryOf(A)]
  assert.equal(over({}, record(order), { builds: bad }), 'BUILD_QUARANTINED')
  assert.equal(over({ build: null }, record(order), { builds: bad }), 'already', 'the newest that may be released is B')
  assert.equal(over({ retry: true }, record(order), { builds: bad }), 'BUILD_QUARANTINED', 'only clear lifts it')
  assert.equal(over({}, record(order), { rings: [ring(record(order), B, 0)] }), 'RING_EMPTY')
  assert.equal(
    codeOf(startRelease(WISH, facts({ kind: 'gone' }, null, { rings: [ring({ kind: 'gone' }, null, 0)] }))),
    'NOT_INITIALISED',
  )
  assert.equal(over({}, { kind: 'gone' }), 'ORPHAN_WRITE')
  assert.equal(over({}, bare(A)), 'ORPHAN_WRITE')
  assert.equal(over({}, record({ ...order, generation: 1 })), 'ORPHAN_WRITE', 'A4')
  assert.equal(
    over({}, record({ ...order, by: 'eve', rollout: 'by hand' })),
    'ORPHAN_WRITE',
    'A24: the same generation, another hand',
  )
  assert.equal(over({}, record({ ...order, generation: 999 })), 'ORPHAN_WRITE')
  assert.equal(
    over({ adopt: true }, record({ ...order, generation: 999, build: A, fallback: B, cutoff: 7 })),
    'ORPHAN_WRITE',
    'a third build',
  )
})

test('a build that failed everywhere on a first deploy is no way back for the next one, which may begin over its order', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(null, null, 0), hot: null, cold: null, build: B })
  sim.settle((build) => build !== B)
  assert.equal(sim.rollout.phase, 'aborted')
  const failed = entryOf(B, { good: {}, quarantine: { by: 'conduct', reason: 'failed', at: '' } })
  const view = sim.view().rings[RING]
  assert.ok(view)
  const start = startRelease(WISH, { rings: [view], rollout: sim.rollout, builds: [entryOf(C), failed] })
  assert.ok(start.kind === 'begin', JSON.stringify(start))
  assert.deepEqual(start.beginning.fallbacks, { [RING]: null })
  sim.rollout = beginRollout(start.beginning)
  sim.settle()
  assert.equal(sim.rollout.phase, 'done', JSON.stringify(sim.plan().because))
  assert.deepEqual([sim.order.build, sim.order.fallback], [C, null])
  assert.ok(sim.nodes.every(({ hot }) => hot === C))
})

test('taking over a key where the build runs already orders it everywhere at once, and so moves nobody', () => {
  const { rollout } = broughtB()
  const standing: Standing = { kind: 'rejected', code: 'TARGET_INVALID', message: 'not JSON' }
  const start = startRelease({ ...WISH, build: B, adopt: true }, facts(standing, rollout))
  assert.ok(start.kind === 'begin')
  assert.deepEqual(start.beginning.there, [RING])
  const fleet = { policy, rings: { [RING]: ring(standing) } }
  const { action } = plan(beginRollout(start.beginning), fleet, NO_SIGNALS, ALWAYS_OPEN, 0)
  assert.ok(action.type === 'order')
  const { target } = action.order
  assert.deepEqual([target.build, target.fallback, target.cutoff], [B, A, ALL])
  assert.ok(target.generation > (rollout.generations[RING] ?? 0))
})

test('an open rollout is gone on with, and no other build comes between', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.conduct()
  const open = facts(record(sim.order), sim.rollout)
  assert.equal(startRelease(WISH, open).kind, 'resume')
  assert.equal(codeOf(startRelease({ ...WISH, build: A }, open)), 'ROLLOUT_OPEN')
  assert.equal(codeOf(startRelease({ ...WISH, build: A, adopt: true }, open)), 'ROLLOUT_OPEN', 'not even with --adopt')
  const recalling = reduce(sim.rollout, { type: 'recallBegun', cause: 'operator', outcome: '' })
  assert.equal(codeOf(startRelease(WISH, facts(record(sim.order), recalling))), 'ROLLOUT_RECALLING')
  const hold = { by: 'conduct', code: 'orphan-write', reason: 'eve wrote', at: '' }
  const held = reduce(sim.rollout, { type: 'held', hold })
  const byHand = record({ ...settledOn(A, null), generation: 70, by: 'eve' })
  assert.equal(codeOf(startRelease(WISH, facts(byHand, held))), 'ORPHAN_WRITE')
  const adopted = startRelease({ ...WISH, adopt: true }, facts(byHand, held))
  assert.ok(adopted.kind === 'resume')
  const after = adopted.adopts.reduce(reduce, held)
  assert.equal(after.hold, null)
  assert.equal(after.generations[RING], 71)
})

test('a rollback goes back to what the record names; the last good build before that becomes the new fallback', () => {
  const { rollout, order } = broughtB()
  const good = [
    entryOf(C),
    entryOf(B, { good: { [RING]: '3' } }),
    entryOf(A, { good: { [RING]: '2' } }),
    entryOf('z' as BuildId, { good: { [RING]: '1' } }),
  ]
  const start = startRollback(back, facts(record(order), rollout, { builds: good }))
  assert.ok(start.kind === 'reverse')
  const [born] = start.rollouts
  assert.deepEqual(
    [born?.phase, born?.build, born?.fallbacks[RING]?.build, born?.marks?.[RING]?.prior?.build],
    ['recalling', B, A, 'z'],
  )
})

test('over a bare id a rollback goes to what ran before it; over garbage and gone keys to what the last record names', () => {
  const { rollout } = broughtB()
  const to = (standing: Standing) => {
    const start = startRollback(back, facts(standing, rollout))
    assert.ok(start.kind === 'reverse')
    return start.rollouts.map(({ build, fallbacks }) => [build, fallbacks[RING]?.build])
  }
  assert.deepEqual(to(bare(C)), [[C, B]])
  assert.deepEqual(to({ kind: 'gone' }), [[B, A]])
  assert.deepEqual(to({ kind: 'rejected', code: 'TARGET_EMPTY', message: '' }), [[B, A]])
})

test('F24: after our own rollback the reflex to roll back changes nothing; by name it goes further', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.settle((build) => build !== C)
  assert.equal(sim.rollout.phase, 'rolledBack')
  const seen = facts(record(sim.order), sim.rollout)
  assert.equal(startRollback(back, seen).kind, 'already')
  const further = startRollback({ ...back, previous: true }, seen)
  assert.ok(further.kind === 'reverse')
  assert.equal(further.rollouts[0]?.fallbacks[RING]?.build, A)
  assert.deepEqual(leftBy(sim.rollout, RING)?.build.build, B)
})

test('nothing to go back to is a refusal that says what is known', () => {
  const start = startRollback(back, facts(record(settledOn(B, null)), null))
  assert.ok(start.kind === 'refuse')
  assert.deepEqual([start.code, start.message], ['NO_PREVIOUS', 'b-build is the only build known in production'])
  const created = record(settledOn(null, null, 0))
  const never = startRollback(back, facts(created, null, { rings: [ring(created, null)] }))
  assert.ok(never.kind === 'refuse' && never.message === 'nothing was released to production yet')
})

test('who releases a build again while it is rolled back is told of the rollback, not of the quarantine that came with it', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.conduct()
  const outcome = '2 of 3 nodes failed it'
  const rollout = reduce(sim.rollout, { type: 'recallBegun', cause: 'failures-over-budget', outcome })
  const quarantine = { by: 'conduct', reason: 'failed', at: '' }
  const seen = facts(record(sim.order), rollout, { builds: [entryOf(C, { quarantine }), entryOf(B), entryOf(A)] })
  const start = startRelease(WISH, seen)
  assert.ok(start.kind === 'refuse')
  assert.equal(start.code, 'ROLLOUT_RECALLING')
  assert.match(start.message, /c-build is being rolled back: conduct watch shows it.*\(2 of 3 nodes failed it\)/)
  const over = reduce(rollout, { type: 'ended', phase: 'rolledBack', outcome, at: WISH.at })
  assert.equal(codeOf(startRelease(WISH, { ...seen, rollout: over })), 'BUILD_QUARANTINED')
})

test('the picture counts nodes against the order that they obey, and has one sentence for a key that nobody obeys', () => {
  const { rollout, order } = broughtB()
  const look = (standing: Standing) => {
    const view = ring(standing)
    const fleet = { policy, rings: { [RING]: view } }
    return pictureOf({ app: APP, rings: [view], fleet, rollout, lease: null, builds, now: 0 }).rings[0]
  }
  assert.equal(look(record(order))?.trouble, null)
  for (const standing of [
    { kind: 'gone' },
    { kind: 'rejected', code: 'TARGET_EMPTY', message: 'no bytes' },
    record({ ...order, generation: 1 }),
  ] as const) {
    const seen = look(standing)
    assert.equal(seen?.counts.converged, 3)
    assert.match(seen?.trouble?.message ?? '', /the 3 nodes of production keep what they run/)
  }
})
