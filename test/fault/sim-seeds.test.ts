// Owns the proof by seeds: thousands of small fleets, each with its own faults, and every seed that once found a bug.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { ALL_FAULTS } from '#conductor/sim/faults.ts'
import { simulate } from '#conductor/sim/run.ts'
import { end, ended, mortal } from '#test/support/child.ts'
import { broken } from '#test/support/sim.ts'

const SEEDS = 2_000

/** `HOTCOLD_PROPERTY_SEED=random` searches elsewhere. */
const FROM = process.env.HOTCOLD_PROPERTY_SEED === 'random' ? [] : ['1']

test(`A22 F6 F8 F12: ${SEEDS} seeded fleets under late words, crashes, zombies, hands and restores break no promise`, async (t: TestContext) => {
  // In a process of its own: what the test runner does at every promise would double its time.
  const script = new URL('./sim/main.ts', import.meta.url).pathname
  const child = spawn(...mortal(process.execPath, script, String(SEEDS), ...FROM), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => end(child, 'SIGKILL'))
  const said = await text(child.stdout)
  assert.equal(await ended(child), 0, said)
  const ends = JSON.parse(/^rollouts: (.*)$/m.exec(said)?.[1] ?? '{}') as Record<string, number>
  t.diagnostic(JSON.stringify(ends))
  assert.ok((ends.done ?? 0) > SEEDS / 5 && (ends.rolledBack ?? 0) > SEEDS / 5, 'both ends were seen often')
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
