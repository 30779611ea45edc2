// Owns what a program tells the systemd that started it: that it is ready, that it still works, that it stops.
import { spawn } from 'node:child_process'
import type { Clock, Logger } from '#fleet/ports.ts'

/** What systemd sets for a unit of `Type=notify`, with a `WatchdogSec` (sd_notify(3), sd_watchdog_enabled(3)). */
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const

/** systemd-notify waits for up to five seconds until its message was read; one that hangs longer is ended. */
const TELL_LIMIT_MS = 8_000

export interface Supervisor {
  /** The longest silence that the watchdog bears, in milliseconds; null when there is none, as when the program was started by hand. */
  readonly watchdogMs: number | null
  /** @param state one sentence for `systemctl status` */
  ready(state: string): Promise<void>
  stopping(): Promise<void>
  /**
   * Says that the program works, as often as the watchdog wants to hear it, until the signal aborts. Each time only after `works` has
   * resolved with a sentence for `systemctl status`: an event loop that stands still, or a program that does not answer itself, is silent
   * and will be started anew (failures D8). A rejection of `works` is logged and not told.
   */
  watch(works: () => Promise<string>, signal: AbortSignal): Promise<void>
}

/**
 * Takes the variables out of `env`: hooks, drains and gates are other programs, and must not speak for this one. Speaks by the child
 * `systemd-notify` (docs/decisions/0020); the unit needs `NotifyAccess=all` for it. No call of it throws: a service must not end because
 * nobody listens.
 */
export function openSupervisor(
  env: Record<string, string | undefined>,
  around: { readonly clock: Clock; readonly log: Logger },
): Supervisor {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limitUs = '', WATCHDOG_PID: pid } = env
  for (const name of VARIABLES) delete env[name]
  const { clock, log } = around
  // A limit that is meant for another process of the unit.
  const ours = pid === undefined || pid === String(process.pid)
  const watchdogMs = socket && ours && /^[1-9]\d{0,15}$/.test(limitUs) ? Number(limitUs) / 1_000 : null
  let complained = false

  async function tell(...words: readonly string[]): Promise<void> {
    if (!socket) return
    const error = await send(words, { NOTIFY_SOCKET: socket, PATH: env.PATH ?? '/usr/bin:/bin' })
    if (error === null || complained) return
    complained = true
    log.warn('systemd could not be told', { error })
  }

  return {
    watchdogMs,
    ready: (state) => tell('READY=1', statusLine(state)),
    stopping: () => tell('STOPPING=1'),
    async watch(works, signal) {
      if (watchdogMs === null) return
      while (!signal.aborted) {
        try {
          await tell('WATCHDOG=1', statusLine(await works()))
        } catch (error) {
          log.warn('not told to the watchdog: the program does not answer itself', { error })
        }
        // Half of the limit is what sd_watchdog_enabled(3) advises; a third leaves room for a slow child.
        await clock.sleep(watchdogMs / 3, signal).catch(() => undefined)
      }
    },
  }
}

/** A line end would begin another field. */
function statusLine(state: string): string {
  return `STATUS=${state.replace(/\s+/g, ' ')}`
}

/** What went wrong, or null. */
function send(words: readonly string[], env: Record<string, string>): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', words, {
      env,
      stdio: 'ignore',
      timeout: TELL_LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code === 0 ? null : `systemd-notify ended with ${code ?? signal}`))
  })
}
