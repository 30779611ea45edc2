// Owns a process that does one deploy on a root and ends: what a test kills at each of its steps.
import { fileStore } from '#adapters/file/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Digest } from '#fleet/build.ts'
import { openTrees } from '#puller/shell/trees.ts'
import { APP, QUICK } from './tree-options.ts'

/** Arguments: root, store directory, build, manifest. Stages, swaps, sweeps the tree that was retired, and stops cleanly. */
const [root = '', store = '', build = '', manifest = ''] = process.argv.slice(2)
const quiet = () => undefined
const world = {
  store: fileStore(store),
  clock: systemClock,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  node: 'node-1',
}
const trees = await openTrees({ root, app: APP, ...QUICK }, world)
const options = { signal: new AbortController().signal, onProgress: () => undefined }
const before = await trees.survey()
if (before.hot?.manifest !== manifest) {
  const order = { build: build as BuildId, manifest: manifest as Digest }
  await trees.stage(
    { ...order, mode: before.cold?.manifest === manifest && !before.armed ? 'sweep' : 'stage' },
    options,
  )
  await trees.swap(before.coldTree)
}
const after = await trees.survey()
if (after.cold !== null) await trees.stage({ ...after.cold, mode: 'sweep' }, options)
await trees.close(true)
