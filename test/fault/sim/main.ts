// Owns `npm run test:sim`: many more seeds than the suite has time for; arguments: how many, and from which seed on.
import { systemClock } from '#adapters/runtime/clock.ts'
import { broken, faultsOf, trySeed } from '#test/support/sim.ts'

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const [count = '20000', from = String(1 + Math.floor(systemClock.random() * 1e9))] = process.argv.slice(2)
const [seeds, first] = [Number(count), Number(from)]
say(`${seeds} seeds from ${first} on`)
const ends = new Map<string, number>()
let found = 0
for (let seed = first; seed < first + seeds; seed += 1) {
  const report = await trySeed(seed)
  for (const phase of Object.values(report.rollouts)) ends.set(phase, (ends.get(phase) ?? 0) + 1)
  const text = broken(report, faultsOf(seed))
  if (text !== null) say(`\n${text}`)
  found += text === null ? 0 : 1
  if ((seed - first + 1) % 1_000 === 0) say(`${seed - first + 1} tried, ${found} broken`)
}
say(`rollouts: ${JSON.stringify(Object.fromEntries(ends))}`)
process.exitCode = found > 0 ? 1 : 0
