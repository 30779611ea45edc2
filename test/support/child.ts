// Owns the processes that tests start: none outlives the test process, however that ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from './until.ts'

/** For spawn(): this command, killed by the kernel when our process dies, even by SIGKILL. */
export function mortal(...argv: readonly string[]): [string, string[]] {
  return ['setpriv', ['--pdeathsig', 'KILL', '--', ...argv]]
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Waits for its end; the exit code, null when a signal ended it. */
export async function ended(child: ChildProcess): Promise<number | null> {
  if (!hasEnded(child)) await once(child, 'exit')
  return child.exitCode
}

/** Sends the signal and waits for the end. Calling it again is fine. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (!hasEnded(child)) child.kill(signal)
  return await ended(child)
}

/** Stops it, and waits until all of its threads stand still: the signal alone leaves them time for an answer or a write. */
export async function freeze(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP')
  await until('every thread stands still', () => hasEnded(child) || isStopped(child.pid ?? 0))
}

function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((tid) =>
    /\) T /.test(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8')),
  )
}

/** A living process that has nothing to say: it runs `argv` by the time this returns, and is killed after the test. */
export async function bystander(
  t: Pick<TestContext, 'after'>,
  argv: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn(...mortal(...argv), { ...options, stdio: 'ignore' })
  t.after(() => end(child, 'SIGKILL'))
  const { pid = 0 } = child
  const itself = async () => basename(await readlink(`/proc/${pid}/exe`)) !== 'setpriv'
  await until(`${argv[0]} runs`, () => hasEnded(child) || itself())
  return Object.assign(child, { pid })
}
