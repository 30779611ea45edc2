// Owns making a whole tree durable with one call: syncfs(2), by a child since Node does not have it.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import type { TreeName } from '../core/trees.ts'
import * as disk from './disk.ts'
import { step } from './failpoints.ts'
import type { Layout } from './layout.ts'

/**
 * Waits until everything written on the volume of `path` is on the disk. One syncfs costs a fraction of an fsync for each file.
 * @throws FleetError `DISK_ERROR`: what was written since the last success may be lost, and asking again proves nothing · `SPAWN_FAILED`
 */
async function syncVolume(path: string): Promise<void> {
  try {
    step('syncfs')
  } catch (cause) {
    throw lost(path, 'injected', cause)
  }
  const { code, text } = await run('sync', ['-f', path])
  if (code !== 0) throw lost(path, text || `sync ended with ${code}`)
}

function lost(path: string, why: string, cause?: unknown): FleetError {
  return new FleetError('DISK_ERROR', `syncfs of ${path}: ${why}; the tree is discarded, hot still runs`, { cause })
}

function run(command: string, args: readonly string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text = (text + part).slice(-500)
    })
    child.once('error', (cause) => reject(new FleetError('SPAWN_FAILED', `cannot start ${command}`, { cause })))
    child.once('close', (code) => resolve({ code, text: text.trim() }))
  })
}

/** Makes a tree durable. @throws as `syncVolume`: then the tree is discarded */
export async function syncTree(layout: Layout, tree: TreeName): Promise<void> {
  try {
    await syncVolume(layout.tree[tree])
  } catch (error) {
    // What is in memory may never reach the disk, and a second try would say it has (failures C7): start from nothing.
    discardTree(layout, tree)
    throw error
  }
}

/** Puts a tree out of the way and an empty one in its place: nothing of it may be believed any more. The next clearing of leftovers removes it. */
function discardTree(layout: Layout, tree: TreeName): void {
  disk.rename('discard', layout.tree[tree], join(disk.mkdtemp('discard', join(layout.tmp, 'discarded-')), tree))
  disk.mkdir('discard', layout.tree[tree], 0o755)
}
