// Owns `npm run test:load`: the full run and its control, their figures, and exit 1 when either does not hold. Arguments: --swaps, --rate, --nodes.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseArgs } from 'node:util'
import { type Findings, runCourse } from './course.ts'
import { broken, figures, toothless } from './verdict.ts'

const { values } = parseArgs({
  options: {
    swaps: { type: 'string', default: '200' },
    rate: { type: 'string', default: '2500' },
    nodes: { type: 'string', default: '2' },
  },
})

function whole(name: keyof typeof values): number {
  const count = Number(values[name])
  assert.ok(Number.isInteger(count) && count > 0, `--${name} is a whole number above 0`)
  return count
}

const course = { swaps: whole('swaps'), perSecond: whole('rate'), nodes: whole('nodes') }
const EVERY = 20

async function run(t: TestContext, drained: boolean): Promise<Findings> {
  const findings = await runCourse(t, { ...course, drained }, (done, load) => {
    if (done % EVERY !== 0) return
    process.stderr.write(`${done} swaps, ${load.served} served, ${load.failed} failed, ${load.mixed} mixed\n`)
  })
  process.stdout.write(
    `${drained ? 'drained' : 'control'}:\n${figures(findings)
      .map((line) => `  ${line}\n`)
      .join('')}`,
  )
  return findings
}

test(`${course.swaps} swaps at ${course.perSecond} requests a second: none fails, none is mixed`, async (t: TestContext) => {
  assert.deepEqual(broken(await run(t, true)), [])
})

test('the control: the same without a drain mixes more than 1 % of all pages', async (t: TestContext) => {
  assert.deepEqual(toothless(await run(t, false)), [])
})
