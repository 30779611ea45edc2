// Owns what a bench leaves to be cleaned up: processes, directories, servers; the last one first, whatever happened.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
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
      undos.push(() => removeTree(dir))
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

/** `rm -rf`, which is quicker than fs.rm and stops at no mode. */
export function removeTree(path: string): void {
  execFileSync('rm', ['-rf', path])
}
