// Owns the suite's slice of disk errors: at seeded steps, once and for ever; `npm run test:crash` lets each step of a deploy fail in each way.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { publishBuilds } from '#test/support/crash/builds.ts'
import { Workshop } from '#test/support/crash/image.ts'
import { type Ground, operationFor, stepsOf } from '#test/support/crash/kill.ts'
import { DISK_ERRORS, type DiskError, type Fault, failAt, type Suffered } from '#test/support/crash/starve.ts'
import { Quarry } from '#test/support/crash/states.ts'
import { seeded } from '#test/support/source-tree.ts'

const SEED = Number(process.env.HOTCOLD_SEED ?? 5)

let workshop: Workshop
let ground: Ground

before(async () => {
  workshop = await Workshop.open()
  ground = { workshop, builds: await publishBuilds(workshop) }
})
after(() => workshop.close())

/** One step for each kind of error, spread over a deploy. */
async function faults(lasts: Fault['lasts']): Promise<readonly (Fault & { readonly label: string })[]> {
  const state = await new Quarry(workshop, ground.builds, 'ext4').state('both')
  const operation = await operationFor(ground, state, 'delta')
  const steps = await stepsOf(ground, state, operation)
  const random = seeded(SEED + lasts.length)
  const errors = Object.keys(DISK_ERRORS) as DiskError[]
  // The last quarter is about leaving cleanly: what fails there, for ever too, stops nothing any more.
  return errors.map((error, index) => {
    const at = 1 + Math.floor(((index + random()) / errors.length) * steps.length * 0.75)
    return { state, operation, at, error, lasts, label: `${error} ${lasts} at ${at} (${steps[at - 1]})` }
  })
}

async function suffer(lasts: Fault['lasts']): Promise<readonly (Suffered & { readonly label: string })[]> {
  const left = (await faults(lasts)).values()
  const all: (Suffered & { readonly label: string })[] = []
  const lane = async (): Promise<void> => {
    for (const fault of left) all.push({ ...(await failAt(ground, fault)), label: fault.label })
  }
  await Promise.all([lane(), lane()])
  return all
}

test('C2, C5, C6, C7: an error of the disk at any step, once, costs time at most: the node gets there, hot whole all the way', async () => {
  for (const { wrong, label } of await suffer('once')) assert.deepEqual(wrong, [], label)
})

test('C2, C5, C6, C7: a disk that fails from some step on leaves hot as it is, is told by its code, and mended lets the deploy through', async () => {
  for (const { wrong, told, outcome, label } of await suffer('for ever')) {
    assert.deepEqual([wrong, outcome], [[], 'told'], label)
    assert.ok(told.length > 0, label)
  }
})
