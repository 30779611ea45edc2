// Owns the proof that the node's machine has no stuck and no unsafe state.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { step } from '#puller/core/machine.ts'
import { TABLE } from '#puller/core/table.ts'
import { walk } from '#test/support/walk.ts'
import { UNIVERSES } from '#test/support/walk-worlds.ts'

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
