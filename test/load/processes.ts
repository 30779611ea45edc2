// Owns the two processes of the load proof that are its own: an application on each node, and the load from outside.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { end, mortal } from '#test/support/child.ts'
import type { LoadMessage, LoadOrder, LoadReport } from './tally.ts'

type Cleanup = Pick<TestContext, 'after'>

function start(t: Cleanup, file: string, ...args: readonly string[]): ChildProcess {
  const argv = mortal(process.execPath, join(import.meta.dirname, file), ...args)
  const child = spawn(...argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => end(child, 'SIGKILL'))
  return child
}

/** The next message of a child. @throws Error when it ends instead */
async function word(child: ChildProcess, what: string): Promise<unknown> {
  const heard = new AbortController()
  const { signal } = heard
  const exit = once(child, 'exit', { signal }).then(() => Promise.reject(new Error(`${what} ended by itself`)))
  try {
    const [message]: unknown[] = await Promise.race([once(child, 'message', { signal }), exit])
    return message
  } finally {
    heard.abort()
    await exit.catch(() => undefined)
  }
}

/** The application of one node; it listens when this resolves, whether or not `hot` is there yet. */
export async function startApp(t: Cleanup, root: string, host: string, port: number): Promise<void> {
  await word(start(t, 'app.ts', root, host, String(port)), 'the application')
}

export interface Load {
  report(): Promise<LoadReport>
  /** No more requests; resolves when the last answer has come. */
  finish(): Promise<LoadReport>
}

/** Requests at a steady rate from now on. One question at a time. */
export function startLoad(t: Cleanup, order: LoadOrder): Load {
  const child = start(t, 'generator.ts')
  const say = (message: LoadMessage): void => void child.send(message)
  const ask = async (message: 'tell' | 'stop'): Promise<LoadReport> => {
    const told = word(child, 'the load')
    say(message)
    return (await told) as LoadReport
  }
  say({ order })
  return { report: () => ask('tell'), finish: () => ask('stop') }
}
