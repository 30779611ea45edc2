// Owns the proof of what a plan does about silent nodes: it waits, or goes on without them by name, within the budget, until they are heard of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOver } from '#conductor/core/reduce.ts'
import { Journey } from '#test/support/ring-sim.ts'
import { C } from '#test/support/rollout-sim.ts'

const STAGE = { ring: 'production', share: 100 }
const journey = (nodes: number, more: object = {}) =>
  new Journey({ rings: { production: nodes }, stages: [{ ...STAGE, ...more }] })

/** So many nodes are silent from the start, the last of the ring. */
function silence({ nodes }: Journey, count: number) {
  const silent = [...nodes.values()].flat().slice(-count)
  for (const node of silent) node.silent = true
  return silent
}

test('F12: without a word in the plan a silent node is waited for, however long it takes', () => {
  const sim = journey(20)
  const [lost] = silence(sim, 1)
  sim.settle()
  assert.equal(isOver(sim.rollout), false)
  assert.deepEqual(sim.plan().because[0]?.nodes, [lost?.name])
  assert.deepEqual(sim.rollout.waivers ?? [], [])
})

test('F12: where the plan goes on, a node is waived after its time, by policy and with the reason, and the end names it', () => {
  const sim = journey(20, { silentSeconds: 60 })
  const [lost] = silence(sim, 1)
  sim.live(() => sim.rollout.progress?.silentAt !== undefined)
  const since = sim.now
  assert.match(sim.plan().because[0]?.message ?? '', /goes on without them in/)
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(sim.now >= since + 60_000, `${sim.now - since} ms`)
  const [waiver] = sim.rollout.waivers ?? []
  assert.deepEqual(
    [waiver?.node, waiver?.by, waiver?.reason, waiver?.policy],
    [lost?.name, 'policy', 'silent for 1 min 0 s', true],
  )
  assert.match(sim.rollout.outcome ?? '', /not counting production-19 \(waived by policy: silent for 1 min 0 s\)/)
})

test('the time counts from when nothing else was waited for: a node that is slow and then dies is given all of it', () => {
  const sim = journey(20, { silentSeconds: 60 })
  sim.live(() => sim.exposed('production') > 0)
  const slow = sim.in('production').find(({ hot }) => hot !== C)
  assert.ok(slow)
  slow.stalled = true
  for (let turn = 0; turn < 300; turn += 1) [sim.everybody(), sim.conduct()]
  assert.equal(sim.plan().because[0]?.code, 'nodes-working')
  assert.equal(sim.rollout.progress?.silentAt, undefined)
  slow.silent = true
  const since = sim.now
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.ok(sim.now >= since + 60_000, `${sim.now - since} ms`)
})

test('no more nodes are given up than the failure budget allows, those that failed included', () => {
  const many = journey(20, { silentSeconds: 60 })
  silence(many, 3)
  many.settle()
  assert.equal(isOver(many.rollout), false)
  assert.match(
    many.plan().because[0]?.message ?? '',
    /of 20 nodes at most 2 may be failed or given up by the plan, and these make it 3/,
  )

  const mixed = journey(20, { silentSeconds: 60 })
  silence(mixed, 1)
  mixed.settle((build, node) => build !== C || !['production-0', 'production-1'].includes(node.name))
  assert.equal(isOver(mixed.rollout), false)
  assert.match(mixed.plan().because[0]?.message ?? '', /these make it 3/)

  const policy = { maxUnavailable: 100 }
  const stages = [{ ...STAGE, silentSeconds: 60 }]
  const small = new Journey({ rings: { production: 4 }, stages, policy })
  silence(small, 1)
  small.settle()
  assert.match(small.plan().because[0]?.message ?? '', /of 4 nodes none may be failed or given up/)
})

test('the only nodes that were to run the build are not given up: nothing would have been seen of it', () => {
  const sim = journey(20, { share: 5, silentSeconds: 60 })
  sim.live(() => sim.exposed('production') > 0)
  const exposed = sim.in('production').filter((node) => node.wanted(sim.writes.at(-1)?.order).hot === C)
  assert.equal(exposed.length, 1)
  for (const node of exposed) node.silent = true
  for (let turn = 0; turn < 300; turn += 1) [sim.everybody(), sim.conduct()]
  assert.equal(isOver(sim.rollout), false)
  assert.match(sim.plan().because[0]?.message ?? '', /nobody else runs c-build here/)
})

test('a node that is heard of again is waited for again, and the soak begins anew', () => {
  const sim = journey(20, { silentSeconds: 60, soakSeconds: 100 })
  const [lost] = silence(sim, 1)
  assert.ok(lost)
  lost.stalled = true
  sim.live(() => sim.rollout.phase === 'soaking')
  assert.equal(sim.rollout.waivers?.length, 1)
  lost.silent = false
  sim.everybody()
  assert.equal(sim.conduct().action.type, 'unwaive')
  assert.deepEqual(sim.rollout.waivers, [])
  sim.conduct()
  assert.equal(sim.rollout.phase, 'advancing')
  lost.stalled = false
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.equal(sim.rollout.outcome, 'c-build runs on every ring of the plan')
})

test('what a node says when it is heard of again counts: one failure more than the budget takes the build back', () => {
  const sim = journey(10, { silentSeconds: 60, soakSeconds: 100 })
  const [lost] = silence(sim, 1)
  assert.ok(lost)
  const healthy = (build: string, { name }: { name: string }) => build !== C || name !== lost.name
  sim.live(() => sim.rollout.phase === 'soaking', healthy)
  assert.equal(sim.rollout.waivers?.length, 1)
  const other = sim.in('production')[0]
  assert.ok(other)
  lost.silent = false
  other.refusal = { build: C, code: 'VERIFY_FAILED', message: 'no answer' }
  sim.settle(healthy)
  assert.equal(sim.rollout.phase, 'rolledBack')
  assert.match(sim.rollout.outcome ?? '', /2 of 10 nodes of production failed/)
})

test('with a barrier nobody swaps before silent nodes are waived too', () => {
  const sim = journey(20, { silentSeconds: 60, barrier: true })
  silence(sim, 2)
  sim.live(() => sim.rollout.progress?.silentAt !== undefined)
  assert.equal(sim.exposed('production'), 0)
  sim.settle()
  assert.equal(sim.rollout.phase, 'done')
  assert.equal(sim.rollout.waivers?.length, 2)
})
