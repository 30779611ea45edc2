// Owns the proof of the counts: each node in exactly one, no data never counted as good.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { type NodeStatus, PHASES } from '#fleet/node-status.ts'
import { countNodes, NODE_STATES, stateOf } from '#fleet/roster.ts'
import { readTarget } from '#fleet/wire.ts'
import { fc } from '#test/support/properties.ts'

const digest = `sha256:${'0'.repeat(64)}` as Digest
const [B, C, X] = ['b', 'c', 'x'] as [BuildId, BuildId, BuildId]
const record = {
  v: 1,
  app: 'web',
  ring: 'r',
  generation: 9,
  build: C,
  manifest: digest,
  fallback: B,
  fallbackManifest: digest,
  cutoff: 0,
  rollout: 'r-1',
}
const target = readTarget(new TextEncoder().encode(JSON.stringify(record)), { app: 'web', ring: 'r' })

function status(over: Partial<NodeStatus>): NodeStatus {
  const names = { app: 'web' as Name, ring: 'r' as Name, node: 'n' as Name }
  const rest = { armed: false, rollout: null, attempt: 1, refusal: null, at: '', troubles: [], progress: null }
  return { ...names, phase: 'idle', hot: C, cold: B, generation: 9, ...rest, ...over }
}
const state = (over: Partial<NodeStatus>, silent = false) => stateOf({ status: status(over), silent }, target)

test('each node is counted for what it proved about this generation', () => {
  assert.equal(state({}), 'converged')
  assert.equal(state({ hot: B, cold: C, phase: 'staged' }), 'staged')
  assert.equal(state({ hot: B, cold: X }), 'working')
  assert.equal(state({ phase: 'verifying' }), 'working', 'it runs the build, but has not proved it')
  assert.equal(state({ generation: 8 }), 'working', 'a status from before the order proves nothing about it')
  assert.equal(
    state({ generation: 8, rollout: 'r-1' }),
    'converged',
    'a later cutoff of its rollout asked nothing new of it',
  )
  assert.equal(state({ generation: 8, rollout: 'r-0' }), 'working', 'another rollout may have')
  assert.equal(state({ hot: B, cold: C, refusal: { build: C, code: 'VERIFY_FAILED', message: '' } }), 'failed')
  assert.equal(
    state({ refusal: { build: X, code: 'VERIFY_FAILED', message: '' } }),
    'converged',
    'an old refusal of another build',
  )
  assert.equal(state({ phase: 'parked' }), 'failed')
})

test('F12 F13: a silent node is silent whatever it said last, and an empty ring has nobody converged', () => {
  assert.equal(state({}, true), 'silent')
  assert.deepEqual(countNodes([], target), { total: 0, converged: 0, staged: 0, working: 0, failed: 0, silent: 0 })
})

test('the counts always sum to the roster', () => {
  const build = fc.constantFrom(B, C, X, null)
  const node = fc.record({
    status: fc
      .record({
        phase: fc.constantFrom(...PHASES),
        hot: build,
        cold: build,
        generation: fc.integer({ min: 7, max: 11 }),
      })
      .map((over) => status(over)),
    silent: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(node), (nodes) => {
      const counts = countNodes(nodes, target)
      assert.equal(
        NODE_STATES.reduce((sum, name) => sum + counts[name], 0),
        nodes.length,
      )
      assert.equal(counts.total, nodes.length)
    }),
  )
})
