// Owns the suite's slice of the power cuts: a few moments of a deploy on ext4 and on xfs; `npm run test:crash` cuts at every step.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { publishBuilds } from '#test/support/crash/builds.ts'
import { type FileSystem, Workshop } from '#test/support/crash/image.ts'
import { type Ground, operationFor, stepsOf } from '#test/support/crash/kill.ts'
import { type Cut, cutPower } from '#test/support/crash/power.ts'
import { Quarry } from '#test/support/crash/states.ts'

let workshop: Workshop
let ground: Ground

before(async () => {
  workshop = await Workshop.open()
  ground = { workshop, builds: await publishBuilds(workshop) }
})
after(() => workshop.close())

/** While cold is written; then, densely, from the swap to the end: that is when what was never synced would be missed. */
const PARTS = [0.45, 0.62, 0.68, 0.75, 0.85, 0.95]

for (const kind of ['ext4', 'xfs'] satisfies FileSystem[]) {
  test(`D2: the power goes at any moment of a deploy on ${kind}: no empty file behind hot, and the next start gets through`, async (t: TestContext) => {
    const state = await new Quarry(workshop, ground.builds, kind).state('both')
    const operation = await operationFor(ground, state, 'delta')
    const steps = await stepsOf(ground, state, operation)
    const chosen = new Set(PARTS.map((part) => Math.round(part * steps.length)))
    const cuts: Cut[] = []
    await cutPower(
      ground,
      state,
      operation,
      (_step, at) => chosen.has(at),
      (cut) => void cuts.push(cut),
    )
    assert.deepEqual(
      cuts.flatMap(({ at, step, wrong }) => wrong.map((text) => `power cut at ${at} (${step}): ${text}`)),
      [],
    )
    assert.equal(cuts.length, PARTS.length)
    t.diagnostic(`cut at ${cuts.map(({ step }) => step).join(', ')}`)
  })
}
