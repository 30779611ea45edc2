// Owns the slice of the take-over points that each run of the suite plays; `npm run test:takeover` plays all.
import { test } from 'node:test'
import { nameOf, type Point } from '#test/takeover/points.ts'
import { play } from '#test/takeover/scene.ts'

const SLICE: readonly Point[] = [
  { way: 'good', at: 'raise staging 4 of 4', moment: 'before send', fate: 'killed', by: 'take-over' },
  { way: 'good', at: 'raise production 1 of 4', moment: 'before send', fate: 'frozen', by: 'take-over' },
  { way: 'good', at: 'stage-passed canary 100', moment: 'after commit', fate: 'killed', by: 'take-over' },
  { way: 'good', at: 'stage-passed staging 100', moment: 'after commit', fate: 'frozen', by: 'take-over' },
  { way: 'good', at: 'stage-converged production 50', moment: 'in soak', fate: 'frozen', by: 'take-over' },
  { way: 'bad', at: 'rollback-begun', moment: 'after commit', fate: 'killed', by: 'take-over' },
]

test('F6: whoever drives a release dies or freezes; another goes on, no stage is skipped or repeated, and the first writes nothing more', {
  concurrency: SLICE.length,
}, async (t) => {
  await Promise.all(SLICE.map((point) => t.test(nameOf(point), (each) => play(each, point))))
})
