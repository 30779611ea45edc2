// Owns the suite's slice of the crash points: pullers killed at seeded moments of seeded operations; `npm run test:crash` tries them all.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { publishBuilds } from '#test/support/crash/builds.ts'
import { Daemons } from '#test/support/crash/daemon.ts'
import { Workshop } from '#test/support/crash/image.ts'
import { dieAt, type Ground, operationFor, type Point, stepsOf } from '#test/support/crash/kill.ts'
import { OPERATIONS, type OperationName, Quarry, STATES, type StateName } from '#test/support/crash/states.ts'
import { seeded } from '#test/support/source-tree.ts'

/** Another seed tries other moments. */
const SEED = Number(process.env.HOTCOLD_SEED ?? 3)

let workshop: Workshop
let ground: Ground
let quarry: Quarry

before(async () => {
  workshop = await Workshop.open()
  ground = { workshop, builds: await publishBuilds(workshop) }
  quarry = new Quarry(workshop, ground.builds, 'ext4')
})
after(() => workshop.close())

/** One moment of each equal part of an operation. */
async function moments(name: StateName, operationName: OperationName, parts: number) {
  const state = await quarry.state(name)
  const operation = await operationFor(ground, state, operationName)
  const steps = await stepsOf(ground, state, operation)
  const random = seeded(SEED + name.length * 31 + operationName.length)
  const ats = Array.from({ length: parts }, (_, part) => 1 + Math.floor(((part + random()) / parts) * steps.length))
  return { state, operation, steps, ats, random }
}

async function tryAll(t: TestContext, points: readonly { readonly label: string; readonly point: Point }[]) {
  const left = points.values()
  let slowestMs = 0
  let killed = 0
  const lane = async (): Promise<void> => {
    for (const { label, point } of left) {
      const verdict = await dieAt(ground, point)
      assert.deepEqual(verdict.wrong, [], label)
      killed += Number(verdict.killed)
      slowestMs = Math.max(slowestMs, verdict.recoveryMs)
    }
  }
  await Promise.all([lane(), lane()])
  t.diagnostic(`${killed} of ${points.length} killed, slowest recovery ${Math.round(slowestMs)} ms`)
  return killed
}

const ONCE = [
  ['empty', 'first', 2],
  ['both', 'delta', 5],
  ['one', 'abort', 2],
  ['both', 'rollback', 2],
  ['marksLost', 'rollback', 1],
  ['journalLost', 'start', 1],
  ['halfway', 'delta', 1],
] as const

test('D1: a puller killed at any moment leaves hot whole and every seal true, and the next one gets to where it was sent', async (t: TestContext) => {
  const points: { label: string; point: Point }[] = []
  for (const [name, operationName, parts] of ONCE) {
    const { state, operation, steps, ats } = await moments(name, operationName, parts)
    for (const [index, at] of ats.entries()) {
      const how = index % 2 === 0 ? 'kill' : 'tear'
      const label = `${STATES[name]}, ${OPERATIONS[operationName]}: ${how} at ${at} (${steps[at - 1]})`
      points.push({ label, point: { state, operation, at, how, again: null } })
    }
  }
  const killed = await tryAll(t, points)
  // The last steps of a run may come in another order, or not at all.
  assert.ok(killed >= points.length - 2, `${killed} of ${points.length} were killed`)
})

test('D1: killed again while it recovers, a puller still gets there at the third start', async (t: TestContext) => {
  const points: { label: string; point: Point }[] = []
  for (const [name, operationName] of [
    ['both', 'delta'],
    ['drift', 'rollback'],
  ] as const) {
    const { state, operation, ats, random } = await moments(name, operationName, 2)
    for (const at of ats) {
      const again = 1 + Math.floor(random() * 60)
      const label = `${STATES[name]}, ${OPERATIONS[operationName]}: killed at ${at}, then at ${again}`
      points.push({ label, point: { state, operation, at, how: 'kill', again } })
    }
  }
  assert.ok((await tryAll(t, points)) >= points.length - 1)
})

test('D1: `puller run` under a Consul, killed in the middle of a deploy, reports the new build after its next start', async (t: TestContext) => {
  const { state, operation, steps, ats } = await moments('both', 'delta', 2)
  const daemons = await Daemons.open(ground)
  t.after(() => daemons.close())
  for (const at of ats) {
    const verdict = await daemons.dieAt(state, operation, at)
    assert.deepEqual([verdict.wrong, verdict.killed], [[], true], `killed at ${at} (near ${steps[at - 1]})`)
  }
})
