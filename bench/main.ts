// Owns `npm run bench`: runs benches by name, one after the other, prints their tables and keeps their figures.
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCHES, type BenchName, type Settings } from './benches.ts'
import { holds, machineFacts, type Promised, RESULTS, type Result, readResults, writeResult } from './kit/result.ts'
import type { Say } from './kit/rounds.ts'
import { openScope, removeAway, type Scope } from './kit/scope.ts'
import { medianRows, plain, textTable } from './kit/table.ts'
import { findTools, need, type Tool, versionsOf } from './kit/tools.ts'

const USAGE = `npm run bench -- [NAME…] [options]
  --quick        tiny sizes, one round: shows that everything works, and no figure of it means anything
  --rounds N     default 5
  --seed N       of the trees and of what changes; default 1
  --dir DIR      scratch files, about 50 GB, on the disk that is measured; default the directory for temporary files
  --out DIR      where the JSON goes; default bench/results, with --quick nowhere
  --without A,B  leave these others out, such as casync,desync
  --partial      leave out what is not installed, instead of stopping
names: ${Object.keys(BENCHES).join(' ')}; default all of them, in this order
`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  without: { type: 'string', default: '' },
  partial: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  dir: { type: 'string', default: tmpdir() },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Runs what the command line asks for; the exit code. */
export async function main(argv: readonly string[], write: Say): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const names = positionals.length === 0 ? Object.keys(BENCHES) : positionals
  const unknown = names.find((name) => !(name in BENCHES))
  if (values.help || unknown !== undefined) {
    write(`${unknown === undefined ? '' : `there is no bench ${unknown}\n`}${USAGE}`)
    return unknown === undefined ? 0 : 2
  }
  const out = values.out ?? (values.quick ? null : RESULTS)
  const without = values.without.split(',')
  const tools = findTools(without)
  if (!values.partial) for (const tool of TOOLS) if (!without.includes(tool)) need(tools, tool)
  const scope = openScope(resolve(values.dir))
  const settings: Settings = {
    quick: values.quick,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    seed: Number(values.seed),
    tools,
    dir: resolve(values.dir),
    scope,
    say: (text) => write(`  ${text}`),
  }
  const results: Result[] = []
  const failed: string[] = []
  using _away = { [Symbol.dispose]: removeAway }
  await using _ = scope
  using _signals = stopBySignal(scope)
  for (const name of names as BenchName[]) {
    write(`== ${name}`)
    try {
      const result = await runOne(name, settings)
      results.push(result)
      write(tableOf(result))
      if (out !== null) writeResult(out, result)
    } catch (error) {
      // The others are worth having all the same; this one can be run again by its name.
      failed.push(name)
      write(`  ${name} failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  const told = out === null ? results : readResults(out)
  write(`\n== promises\n${promiseTable(told.flatMap(({ promises }) => promises))}`)
  if (failed.length > 0) write(`\nfailed, with nothing kept: ${failed.join(' ')}`)
  return failed.length > 0 ? 1 : 0
}

/** An interrupted run leaves nothing behind either. */
function stopBySignal(scope: Scope): Disposable {
  const stop = async (): Promise<void> => {
    await scope[Symbol.asyncDispose]()
    removeAway()
    process.exit(130)
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, stop)
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, stop)
    },
  }
}

const TOOLS: readonly Tool[] = ['rsync', 'casync', 'desync', 'tar', 'zstd', 'curl', 'cap', 'sshd', 'git', 'consul']

async function runOne(name: BenchName, settings: Settings): Promise<Result> {
  const { rounds, dir, tools } = settings
  const at = new Date().toISOString()
  const began = performance.now()
  const findings = await BENCHES[name](settings)
  const seconds = Math.round((performance.now() - began) / 100) / 10
  return {
    v: 1,
    bench: name,
    at,
    seconds,
    rounds,
    machine: machineFacts(dir),
    versions: versionsOf(tools),
    ...findings,
  }
}

function tableOf({ title, measured, ratios, seconds }: Result): string {
  const quotients = ratios.map(({ name, value }) => [name, value.toFixed(3)])
  const parts = [`${title} (${seconds} s)`, textTable(medianRows(measured))]
  return [...parts, ...(quotients.length > 0 ? [textTable(quotients)] : [])].join('\n')
}

function promiseTable(promises: readonly Promised[]): string {
  const rows = promises
    .toSorted((a, b) => a.order - b.order)
    .map((one) => [
      one.text,
      `${plain(one.measured)} ${one.unit}`,
      `${one.most} ${one.unit}`,
      holds(one) ? 'yes' : 'NO',
    ])
  return textTable([['promise', 'measured', 'at most', 'holds'], ...rows])
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2), (text) => void process.stdout.write(`${text}\n`))
}
