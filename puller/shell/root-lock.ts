// Owns the lock of a root: one puller at a time, given back by the kernel when its process dies.
import { spawn } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import { FleetError } from '#fleet/errors.ts'
import * as disk from './disk.ts'
import { diskFault } from './disk-faults.ts'

export interface RootLock {
  /** Gives the lock back; again is fine. */
  release(): void
}

/**
 * Takes the lock. Node has no flock(2), so a child locks the descriptor that we opened: the lock belongs to the open file and stays
 * with us when the child has ended. The file holds our pid for people.
 * @throws FleetError `ROOT_TAKEN` · `SPAWN_FAILED` · `DISK_*`
 */
export async function takeRootLock(path: string): Promise<RootLock> {
  const fd = openLock(path)
  try {
    const code = await flock(fd)
    if (code !== 0) {
      const owner = readFileSync(path, 'utf8').trim()
      throw new FleetError('ROOT_TAKEN', `another puller (pid ${owner || 'unknown'}) owns this root`)
    }
    disk.overwrite('lock.pid', path, Buffer.from(`${process.pid}\n`))
  } catch (error) {
    closeSync(fd)
    throw diskFault(error, `locking ${path}`)
  }
  let held = true
  return {
    release() {
      if (held) closeSync(fd)
      held = false
    },
  }
}

function openLock(path: string): number {
  try {
    // For reading only: a file held open for writing would keep the volume from being remounted read-only.
    return disk.openOrCreate('lock.open', path, 0o644)
  } catch (error) {
    throw diskFault(error, `opening ${path}`)
  }
}

function flock(fd: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    child.once('error', (cause) =>
      reject(new FleetError('SPAWN_FAILED', 'cannot start flock, which guards the root', { cause })),
    )
    child.once('exit', resolve)
  })
}
