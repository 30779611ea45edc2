// Owns small volumes for tests that fill or freeze a disk: a tmpfs with limits, unmounted after the test. Needs root.
import { execFileSync } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export interface Volume {
  readonly path: string
  remount(mode: 'ro' | 'rw'): void
}

/** @param options of mount(8) for tmpfs, such as `size=8m,nr_inodes=100` */
export async function volume(t: TestContext, options: string): Promise<Volume> {
  const path = await mkdtemp(join(tmpdir(), 'hotcold-volume-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
  t.after(async () => {
    // Lazily, since what the test opened may be closed after this; takes along what is mounted below.
    execFileSync('umount', ['-l', path])
    await rmdir(path)
  })
  return { path, remount: (mode) => execFileSync('mount', ['-o', `remount,${mode}`, path]) }
}
