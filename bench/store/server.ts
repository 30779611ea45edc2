// Owns starting the bench's web server and asking it what it counted.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Scope } from '#bench/kit/scope.ts'
import { end, mortal } from '#test/support/child.ts'

/** What went over the sockets of one client, heads and bodies. */
export interface Counts {
  readonly requests: number
  /** From the server to the client. */
  readonly bytes: number
  /** From the client to the server. */
  readonly sentBytes: number
}

export interface WebServer {
  /** @param client who asks: what is fetched is counted under this name; without slashes */
  url(client: string, path?: string): string
  counts(client: string): Promise<Counts>
}

/** Serves a directory from a process of its own, for everyone alike. */
export async function startServer(scope: Scope, directory: string): Promise<WebServer> {
  const main = join(import.meta.dirname, 'server-main.ts')
  const child = spawn(...mortal(process.execPath, main, directory), { stdio: ['ignore', 'pipe', 'inherit'] })
  scope.after(() => end(child, 'SIGKILL'))
  const base = `http://127.0.0.1:${await firstLine(child)}`
  return {
    url: (client, path = '') => `${base}/${client}/${path}`,
    async counts(client) {
      const all = (await (await fetch(`${base}/-/counts`)).json()) as Record<string, Counts>
      return all[client] ?? { requests: 0, bytes: 0, sentBytes: 0 }
    },
  }
}

/** The first line that a child prints. */
export async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the process has no output')
  for await (const line of createInterface(child.stdout)) return line
  throw new Error(`the process ended with ${child.exitCode ?? child.signalCode}`)
}
