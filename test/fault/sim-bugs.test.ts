// Owns the proof that the simulation would notice: each bug that could be written into the rules is caught within 200 seeds.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PRODUCTION } from '#conductor/sim/rules.ts'
import { trySeed } from '#test/support/sim.ts'
import { BUGS } from '#test/support/sim-bugs.ts'

const SEEDS = 200

for (const [bug, { rules, faults, noticed }] of Object.entries(BUGS)) {
  test(`the simulation notices within ${SEEDS} seeds when ${bug}`, async (t: TestContext) => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { violation } = await trySeed(seed, { ...PRODUCTION, ...rules }, faults && new Set(faults))
      if (violation === null) continue
      t.diagnostic(`seed ${seed}: ${violation.check}: ${violation.message}`)
      assert.ok(noticed.includes(violation.check), `${violation.check}: ${violation.message}`)
      return
    }
    assert.fail(`nothing was noticed in ${SEEDS} seeds`)
  })
}
