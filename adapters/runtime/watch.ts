// Owns being told that a folder changed.
import { watch } from 'chokidar'
import type { WatchFolder } from '#fleet/ports.ts'

/** Watches the folder itself, not what lies deeper. */
export const watchFolder: WatchFolder = (folder, changed) => {
  const watcher = watch(folder, { depth: 0, ignoreInitial: true, persistent: true })
  watcher.on('all', () => changed())
  // Out of inotify watches, for instance: the caller polls anyway.
  watcher.on('error', () => {})
  return { [Symbol.asyncDispose]: () => watcher.close() }
}
