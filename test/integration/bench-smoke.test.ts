// Owns the proof that every bench still runs: tiny sizes, one round, all figures there and positive. Nothing here is about time.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BENCHES } from '#bench/benches.ts'
import { main } from '#bench/main.ts'
import { tmp } from '#test/support/tmp.ts'

interface Kept {
  readonly bench: string
  readonly measured: readonly { readonly name: string; readonly samples: readonly Record<string, number>[] }[]
  readonly ratios: readonly { readonly value: number }[]
}

/** What must have been measured wherever the suite runs; rsync, casync and the like join where they are installed. */
const ALWAYS: Readonly<Record<string, readonly string[]>> = {
  'full-20k': ['ours', 'puller-run', 'curl-tar', 'tar'],
  'change-20k': ['ours-delta', 'ours-ranges', 'ours-after-rollback', 'puller-run', 'cp-al', 'curl-tar'],
  rollback: ['swap', 'armed-renamed', 'armed-served', 'armed-verified', 'unarmed-renamed'],
  wake: ['watchers-1', 'watchers-20', 'puller-accepted'],
  puller: ['start', 'start-uncompiled', 'idle-started', 'idle-staged'],
  publish: ['conduct-publish', 'tar-zstd', 'tar-zstd-threads'],
  push: ['key-write', 'prestaged'],
}

/** Nothing may be fetched, and an idle second may cost no CPU that could be counted. */
const MAY_BE_NONE = /^(fetchedBytes|sentBytes|cpuPercent)$/

/** Benches of one group share their trees. */
const GROUPS = [['full-20k', 'change-20k'], ['rollback', 'puller'], ['wake'], ['publish', 'push']]

for (const group of GROUPS) {
  test(`${group.join(' and ')} of the bench run, and measure what they say`, async (t) => {
    const dir = await tmp(t, 'bench')
    const said: string[] = []
    const out = join(dir, 'out')
    // Capistrano alone would take longer than all the rest; `npm run bench -- --quick` has it.
    const argv = [...group, '--quick', '--partial', '--without', 'cap', '--dir', dir, '--out', out]
    const code = await main(argv, (text) => void said.push(text))
    assert.equal(code, 0, said.join('\n'))
    assert.match(said.join('\n'), /== promises/)
    for (const bench of group) measuredAll(join(out, `${bench}.json`), ALWAYS[bench] ?? [])
  })
}

function measuredAll(file: string, names: readonly string[]): void {
  const { bench, measured, ratios } = JSON.parse(readFileSync(file, 'utf8')) as Kept
  for (const name of names) {
    const samples = measured.find((one) => one.name === name)?.samples ?? []
    assert.ok(samples.length > 0, `${bench} measured ${name}`)
    for (const [key, value] of samples.flatMap((sample) => Object.entries(sample))) {
      assert.ok(MAY_BE_NONE.test(key) ? value >= 0 : value > 0, `${bench} ${name} ${key}: ${value}`)
    }
  }
  assert.ok(ratios.every(({ value }) => Number.isFinite(value)))
}

test('a bench that there is not is refused by name, and all that there are have a story here', async () => {
  const said: string[] = []
  assert.equal(await main(['fast'], (text) => void said.push(text)), 2)
  assert.match(said.join('\n'), /there is no bench fast/)
  // Tiny trees are the same for both sizes.
  const names = Object.keys(BENCHES).filter((name) => !name.endsWith('-60k'))
  assert.deepEqual(GROUPS.flat().toSorted(), names.toSorted())
})
