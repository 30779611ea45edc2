// Owns the proof of what the verbs mean for a rollout: holds of the line, waivers, another attempt, and an aborted build that goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOf } from '#conductor/cli/operate.ts'
import { startRelease } from '#conductor/core/beginning.ts'
import { pictureOf } from '#conductor/core/picture.ts'
import { ALWAYS_OPEN, NO_SIGNALS, plan } from '#conductor/core/plan.ts'
import { beginRollout, reduce } from '#conductor/core/reduce.ts'
import { decideVerb } from '#conductor/core/verbs.ts'
import type { Name } from '#fleet/build.ts'
import { hasExpired, holdsOn, type LineHold } from '#fleet/hold.ts'
import { ALL, place } from '#fleet/target.ts'
import { lineIn, readRollout, writeLine, writeRollout } from '#fleet/wire.ts'
import { fc } from '#test/support/properties.ts'
import { A, APP, B, C, RING, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { AT, factsFor, underWay, wishFor } from '#test/support/verb-scenes.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const ten = () => new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
const now = Date.parse(AT)
const stop = (over: Partial<LineHold> = {}): LineHold => ({
  ring: null,
  by: 'ben',
  reason: 'database upgrade',
  at: AT,
  expires: null,
  ...over,
})
const waiver = (node: string) => ({ node: node as Name, by: 'ben', reason: 'dead', at: AT })

test('a hold of the line stops what advances in its rings, until it expires; a way back goes on', () => {
  const sim = ten()
  const under = (line: readonly LineHold[], rollout = sim.rollout) =>
    plan(rollout, { ...sim.view(), line }, NO_SIGNALS, ALWAYS_OPEN, now)
  const [why] = under([stop()]).because
  assert.deepEqual(
    [why?.code, why?.message],
    ['line-held', 'the line is stopped by ben: database upgrade; conduct unhold lifts it'],
  )
  assert.equal(under([stop()]).action.type, 'wait')
  assert.equal(under([stop({ ring: RING })]).action.type, 'wait')
  assert.equal(under([stop({ ring: 'canary' as Name })]).action.type, 'order')
  assert.equal(
    under([stop({ expires: '2026-11-22T16:04:29.000Z' })]).action.type,
    'order',
    'expired holds do not count',
  )
  assert.equal(under([stop({ expires: '2026-11-22T16:04:31.000Z' })]).action.type, 'wait')
  assert.equal(
    under([stop({ expires: 'tomorrow-ish' })]).action.type,
    'wait',
    'an end that nobody can read ends nothing',
  )
  assert.equal(under([stop()], { ...sim.rollout, back: true }).action.type, 'order', 'rollback --to')
  sim.settle(() => true, 12)
  const back = reduce(sim.rollout, { type: 'recallBegun', cause: 'operator', outcome: 'asked' })
  assert.equal(under([stop()], back).action.type, 'order')
})

test('a release does not begin where every ring is stopped, and begins where one is not', () => {
  const ring = {
    ring: RING,
    standing: { kind: 'record', target: settledOn(B, A) },
    nodes: ten().view().rings[RING]?.nodes ?? [],
  } as const
  const facts = { rings: [ring], rollout: null, builds: [entryOf(C), entryOf(B)] }
  const start = (line: readonly LineHold[], back = false) => startRelease({ ...WISH, back }, { ...facts, line })
  const refused = start([stop({ expires: '2026-11-22T17:00:00.000Z' })])
  assert.ok(refused.kind === 'refuse')
  assert.equal(refused.code, 'ON_HOLD')
  assert.match(refused.message, /the line is stopped by ben until 2026-11-22T17:00:00.000Z: database upgrade/)
  assert.equal(start([stop({ ring: 'canary' as Name })]).kind, 'begin')
  assert.equal(start([stop()], true).kind, 'begin', 'rollback --to')
})

test('holds survive their record; one that cannot be read stops everything', () => {
  const holds = [stop(), stop({ ring: RING, expires: AT })]
  assert.deepEqual(lineIn(writeLine(holds)), holds)
  assert.deepEqual(lineIn(null), [])
  for (const text of ['', '{', '{"v":1}', '{"v":9,"holds":[]}']) {
    const [one] = lineIn(Buffer.from(text))
    assert.deepEqual([one?.ring, one?.expires], [null, null], text)
  }
})

test('whatever bytes stand in the hold key, they are holds or they stop everything: never an error, never nothing', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.json().map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(bytes, (raw) => {
      const [one] = lineIn(raw)
      assert.deepEqual([one?.by, one?.ring, holdsOn(lineIn(raw), RING, now).length], ['unknown', null, 1])
    }),
  )
})

