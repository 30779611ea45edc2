// Owns the proof of a rollout through several rings: who is staged when, that nobody runs the build before the turn of the ring, and the way back of all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRelease } from '#conductor/core/beginning.ts'
import { beginRollout, isOver, reduce } from '#conductor/core/reduce.ts'
import { capOf } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import { ALL } from '#fleet/target.ts'
import { fc } from '#test/support/properties.ts'
import { Journey, type JourneyOptions } from '#test/support/ring-sim.ts'
import { A, B, C, SimNode } from '#test/support/rollout-sim.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const STAGES = [
  { ring: 'staging', share: 100 },
  { ring: 'canary', share: 100 },
  { ring: 'production', share: 50 },
  { ring: 'production', share: 100 },
]
const PREVIOUS = { staging: 'previous', canary: 'previous', production: 'previous' } as const
const START = { ...PREVIOUS, production: 'start' } as const

const three = (options: Partial<JourneyOptions> = {}) =>
  new Journey({ rings: { staging: 2, canary: 3, production: 10 }, stages: STAGES, prestage: PREVIOUS, ...options })

const staged = (sim: Journey): readonly string[] =>
  sim.writes.flatMap(({ kind, ring }) => (kind === 'stage' ? [ring] : []))

test('a ring is staged when the one before it begins; with prestage: start all at once; else when it is its turn', () => {
  const sim = three()
  assert.ok(sim.live(() => sim.exposed('staging') > 0))
  assert.deepEqual(staged(sim), ['staging', 'canary'], 'before anybody runs the build')
  assert.ok(sim.live(() => sim.rollout.stage === 1 && sim.exposed('canary') > 0))
  assert.deepEqual(staged(sim), ['staging', 'canary', 'production'])
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(
    ['staging', 'canary', 'production'].every((ring) => sim.in(ring).every(({ hot, cold }) => hot === C && cold === B)),
  )

  const early = three({ prestage: START })
  assert.ok(early.live(() => early.exposed('staging') > 0))
  assert.deepEqual(staged(early), ['staging', 'canary', 'production'])
  const late = three({ prestage: {} })
  late.settle()
  const orders = late.writes.map(({ kind, ring }) => `${kind} ${ring}`)
  assert.ok(orders.indexOf('stage canary') > orders.lastIndexOf('raise staging'))
  assert.equal(late.rollout.phase, 'done')
})

test('a build that fails in the first ring is taken out of cold everywhere: rings that only staged it are closed, and none of their nodes moves', () => {
  const sim = three({ prestage: START })
  sim.settle((build) => build !== C)
  assert.equal(sim.rollout.phase, 'rolledBack')
  for (const ring of ['staging', 'canary', 'production']) {
    const order = sim.orders.get(ring as Name)
    assert.deepEqual([order?.build, order?.fallback, order?.cutoff], [B, A, ALL], ring)
  }
  assert.ok([...sim.in('canary'), ...sim.in('production')].every(({ hot, swaps }) => hot === B && swaps === 0))
  for (let turn = 0; turn < 20; turn += 1) sim.everybody()
  assert.ok(
    [...sim.in('canary'), ...sim.in('production')].every(({ cold }) => cold === A),
    'armed for the way back again',
  )
})

