// Owns the lock of a root: one puller at a time, given back by the kernel when its process dies.
import { spawn } from 'node:child_process'
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { FleetError } from '#fleet/errors.ts'
import { diskFault } from './disk-faults.ts'

export interface RootLock {
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
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch (error) {
    closeSync(fd)
    throw diskFault(error, `locking ${path}`)
  }
  return { release: () => closeSync(fd) }
}

function openLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o644)
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
