// Owns what a bench leaves to be cleaned up: processes, directories, servers; the last one first, whatever happened.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs'
import { join } from 'node:path'

/** Things to undo. Fits where a test's context is asked for. */
export interface Scope extends AsyncDisposable {
  after(undo: () => unknown): void
  /** A new empty directory, gone at the end. */
  directory(label: string): string
}

/** @param base where directories are made, on the disk that is measured */
export function openScope(base: string): Scope {
  const undos: (() => unknown)[] = []
  return {
    after(undo) {
      undos.push(undo)
    },
    directory(label) {
      mkdirSync(base, { recursive: true })
      const dir = mkdtempSync(join(base, `hotcold-bench-${label}-`))
      undos.push(() => putAway(dir))
      return dir
    },
    async [Symbol.asyncDispose]() {
      const faults: unknown[] = []
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo()
        } catch (error) {
          faults.push(error)
        }
      }
      if (faults.length > 0) throw new AggregateError(faults, 'not all could be cleaned up')
    },
  }
}

const away: string[] = []

/**
 * Takes a tree out of the way until the end. It is not removed now: for minutes after inodes were freed, ext4 passes over each of them when it
 * makes a file (`recently_deleted` in fs/ext4/ialloc.c), and whoever writes next would pay for that, several times its own time as measured.
 */
export function putAway(path: string): void {
  if (!existsSync(path)) return
  const gone = `${path}.gone-${away.length}`
  renameSync(path, gone)
  away.push(gone)
}

/** Removes what was put away, with `rm -rf`: quicker than fs.rm, and it stops at no mode. */
export function removeAway(): void {
  for (const path of away.splice(0)) execFileSync('rm', ['-rf', path])
}
