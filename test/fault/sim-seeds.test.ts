// Owns the proof by seeds: thousands of small fleets, each with its own faults, and every seed that once found a bug.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ALL_FAULTS } from '#conductor/sim/faults.ts'
import { simulate } from '#conductor/sim/run.ts'
import { broken, faultsOf, trySeed } from '#test/support/sim.ts'

const SEEDS = 2_000

test(`A22 F6 F8 F12: ${SEEDS} seeded fleets under late words, crashes, zombies, hands and restores break no promise`, async (t: TestContext) => {
  const began = performance.now()
  const ends = new Map<string, number>()
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const report = await trySeed(seed)
    assert.equal(broken(report, faultsOf(seed)), null)
    for (const phase of Object.values(report.rollouts)) ends.set(phase, (ends.get(phase) ?? 0) + 1)
  }
  t.diagnostic(`${JSON.stringify(Object.fromEntries(ends))} in ${Math.round(performance.now() - began)} ms`)
  assert.ok(
    (ends.get('done') ?? 0) > SEEDS / 5 && (ends.get('rolledBack') ?? 0) > SEEDS / 5,
    'both ends were seen often',
  )
})

/** Each broke a promise once; what was wrong is said beside it. */
const KEPT: readonly (readonly [nodes: number, seed: number, what: string])[] = [
  [12, 1299, 'a retry took nodes that had failed the attempt before as if they were out, by old words of theirs'],
  [9, 11856, 'after a restore a generation was given out twice, and nodes obeyed the other record of it for ever'],
  [
    5,
    9892,
    'a rollback whose closing record somebody wrote over went back in waves, and ended before it had closed again',
  ],
]

for (const [nodes, seed, what] of KEPT) {
  test(`seed ${seed} of ${nodes} nodes: ${what}`, async () => {
    const faults = new Set(ALL_FAULTS)
    assert.equal(broken(await simulate({ nodes, seed, faults }), faults), null)
  })
}
