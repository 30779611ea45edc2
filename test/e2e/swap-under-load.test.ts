// Owns the suite's slice of the load proof: a few swaps behind a real HAProxy; `npm run test:load` is the whole of it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { runCourse } from '#test/load/course.ts'
import { broken, figures, toothless } from '#test/load/verdict.ts'

const COURSE = { swaps: 10, perSecond: 400, nodes: 2 }

test('10 swaps behind HAProxy under a load that never stops: no request fails, no page is mixed, none meets a swap', async (t: TestContext) => {
  const findings = await runCourse(t, { ...COURSE, drained: true })
  assert.deepEqual(broken(findings), [], figures(findings).join('\n'))
})

test('the control, the same without a drain: pages are mixed, and the load finds them', async (t: TestContext) => {
  const findings = await runCourse(t, { ...COURSE, drained: false })
  // How many depends on how fast this machine swaps; the full run asks for its share.
  assert.deepEqual(toothless(findings, 0), [], figures(findings).join('\n'))
})
