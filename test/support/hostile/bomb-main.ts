// Owns a process that stages one bomb on a node of its own, and tells what became of it and how much memory it took at its peak.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileStore } from '#adapters/file/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Digest } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { openTrees } from '#puller/shell/trees.ts'
import { APP, QUICK } from '#test/support/tree-options.ts'
import { QUIET } from './small-state.ts'

/** Arguments: a directory with `root`, `store` and the bomb's objects in it, the build and its manifest digest. */
const [dir = '', build = '', manifest = ''] = process.argv.slice(2)

function peakMiB(): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1_024
}

const world = { store: fileStore(join(dir, 'store')), clock: systemClock, log: QUIET, node: 'node-1' }
mkdirSync(join(dir, 'root'), { recursive: true })
const trees = await openTrees({ root: join(dir, 'root'), app: APP, ...QUICK }, world)
const before = peakMiB()
const order = { build: build as BuildId, manifest: manifest as Digest, mode: 'stage' as const }
const outcome = await trees.stage(order, { signal: new AbortController().signal, onProgress: () => undefined }).then(
  () => 'accepted',
  (error: unknown) => (isFleetError(error) ? error.code : `no error of ours: ${String(error)}`),
)
await trees.close(true)
writeFileSync(1, JSON.stringify({ outcome, startMiB: Math.round(before), peakMiB: Math.round(peakMiB()) }))
