// Owns rsync as it is measured against: a local daemon that serves the sources, and what each run says it transferred.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '#bench/kit/free-port.ts'
import { run } from '#bench/kit/run.ts'
import type { Scope } from '#bench/kit/scope.ts'
import { end, mortal } from '#test/support/child.ts'
import { until } from '#test/support/until.ts'

export interface Rsync {
  /** Copies a source of the daemon into a directory. */
  pull(
    source: string,
    target: string,
    ...options: readonly string[]
  ): Promise<{ ms: number; fetchedBytes: number; sentBytes: number }>
  /** Copies between two directories of this machine; for what is not timed. */
  copy(from: string, to: string): Promise<void>
}

/** Starts a daemon that serves the directories below `sources`. */
export async function startRsync(scope: Scope, rsync: string, sources: string): Promise<Rsync> {
  const dir = scope.directory('rsync')
  const port = await freePort()
  const config = join(dir, 'rsyncd.conf')
  const lines = [
    'use chroot = no',
    'uid = 0',
    'gid = 0',
    `port = ${port}`,
    'address = 127.0.0.1',
    `pid file = ${join(dir, 'pid')}`,
    '[sources]',
    `path = ${sources}`,
    'read only = yes',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const daemon = spawn(...mortal(rsync, '--daemon', '--no-detach', `--config=${config}`), { stdio: 'ignore' })
  scope.after(() => end(daemon, 'SIGKILL'))
  const url = `rsync://127.0.0.1:${port}/sources`
  await until('the rsync daemon answers', async () => (await run([rsync, `${url}/`])).stdout.length > 0, 10_000)
  return {
    async pull(source, target, ...options) {
      const { ms, stdout } = await run([rsync, '-a', '--stats', ...options, `${url}/${source}/`, `${target}/`])
      const total = (what: string) =>
        Number(new RegExp(`Total bytes ${what}: ([\\d,]+)`).exec(stdout)?.[1]?.replaceAll(',', ''))
      return { ms, fetchedBytes: total('received'), sentBytes: total('sent') }
    },
    copy: async (from, to) => void (await run([rsync, '-a', '--delete', `${from}/`, `${to}/`])),
  }
}
