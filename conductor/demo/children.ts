// Owns the processes of the demo: started with their output in a file, ended in order, never left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import type { Clock } from '#fleet/ports.ts'

/** The checkout, where the programs' launchers lie. */
export const PROJECT = new URL('../..', import.meta.url).pathname

const GRACE_MS = 8_000
/** A demo that is killed takes its processes along where this is installed (util-linux). */
const DEATH_SIGNAL = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM'] : []

export interface Spawned {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  /** Opens a channel for messages. */
  readonly ipc?: boolean
}

export interface Children {
  start(argv: readonly string[], options: Spawned): ChildProcess
  /** Ends them all, Consul (the first started) after all others; whoever does not end within the grace is killed. */
  end(): Promise<void>
}

export function children(clock: Clock): Children {
  const running: ChildProcess[] = []
  return {
    start(argv, { env, logFile, ipc = false }) {
      const log = openSync(logFile, 'a')
      try {
        const [file = '', ...args] = [...DEATH_SIGNAL, ...argv]
        const child = spawn(file, args, { env, stdio: ['ignore', log, log, ...(ipc ? (['ipc'] as const) : [])] })
        running.push(child)
        return child
      } finally {
        closeSync(log)
      }
    },
    async end() {
      const [consul, ...others] = running.splice(0)
      await Promise.all(others.map((child) => endChild(child, clock)))
      if (consul !== undefined) await endChild(consul, clock)
    },
  }
}

function isOver(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined
}

async function endChild(child: ChildProcess, clock: Clock): Promise<void> {
  if (isOver(child)) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await Promise.race([exited, clock.sleep(GRACE_MS)])
  if (isOver(child)) return
  child.kill('SIGKILL')
  await exited
}

/** The first message of a child that fits; fails when it ends before that. */
export function firstMessage<message>(
  child: ChildProcess,
  what: string,
  fits: (value: unknown) => value is message,
): Promise<message> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${what} ended (${code}) before it was ready`)))
    child.on('message', (value: unknown) => {
      if (fits(value)) resolve(value)
    })
  })
}
