// Owns temporary directories of tests: made when asked for, gone when the test is over.
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

// `rm -rf`, not fs.rm: trees under test hold directories without write permission and names that no JS string can carry.
const REMOVE = ['-c', 'rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"; }', 'sh'] as const

/** What could not be removed after its test, since a process that a later hook ends still wrote into it. */
const left: string[] = []
process.once('exit', () => {
  for (const dir of left) execFileSync('sh', [...REMOVE, dir])
})

/** A new empty directory on a real disk, removed after the test with all that is in it, whatever its modes. */
export async function tmp(t: TestContext, label = 'test'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `hotcold-${label}-`))
  // A hook that throws would keep the hooks after it from running: what they end would live on, and the test file with it.
  t.after(() => promisify(execFile)('sh', [...REMOVE, dir]).catch(() => left.push(dir)))
  return dir
}
