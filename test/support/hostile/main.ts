// Owns the command that runs hostile cases in numbers: `npm run test:hostile -- [archives|records] [--count N] [--seed N] [--path P] [--staged N]`, N decoded for each one staged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArgs } from 'node:util'
import { archiveCaseArb } from './archive-case.ts'
import { openArena } from './arena.ts'
import { hostileRecordArb, openRecords } from './record-case.ts'
import { runCases, type Told } from './run.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    path: { type: 'string' },
    'go-on': { type: 'boolean' },
    staged: { type: 'string', default: '1' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const run = {
  count: Number(values.count),
  seed,
  ...(values.path !== undefined && { path: values.path }),
  goOn: values['go-on'] ?? false,
  onProgress: (done: number) => void (done % 1_000 === 0 && process.stderr.write(`${done} cases\n`)),
}
const wanted = (part: string) => positionals.length === 0 || positionals.includes(part)

function tell(what: string, told: Told): void {
  const rows = Object.entries(told.verdicts).sort(([, a], [, b]) => b - a)
  const lines = rows.map(([verdict, times]) => `  ${String(times).padStart(6)}  ${verdict}`)
  const { ms, slowestMs, sampledMiB, peakMiB } = told
  lines.push(
    `  ${Math.round(ms / 1_000)} s, slowest case ${slowestMs} ms, memory ${sampledMiB} MiB after a case, ${peakMiB} MiB at its peak`,
  )
  process.stdout.write(`${what}, seed ${run.seed}:\n${lines.join('\n')}\n`)
  assert.deepEqual(told.failures, [])
}

process.stdout.write(`seed ${run.seed}; a failing case replays with --seed and --path\n`)

if (wanted('archives')) {
  test(`${run.count} hostile archives and manifests`, async (t) => {
    const arena = await openArena(t, Number(values.staged))
    const told = await runCases(run, archiveCaseArb, async (hostile) => {
      const { verdict, staged } = await arena.stage(hostile)
      return [verdict, staged ? '(staged for real)' : '(decoded alone)']
    })
    tell('archives and manifests', told)
  })
}

if (wanted('records')) {
  test(`${run.count} hostile records`, async (t) => {
    tell('records', await runCases(run, hostileRecordArb, await openRecords(t)))
  })
}
