// Owns the process that stages in a bench: the puller's own trees on a root, opened and waiting, as in a puller that has just started.
//
// Arguments: root and the store's URL. One JSON line in, one out: see `Command` in stager.ts.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { openStore } from '#adapters/store.ts'
import type { Name } from '#fleet/build.ts'
import { openTrees, type Trees } from '#puller/shell/trees.ts'
import type { Command } from './stager.ts'

const [root = '', url = ''] = process.argv.slice(2)
const OPTIONS = {
  root,
  app: 'web' as Name,
  coldInUse: { policy: 'refuse', seconds: 0 },
  coldQuietSeconds: 0,
  repairSeconds: 5,
  fetch: { spreadSeconds: 0, maxBytesPerSecond: null, minBytesPerSecond: 32 * 1024, stallSeconds: 30 },
} as const

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

async function obey(trees: Trees, command: Command): Promise<object> {
  const options = { signal: new AbortController().signal, onProgress: () => undefined }
  switch (command.do) {
    case 'stage':
      return await trees.stage({ ...command.build, mode: 'stage' }, options)
    case 'swap': {
      const { coldTree } = await trees.survey()
      const began = performance.now()
      await trees.swap(coldTree)
      return { ms: performance.now() - began }
    }
    case 'sweep': {
      const { cold } = await trees.survey()
      if (cold === null) throw new Error('cold is not sealed')
      return await trees.stage({ build: cold.build, manifest: cold.manifest, mode: 'sweep' }, options)
    }
    case 'survey':
      return await trees.survey()
    case 'memory':
      return { peakKiB: Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) }
    case 'close':
      await trees.close(true)
      return {}
  }
}

const store = await openStore({ url }, { clock: systemClock, log: silentLogger })
const trees = await openTrees(OPTIONS, { store, clock: systemClock, log: silentLogger, node: 'node-1' })
say({ ready: true })
for await (const line of createInterface(process.stdin)) {
  const command = JSON.parse(line) as Command
  try {
    say(await obey(trees, command))
  } catch (error) {
    say({ error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) })
  }
  if (command.do === 'close') process.exit(0)
}
