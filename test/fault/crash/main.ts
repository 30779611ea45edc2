// Owns `npm run test:crash`: every crash point, power cut and disk error of the matrix, and a table of what became of them.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

// Before anything of ours is loaded: worker threads are started a thousand times here.
enableCompileCache(fileURLToPath(new URL('../../../.cache/compiled', import.meta.url)))
const { Campaign, PARTS } = await import('./campaign.ts')

const USAGE = `usage: npm run test:crash -- [--only ${PARTS.join(',')}] [--every N] [--seed N] [--lanes N] [--busy]
  --only   some parts; all unless told
  --every  one in N points of each operation, beginning where the seed says; 1 unless told: all
  --lanes  points that are tried at once; 2 unless told
  --busy   the machine has other things to do: how long recoveries take is told, not judged`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    every: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    busy: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(0)
}
const only = values.only?.split(',') ?? PARTS
const campaign = await Campaign.open({
  every: Number(values.every),
  seed: Number(values.seed),
  lanes: Number(values.lanes),
  busy: values.busy,
  say: (line) => void process.stdout.write(`${line}\n`),
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    process.stdout.write(`\nstopped half-way\n\n${campaign.soFar()}`)
    void campaign.close().finally(() => process.exit(1))
  })
}
let good = true
try {
  for (const part of PARTS) if (only.includes(part)) good = (await campaign.run(part)) && good
} finally {
  await campaign.close()
}
process.exit(good ? 0 : 1)