test('A24: an order of someone else in a ring that was only staged holds the rollout before anything goes on', () => {
  const sim = three()
  assert.ok(sim.live(() => staged(sim).includes('canary')))
  const canary = 'canary' as Name
  const order = sim.orders.get(canary)
  assert.ok(order)
  sim.orders.set(canary, { ...order, build: A, rollout: 'by hand', generation: 90, by: 'eve' })
  const { action } = sim.conduct()
  assert.ok(action.type === 'hold' && action.hold.code === 'orphan-write')
  assert.match(action.hold.reason, /target of canary orders a-build \(generation 90, by eve/)
})

test('failures in a ring that was passed already turn the rollout back too', () => {
  const sim = three()
  assert.ok(sim.live(() => sim.rollout.stage >= 2))
  const [node] = sim.in('staging')
  assert.ok(node)
  node.refusal = { build: C, code: 'CRASH_LOOP', message: 'it died three times' }
  node.said = node.status()
  const { action } = sim.conduct()
  assert.ok(action.type === 'rollBack')
  assert.match(action.outcome, /1 of 2 nodes of staging failed c-build/)
})

test('a ring whose running build has not proved good there is not staged ahead, unless that is forced by name', () => {
  const sim = three()
  const view = sim.view()
  const rings = (['staging', 'canary', 'production'] as Name[]).flatMap((ring) => view.rings[ring] ?? [])
  const facts = { rings, rollout: null, builds: [entryOf(C), entryOf(B, { good: { staging: 't', production: 't' } })] }
  const prestage = { production: 'start' } as const
  const begun = (more: object) => {
    const start = startRelease({ ...WISH, prestage, ...more }, facts)
    assert.ok(start.kind === 'begin', JSON.stringify(start))
    return start.beginning
  }
  assert.deepEqual(begun({}).prestage, { staging: 'previous', production: 'start' })
  assert.deepEqual(begun({ force: ['soak'] }).prestage, {
    staging: 'previous',
    canary: 'previous',
    production: 'start',
  })
  sim.rollout = beginRollout({ ...begun({}), stages: STAGES as never, at: new Date(0).toISOString() })
  sim.settle()
  assert.deepEqual(staged(sim), ['staging', 'production', 'canary'], 'canary when its turn comes')
  assert.equal(sim.rollout.phase, 'done')
})

const happening = fc.record({
  turn: fc.nat(150),
  what: fc.constantFrom('join', 'silence', 'return', 'stall', 'go on', 'rollback'),
  ring: fc.constantFrom('staging', 'canary', 'production'),
  node: fc.nat(9),
})

test('A21: in every ring and any order of joiners, silences and rollbacks: the cap holds, nobody runs the build before the ring’s turn, and all end alike', () => {
  const world = fc.record({
    sizes: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9 })),
    prestage: fc.constantFrom(PREVIOUS, START, {}),
    broken: fc.option(fc.constantFrom('staging', 'canary', 'production'), { nil: null }),
    happenings: fc.array(happening, { maxLength: 12 }),
  })
  fc.assert(
    fc.property(world, ({ sizes: [staging, canary, production], prestage, broken, happenings }) => {
      const sim = three({ rings: { staging, canary, production }, prestage })
      const healthy = (build: string, node: SimNode) => build !== C || broken === null || !node.name.startsWith(broken)
      for (let turn = 0; turn < 160; turn += 1) {
        for (const { what, ring, node } of happenings.filter((one) => one.turn === turn)) {
          const nodes = sim.nodes.get(ring as Name) ?? []
          const one = nodes[node % nodes.length]
          const order = sim.orders.get(ring as Name)
          if (what === 'join' && order !== undefined)
            nodes.push(new SimNode(`${ring}-late-${turn}-${node}`, { ...order, generation: -1 }, null, null))
          else if (what === 'rollback') {
            if (!isOver(sim.rollout) && sim.rollout.phase !== 'recalling')
              sim.rollout = reduce(sim.rollout, { type: 'recallBegun', cause: 'operator', outcome: 'asked' })
          } else if (one !== undefined && (what === 'silence' || what === 'return')) one.silent = what === 'silence'
          else if (one !== undefined) one.stalled = what === 'stall'
        }
        sim.everybody(healthy)
        const turnOf = sim.rollout.stages[sim.rollout.stage]?.ring
        sim.conduct()
        const passed = sim.rollout.stages.slice(0, sim.rollout.stage + 1).map(({ ring }) => ring)
        for (const ring of ['staging', 'canary', 'production'] as Name[]) {
          if (!passed.includes(ring)) assert.equal(sim.exposed(ring), 0, `${ring} while it is the turn of ${turnOf}`)
        }
      }
      for (const { kind, ring, taken, out, roster } of sim.writes) {
        const cap = capOf({ maxUnavailable: 33, failureBudget: 10, waveMs: 0, allAtOnce: false }, roster)
        if (kind === 'raise' && taken > 0)
          assert.ok(taken + out <= cap, `${ring}: took ${taken} with ${out} out of ${roster}`)
        if (kind === 'stage') assert.equal(taken, 0, `${ring} was only staged`)
      }
      for (const nodes of sim.nodes.values())
        for (const node of nodes) Object.assign(node, { silent: false, stalled: false })
      sim.settle(healthy)
      for (let turn = 0; turn < 20; turn += 1) sim.everybody(healthy)
      assert.ok(isOver(sim.rollout), `${sim.rollout.phase}: ${JSON.stringify(sim.plan().because)}`)
      const all = [...sim.nodes.values()].flat()
      const end = sim.rollout.phase === 'done' ? C : B
      assert.ok(
        all.every(({ hot }) => hot === end),
        `${sim.rollout.phase}, and ${all.filter(({ hot }) => hot !== end).map(({ name, hot, phase }) => `${name} ${hot} ${phase}`)}`,
      )
    }),
    { numRuns: 200 },
  )
})
