// Owns a slice of the hostile archives and manifests for every run of the suite: `npm run test:hostile -- archives` runs 10,000.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { archiveCaseArb } from '#test/support/hostile/archive-case.ts'
import { openArena } from '#test/support/hostile/arena.ts'
import { runCases } from '#test/support/hostile/run.ts'

const RUN = { count: 100, seed: 1_771_000_001 }

test(`E1 to E17: ${RUN.count} hostile archives and manifests write nothing outside the cold tree, and what is accepted is what the manifest says`, async (t: TestContext) => {
  const arena = await openArena(t)
  const { verdicts, slowestMs, peakMiB } = await runCases(RUN, archiveCaseArb, async (hostile) => {
    return (await arena.stage(hostile)).verdict
  })
  t.diagnostic(`${JSON.stringify(verdicts)}, slowest ${slowestMs} ms, peak ${peakMiB} MiB`)
  // The slice reaches what it is there for: refusals of each kind, and builds that lies did not hurt.
  for (const verdict of ['MANIFEST_INVALID', 'DIGEST_MISMATCH', 'accepted and equal']) {
    assert.ok((verdicts[verdict] ?? 0) > 2, `${verdict}: ${verdicts[verdict]}`)
  }
})
