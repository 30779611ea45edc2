// Owns a slice of the hostile records, answers and configs for every run of the suite: `npm run test:hostile -- records` runs 10,000.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { hostileRecordArb, openRecords } from '#test/support/hostile/record-case.ts'
import { runCases } from '#test/support/hostile/run.ts'

const RUN = { count: 600, seed: 1_771_000_002 }

test(`A5, A10, A11, H3, I3, I7: ${RUN.count} hostile records, orders, answers and configs are refused with a code, or mean what was written`, async (t: TestContext) => {
  const { verdicts, slowestMs, peakMiB } = await runCases(RUN, hostileRecordArb, await openRecords(t))
  t.diagnostic(`${JSON.stringify(verdicts)}, slowest ${slowestMs} ms, peak ${peakMiB} MiB`)
  const reached = [
    ...[
      'record: RECORD_INVALID',
      'record: believed, as written',
      'orders: accepted, as ordered',
      'orders: TARGET_REGRESSED',
    ],
    ...[
      'orders: TARGET_FOREIGN',
      'answer: CONSUL_BAD_ANSWER',
      'answer: believed, as Consul said it',
      'config: CONFIG_INVALID',
    ],
  ]
  for (const verdict of reached) assert.ok((verdicts[verdict] ?? 0) > 5, `${verdict}: ${verdicts[verdict]}`)
})
