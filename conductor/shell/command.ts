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
  /** Null when a signal or its limit ended it. */
  readonly code: number | null
  readonly timedOut: boolean
  /** The last 64 Ki characters of what it printed, on both streams. */
  readonly output: string
}

/** From TERM to KILL. */
const GRACE_MS = 5_000
/** After the exit, what is still in the pipe is read for this long: a daemon may hold the other end for ever. */
const LAST_WORDS_MS = 250
const OUTPUT_CHARACTERS = 64 * 1024

/**
 * Runs it to its end: by itself, by its limit, or by the signal. Nothing of its group is left then.
 * @throws FleetError `SPAWN_FAILED` when it cannot be started; the signal's reason
 */
export async function runCommand(command: Command, clock: Clock, signal: AbortSignal): Promise<CommandEnd> {
  signal.throwIfAborted()
  const child = await launch(command)
  const said = listen(child)
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const ended = await within(exit, command.timeoutMs, clock, signal)
  await endGroup(child, exit, clock)
  await within(closed, LAST_WORDS_MS, clock)
  for (const stream of [child.stdout, child.stderr]) stream?.destroy()
  signal.throwIfAborted()
  const output = said()
  const last = lastLine(output)
  if (!ended) {
    const message = `it ran longer than ${formatDuration(command.timeoutMs)}${last}`
    return { passed: false, message, code: null, timedOut: true, output }
  }
  const { exitCode: code, signalCode } = child
  const how = signalCode === null ? `exit ${code}` : `ended by ${signalCode}`
  return { passed: code === 0, message: `${how}${last}`, code, timedOut: false, output }
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

/** Whether the event came before the limit and the signal. */
async function within(event: Promise<void>, limitMs: number, clock: Clock, signal?: AbortSignal): Promise<boolean> {
  const decided = new AbortController()
  const until = signal === undefined ? decided.signal : AbortSignal.any([signal, decided.signal])
  const late = clock.sleep(limitMs, until).catch(() => undefined)
  const came = await Promise.race([event.then(() => true), late.then(() => false)])
  decided.abort()
  return came
}

/** What is left of the group, also when the command itself has ended: TERM, a grace, KILL. */
async function endGroup(child: ChildProcess, exit: Promise<void>, clock: Clock): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  const term = send(pid, 'SIGTERM')
  const untilMs = clock.monotonic() + GRACE_MS
  while (term && send(pid, 0) && clock.monotonic() < untilMs) await clock.sleep(20)
  send(pid, 'SIGKILL')
  await within(exit, GRACE_MS, clock)
}

/** False when nothing is left of the group (ESRCH). Signal 0 only asks. */
function send(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}

function listen(child: ChildProcess): () => string {
  let text = ''
  const keep = (chunk: string): void => {
    text = `${text}${chunk}`.slice(-OUTPUT_CHARACTERS)
  }
  child.stdout?.setEncoding('utf8').on('data', keep)
  child.stderr?.setEncoding('utf8').on('data', keep)
  return () => text
}

/** `: …` from the last line that says something, safe for one line of a record and a terminal. */
function lastLine(output: string): string {
  const lines = stripVTControlCharacters(output)
    .replace(/[^\P{C}\n]/gu, ' ')
    .split('\n')
  const last = lines.findLast((one) => one.trim() !== '')?.trim() ?? ''
  return last === '' ? '' : `: ${last.slice(-200)}`
}
