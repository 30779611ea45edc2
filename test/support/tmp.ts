// Owns temporary directories of tests: made when asked for, gone when the test is over.
import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

/** A new empty directory on a real disk, removed after the test with all that is in it, whatever its modes. */
export async function tmp(t: TestContext, label = 'test'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `hotcold-${label}-`))
  // `rm -rf`, not fs.rm: trees under test hold directories without write permission and names that no JS string can carry.
  t.after(() => promisify(execFile)('sh', ['-c', 'chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"', 'sh', dir]))
  return dir
}
