// Owns running other programs in a bench: to their end, timed, their output kept for what they say and for when they fail.
import { spawn } from 'node:child_process'
import { mortal } from '#test/support/child.ts'

export interface Ran {
  readonly ms: number
  readonly stdout: string
}

const MOST_TEXT = 200_000

/** Runs a program. @throws Error with the end of what it said, when it exits with anything but 0 */
export async function run(
  argv: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  const began = performance.now()
  const child = spawn(...mortal(...argv), {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-MOST_TEXT)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MOST_TEXT)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const ms = performance.now() - began
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${(stderr || stdout).slice(-2_000)}`)
  return { ms, stdout }
}

/** A line for bash, which fails when any part of a pipe does. */
export function shell(line: string): readonly string[] {
  return ['bash', '-o', 'pipefail', '-c', line]
}

/** Writes out what anybody wrote before, so that nobody pays for another's writes. */
export async function settle(path: string): Promise<void> {
  await run(['sync', '-f', path])
}
