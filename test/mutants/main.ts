// Owns `npm run test:mutants`: takes away one safeguard at a time and shows that a named test fails; arguments are ids, for some rows only.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROJECT, readText } from '#test/support/source.ts'
import { copyProject } from './copy.ts'
import { PROOF, withTable } from './document.ts'
import type { Mutant } from './mutant.ts'
import { mutated, staleness } from './source.ts'
import { MUTANTS } from './table.ts'
import { type Ending, endings } from './verdict.ts'

/** Two cores: most tests wait more than they work. */
const LANES = 2

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function main(ids: readonly string[]): Promise<number> {
  const unknown = ids.filter((id) => !MUTANTS.some((mutant) => mutant.id === id))
  const rows = MUTANTS.filter(({ id }) => ids.length === 0 || ids.includes(id))
  const wrong = [...unknown.map((id) => `${id}: no such row`), ...rows.flatMap((row) => staleness(row, readText))]
  if (wrong.length > 0) {
    for (const line of wrong) say(line)
    return 1
  }
  const sound = await everyTestPasses(rows)
  const caught = sound && (await everyMutantFails(rows))
  if (!caught) return 1
  if (ids.length === 0) writeFileSync(join(PROJECT, PROOF), withTable(readText(PROOF)))
  say(`\n${rows.length} of ${rows.length} mutants are caught${ids.length === 0 ? `; the table is in ${PROOF}` : ''}`)
  return 0
}

/** Without any mutation: what fails by itself proves nothing. */
async function everyTestPasses(rows: readonly Mutant[]): Promise<boolean> {
  const files = Map.groupBy(rows, ({ test: [file] }) => file)
  say(`${new Set(rows.map(({ test }) => test.join())).size} tests of ${files.size} files, with nothing removed:`)
  const bad: string[] = []
  await inLanes([...files], async ([file, of], dir) => {
    const names = [...new Set(of.map(({ test: [, name] }) => name))]
    for (const [name, { how, why }] of await endings(dir, file, names)) {
      if (how !== 'passed') bad.push(`  ${how} ${file}: ${name}: ${why}`)
    }
  })
  for (const line of bad) say(line)
  if (bad.length === 0) say('  all pass')
  return bad.length === 0
}

async function everyMutantFails(rows: readonly Mutant[]): Promise<boolean> {
  say(`\n${rows.length} mutants, one at a time:`)
  const width = Math.max(...rows.map(({ id }) => id.length))
  const survivors: string[] = []
  await inLanes(rows, async (mutant, dir) => {
    const began = performance.now()
    const { how, why } = await outcome(mutant, dir)
    const seconds = ((performance.now() - began) / 1_000).toFixed(1).padStart(5)
    say(`  ${how === 'failed' ? 'caught  ' : 'UNPROVED'} ${mutant.id.padEnd(width)} ${seconds} s  ${mutant.test[1]}`)
    if (how !== 'failed') survivors.push(`${mutant.id}: without ${mutant.without} the test ${how}: ${why}`)
  })
  for (const line of survivors) say(line)
  return survivors.length === 0
}

async function outcome(mutant: Mutant, dir: string): Promise<Ending> {
  const path = join(dir, mutant.file)
  const text = readFileSync(path, 'utf8')
  const [file, name] = mutant.test
  try {
    writeFileSync(path, mutated(text, mutant))
    const ending = (await endings(dir, file, [name])).get(name)
    return ending ?? { how: 'missing', why: 'it did not run' }
  } finally {
    writeFileSync(path, text)
  }
}

/** Works through the items, each lane in a copy of the project of its own. */
async function inLanes<item>(items: readonly item[], work: (item: item, dir: string) => Promise<void>): Promise<void> {
  const left = items.values()
  const lane = async (): Promise<void> => {
    const { dir, remove } = copyProject()
    process.once('exit', remove)
    try {
      for (const item of left) await work(item, dir)
    } finally {
      process.off('exit', remove)
      remove()
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exitCode = await main(process.argv.slice(2))