test('whatever holds there are, a ring is held by exactly those that name it or every ring and have not ended', () => {
  const rings = ['canary', 'production'] as Name[]
  const hold = fc.record({
    ring: fc.constantFrom(null, ...rings),
    by: fc.constantFrom('ana', 'ben'),
    reason: fc.string({ maxLength: 20 }),
    at: fc.constant(AT),
    expires: fc.option(fc.integer({ min: -5_000, max: 5_000 }).map((ms) => new Date(now + ms).toISOString())),
  })
  fc.assert(
    fc.property(fc.array(hold, { maxLength: 6 }), fc.constantFrom(...rings), (line, ring) => {
      const found = holdsOn(line, ring, now)
      for (const one of line) {
        const counts = one.ring !== (ring === 'canary' ? 'production' : 'canary') && !hasExpired(one, now)
        assert.equal(found.includes(one), counts)
      }
    }),
  )
})

test('an end is a span from now or a time, and never one that is over', () => {
  assert.equal(endOf(null, now), null)
  assert.equal(endOf('90m', now), '2026-11-22T17:34:30.000Z')
  assert.equal(endOf('2d', now), '2026-11-24T16:04:30.000Z')
  assert.equal(endOf('2026-11-23T08:00:00Z', now), '2026-11-23T08:00:00.000Z')
  for (const text of ['soon', '5', '1', '0m', '2020-01-01', '2026-11-22T16:04:30Z', ''])
    assert.throws(() => endOf(text, now), text)
})

test('one silent node of ten keeps a rollout from its end; waived it blocks nothing, and is still counted', () => {
  const sim = ten()
  const dead = sim.nodes[3]
  assert.ok(dead)
  dead.silent = true
  sim.settle(() => true, 300)
  assert.equal(sim.rollout.phase, 'advancing')
  const [why] = sim.plan().because
  assert.deepEqual([why?.code, why?.nodes], ['nodes-silent', ['node-3']])
  sim.rollout = reduce(sim.rollout, { type: 'waived', waiver: waiver('node-3') })
  const seen = {
    app: APP,
    rings: Object.values(sim.view().rings),
    fleet: sim.view(),
    rollout: sim.rollout,
    lease: null,
    builds: [],
    now,
  }
  const picture = pictureOf(seen)
  assert.equal(picture.rings[0]?.counts.silent, 1)
  assert.deepEqual(picture.rings[0]?.nodes[3]?.waived, { by: 'ben', reason: 'dead' })
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.match(sim.rollout.outcome ?? '', /not counting node-3 \(waived by ben: dead\)/)
})

test('a waived node that cannot stage is raised over like the others, within the cap', () => {
  const sim = ten()
  const stuck = sim.nodes[6]
  assert.ok(stuck)
  stuck.stalled = true
  sim.settle(() => true, 60)
  assert.equal(sim.plan().because[0]?.code, 'nodes-staging')
  sim.rollout = reduce(sim.rollout, { type: 'waived', waiver: waiver('node-6') })
  sim.settle(() => true, 300)
  assert.equal(sim.rollout.phase, 'done')
  assert.equal(sim.nodes.filter(({ hot }) => hot === C).length, 9)
  for (const { kind, taken, out } of sim.writes)
    assert.ok(kind === 'stage' || taken === 0 || taken + out <= 3, `${kind}: ${taken} + ${out}`)
})

