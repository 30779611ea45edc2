// Owns being told that a folder changed.
import type { WatchFolder } from '#fleet/node-ports.ts'

/** Watches the folder itself, not what lies deeper. */
export const watchFolder: WatchFolder = (folder, changed) => {
  const opening = watchWith(folder, changed)
  return { [Symbol.asyncDispose]: async () => (await opening).close() }
}

async function watchWith(folder: string, changed: () => void): Promise<{ close(): Promise<void> }> {
  // Only here: most nodes never watch a folder, and need not carry what does.
  const { watch } = await import('chokidar')
  const watcher = watch(folder, { depth: 0, ignoreInitial: true, persistent: true })
  watcher.on('all', () => changed())
  // What changed before the watch was in place is told by nobody else.
  watcher.on('ready', () => changed())
  // Out of inotify watches, for instance: the caller polls anyway.
  watcher.on('error', () => {})
  return watcher
}
