// Owns a process that does one deploy on a root and ends: what a test kills at each of its steps.
import { fileStore } from '#adapters/file/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Digest } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
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

async function deploy(): Promise<void> {
  const trees = await openTrees({ root, app: APP, ...QUICK }, world)
  const options = { signal: new AbortController().signal, onProgress: () => undefined }
  const before = await trees.survey()
  if (before.hot?.manifest !== manifest) {
    await trees.stage({ build: build as BuildId, manifest: manifest as Digest, mode: 'stage' }, options)
    await trees.swap(before.coldTree)
  }
  const { cold } = await trees.survey()
  if (cold !== null) await trees.stage({ ...cold, mode: 'sweep' }, options)
  await trees.close(true)
}

await deploy().catch((error: unknown) => {
  process.stdout.write(isFleetError(error) ? error.code : String(error))
  process.exit(1)
})