test('failures of waived nodes no longer count against the budget; the denominator stays the whole ring', () => {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  const broken = [...sim.nodes].sort((a, b) => place('r-now', a.name) - place('r-now', b.name)).slice(0, 2)
  for (const { name } of broken.slice(0, 1)) sim.rollout = reduce(sim.rollout, { type: 'waived', waiver: waiver(name) })
  sim.settle((build, node) => build !== C || !broken.some(({ name }) => name === node.name))
  assert.equal(sim.rollout.phase, 'done', 'one of ten is within 10 %, the other is waived')
  const strict = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  strict.settle((build, node) => build !== C || !broken.some(({ name }) => name === node.name))
  assert.equal(strict.rollout.phase, 'rolledBack', 'two are not')
})

test('a node that was asked once more has not failed until it says so again, and then counts again', () => {
  const sim = underWay()
  const victim = sim.nodes.find(({ refusal }) => refusal !== null)
  const decided = decideVerb(wishFor('retry', sim), factsFor('retry', sim.rollout, sim))
  assert.ok(decided.kind === 'do' && victim !== undefined)
  const swaps = sim.nodes.map((node) => node.swaps)
  for (const event of decided.events) {
    if (event.type === 'ordered') sim.order = event.order.target
    sim.rollout = reduce(sim.rollout, event)
  }
  assert.deepEqual([sim.order.attempt, sim.rollout.attempt], [2, 2])
  assert.notEqual(sim.plan().action.type, 'end')
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(
    sim.nodes.every(({ hot }) => hot === C),
    'the one that had failed too',
  )
  assert.ok(
    sim.nodes.every((node, i) => node.swaps - (swaps[i] ?? 0) <= 1),
    'converged nodes ignore it',
  )
})

test('an aborted rollout keeps its share; the same build goes on with the same salt, and nobody who has it moves again', () => {
  const sim = ten()
  for (let turn = 0; turn < 100 && !sim.nodes.some(({ hot }) => hot === C); turn += 1) {
    sim.everybody()
    sim.conduct()
  }
  const { cutoff, salt } = sim.order
  assert.ok(cutoff > 0 && cutoff < ALL)
  const decided = decideVerb(wishFor('abort', sim), factsFor('abort', sim.rollout, sim))
  assert.ok(decided.kind === 'do')
  assert.match(
    decided.message,
    /production keeps c-build on \d of 10 nodes, the others b-build; conduct release c-build goes on/,
  )
  sim.rollout = decided.events.reduce(reduce, sim.rollout)
  assert.equal(sim.rollout.phase, 'aborted')
  const view = sim.view().rings[RING]
  assert.ok(view)
  const wish = { ...WISH, id: 'r-next' }
  const facts = { rings: [view], rollout: sim.rollout, builds: [entryOf(C), entryOf(B), entryOf(A)] }
  const other = startRelease({ ...wish, build: A }, facts)
  assert.ok(other.kind === 'refuse' && other.code === 'RING_PARTIAL', 'a third build')
  const start = startRelease({ ...wish, build: C }, facts)
  assert.ok(start.kind === 'begin')
  const swaps = sim.nodes.filter(({ hot }) => hot === C).map((node) => ({ node, swaps: node.swaps }))
  sim.rollout = beginRollout(start.beginning)
  for (const event of start.takesUp) {
    sim.rollout = reduce(sim.rollout, event)
    if (event.type === 'ordered') sim.order = event.order.target
  }
  assert.deepEqual(
    [sim.order.cutoff, sim.order.salt, sim.order.fallback, sim.order.rollout],
    [cutoff, salt, B, 'r-next'],
  )
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(swaps.every(({ node, swaps: before }) => node.swaps === before))
  assert.ok(sim.nodes.every(({ hot, cold }) => hot === C && cold === B))
})

test('a rollout record from before the verbs is read, and says that nobody was waived and nobody took over', () => {
  const old = ten().rollout
  const whole = {
    ...old,
    waivers: [waiver('node-1')],
    commander: 'ben',
    promoted: 2,
    back: true,
    prestage: {},
    verdicts: [],
  }
  const said = readRollout(writeRollout(whole))
  assert.deepEqual(said, { ...said, ...whole })
  const read = readRollout(writeRollout(old))
  assert.deepEqual([read.waivers, read.commander, read.promoted, read.back], [[], null, null, false])
})
