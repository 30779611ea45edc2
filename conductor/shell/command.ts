// Owns running a command of the plan: no shell, a process group that does not outlive it, a limit, and the last words it said.
import { type ChildProcess, spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'

export interface Command {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
}

/** Exit code 0 is the only pass. `message` says how it ended, with the last line that it printed. */
export interface CommandEnd {
  readonly passed: boolean
  readonly message: string
}

/** From TERM to KILL. */
const GRACE_MS = 5_000
const OUTPUT_CHARACTERS = 64 * 1024

/**
 * Runs it to its end: by itself, by its limit, or by the signal. Nothing of its group is left then.
 * @throws FleetError `SPAWN_FAILED` when it cannot be started; the signal's reason
 */
export async function runCommand(command: Command, clock: Clock, signal: AbortSignal): Promise<CommandEnd> {
  signal.throwIfAborted()
  const child = await launch(command)
  const said = listen(child)
  const ended = new AbortController()
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const limit = clock.sleep(command.timeoutMs, AbortSignal.any([signal, ended.signal])).then(
    () => true,
    () => false,
  )
  const timedOut = await Promise.race([exit.then(() => false), limit])
  ended.abort()
  await endGroup(child, exit, clock)
  signal.throwIfAborted()
  if (timedOut) return { passed: false, message: `it ran longer than ${formatDuration(command.timeoutMs)}${said()}` }
  const { exitCode, signalCode } = child
  if (exitCode === 0) return { passed: true, message: `exit 0${said()}` }
  return { passed: false, message: `${signalCode === null ? `exit ${exitCode}` : `ended by ${signalCode}`}${said()}` }
}

function launch({ argv, cwd, env }: Command): Promise<ChildProcess> {
  const [file = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown): void => {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
      reject(new FleetError('SPAWN_FAILED', `cannot start ${argv.join(' ')} in ${cwd} (${code})`, { cause }))
    }
    try {
      const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
      child.once('error', failed)
      child.once('spawn', () => resolve(child))
    } catch (cause) {
      failed(cause)
    }
  })
}

/** What is left of the group, also when the command itself has ended: TERM, a grace, KILL. */
async function endGroup(child: ChildProcess, exit: Promise<void>, clock: Clock): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  const stop = new AbortController()
  const term = send(pid, 'SIGTERM')
  const untilMs = clock.monotonic() + GRACE_MS
  while (term && lives(pid) && clock.monotonic() < untilMs) await clock.sleep(20)
  if (lives(pid)) send(pid, 'SIGKILL')
  await Promise.race([exit, clock.sleep(GRACE_MS, stop.signal).catch(() => undefined)])
  stop.abort()
  for (const stream of [child.stdout, child.stderr]) stream?.destroy()
}

function send(group: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    // ESRCH: nothing is left of it.
    return false
  }
}

function lives(group: number): boolean {
  try {
    return process.kill(-group, 0)
  } catch {
    return false
  }
}

/** `: …` from the last line that says something, safe for one line of a record and a terminal. */
function listen(child: ChildProcess): () => string {
  let text = ''
  const keep = (chunk: string): void => {
    text = `${text}${chunk}`.slice(-OUTPUT_CHARACTERS)
  }
  child.stdout?.setEncoding('utf8').on('data', keep)
  child.stderr?.setEncoding('utf8').on('data', keep)
  return () => {
    const lines = stripVTControlCharacters(text)
      .replace(/[^\P{C}\n]/gu, ' ')
      .split('\n')
    const last = lines.findLast((one) => one.trim() !== '')?.trim() ?? ''
    return last === '' ? '' : `: ${last.slice(-200)}`
  }
}
