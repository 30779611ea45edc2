// Owns running one child process: a group of its own, a limit, capped output, and an end that is certain.
import { type ChildProcess, spawn } from 'node:child_process'
import { FleetError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'
import { groupLives } from './processes.ts'

/** How long a process group may take to end after TERM before it gets KILL. */
const GRACE_MS = 10_000
/** A process that KILL does not end hangs in the kernel (a dead disk, a dead NFS server): nothing to gain by waiting on. */
const UNKILLABLE_MS = 5_000
/** After the exit, what is still in the pipe is read for this long: a daemon may hold the other end for ever. */
const LAST_WORDS_MS = 250
const OUTPUT_BYTES = 64 * 1024

/** What to run. There is no shell, and no standard input. */
export interface ChildOrder {
  /** Names the child in errors, as `hook afterSwap`. */
  readonly what: string
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
  /** From TERM to KILL; 10 s when left out. */
  readonly graceMs?: number
}

/** How a child ended. */
export interface ChildEnd {
  readonly by: 'itself' | 'timeout' | 'abort'
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last 64 KiB of standard output and standard error together. */
  readonly output: string
  readonly ms: number
  /** Processes of its group outlived it and were ended. */
  readonly leftovers: boolean
  /** Somebody outside the group still holds its output open. */
  readonly outputHeld: boolean
}

/**
 * Runs a child and returns once it is over: it ended, its time was up, or the signal fired. In every case nothing of its process group is
 * left: TERM, a grace, KILL. Waits for the exit, never for the end of its output.
 * @throws FleetError `SPAWN_FAILED` when it cannot be started
 */
export async function runChild(order: ChildOrder, clock: Clock, signal: AbortSignal): Promise<ChildEnd> {
  signal.throwIfAborted()
  const startedMs = clock.monotonic()
  const child = launch(order)
  const tail = keepTail(child)
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const pid = await started(child, order)

  const by = await firstOf(exited, order.timeoutMs, clock, signal)
  const leftovers = await endGroup(pid, exited, order.graceMs ?? GRACE_MS, clock)
  const outputHeld = (await firstOf(closed, LAST_WORDS_MS, clock, NEVER)) !== 'itself'
  release(child)
  return {
    by,
    code: child.exitCode,
    signal: child.signalCode,
    output: tail(),
    ms: clock.monotonic() - startedMs,
    leftovers: leftovers && by === 'itself',
    outputHeld,
  }
}

const NEVER = new AbortController().signal

function launch(order: ChildOrder): ChildProcess {
  const [file, ...args] = order.argv
  if (file === undefined) throw new FleetError('SPAWN_FAILED', `cannot start ${order.what}: its command is empty`)
  try {
    return spawn(file, args, { cwd: order.cwd, env: order.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (cause) {
    throw spawnFailed(order, cause)
  }
}

function started(child: ChildProcess, order: ChildOrder): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(spawnFailed(order, cause)))
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
}

function spawnFailed(order: ChildOrder, cause: unknown): FleetError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  return new FleetError('SPAWN_FAILED', `cannot start ${order.what} (${code}): ${order.argv.join(' ')}`, { cause })
}

/** Which comes first: the event, the end of the time, or the signal. */
async function firstOf(
  event: Promise<void>,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<'itself' | 'timeout' | 'abort'> {
  const decided = new AbortController()
  const aborted = new Promise<'abort'>((resolve) => {
    if (signal.aborted) resolve('abort')
    else signal.addEventListener('abort', () => resolve('abort'), { signal: decided.signal })
  })
  const timeout = clock.sleep(limitMs, decided.signal).then(
    () => 'timeout' as const,
    () => 'timeout' as const, // the race is over already
  )
  try {
    return await Promise.race([event.then(() => 'itself' as const), timeout, aborted])
  } finally {
    decided.abort()
  }
}

/** Ends what is left of a group; returns whether anything was. */
async function endGroup(pgid: number, exited: Promise<void>, graceMs: number, clock: Clock): Promise<boolean> {
  if (!groupLives(pgid)) return false
  for (const [signal, limitMs] of [['SIGTERM', graceMs] as const, ['SIGKILL', UNKILLABLE_MS] as const]) {
    signalGroup(pgid, signal)
    const untilMs = clock.monotonic() + limitMs
    while (groupLives(pgid) && clock.monotonic() < untilMs) await clock.sleep(20)
    if (!groupLives(pgid)) break
  }
  // The exit is known to us a moment after the kernel knows it.
  await firstOf(exited, 1_000, clock, NEVER)
  return true
}

function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pgid, signal)
  } catch {
    // ESRCH: it ended by itself in between
  }
}

function keepTail(child: ChildProcess): () => string {
  let chunks: Buffer[] = []
  let bytes = 0
  const keep = (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes < 2 * OUTPUT_BYTES) return
    chunks = [Buffer.concat(chunks).subarray(-OUTPUT_BYTES)]
    bytes = OUTPUT_BYTES
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return () => Buffer.concat(chunks).subarray(-OUTPUT_BYTES).toString('utf8')
}

/**
 * A daemon that left the group may still write to the pipe. Closing our end would kill it at its next line, so the pipe goes on being
 * emptied, without keeping this program alive and without keeping what is read.
 */
function release(child: ChildProcess): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.removeAllListeners('data')
    stream?.on('error', () => {})
    stream?.resume()
    if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref()
  }
  child.unref()
}
