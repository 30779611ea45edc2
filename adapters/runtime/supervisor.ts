// Owns what a program tells the systemd that started it: that it is ready, that it still works, that it stops.
import { execFile } from 'node:child_process'
import type { Clock, Logger } from '#fleet/ports.ts'

/** What systemd sets for a unit of `Type=notify`, with a `WatchdogSec` (sd_notify(3), sd_watchdog_enabled(3)). */
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const

/** A call takes some milliseconds; one that hangs must not hold up the next. */
const TELL_LIMIT_MS = 5_000

export interface Supervisor {
  /** Nobody listens when the program was started by hand: all else is without effect then. */
  readonly listens: boolean
  /** The longest silence that the watchdog bears; null when there is none. */
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
 * Takes the variables out of `env`: hooks and drains are other programs, and must not speak for this one. Speaks by the child
 * `systemd-notify`, since Node has no datagram sockets of the Unix kind; the unit needs `NotifyAccess=all` for it.
 */
export function openSupervisor(env: NodeJS.ProcessEnv, around: { clock: Clock; log: Logger }): Supervisor {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limitUs, WATCHDOG_PID: pid } = env
  for (const name of VARIABLES) delete env[name]
  const { clock, log } = around
  // A limit that is meant for another process of the unit.
  const ours = pid === undefined || pid === String(process.pid)
  const watchdogMs = socket !== undefined && ours && Number(limitUs) > 0 ? Number(limitUs) / 1_000 : null

  async function tell(...words: readonly string[]): Promise<void> {
    if (socket === undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const options = { env: { PATH: env.PATH, NOTIFY_SOCKET: socket }, timeout: TELL_LIMIT_MS }
    execFile('systemd-notify', words, options, (error) => {
      if (error !== null) log.warn('systemd could not be told', { error })
      resolve()
    })
    await promise
  }

  return {
    listens: socket !== undefined,
    watchdogMs,
    ready: (state) => tell('READY=1', `STATUS=${state}`),
    stopping: () => tell('STOPPING=1'),
    async watch(works, signal) {
      if (watchdogMs === null) return
      while (!signal.aborted) {
        try {
          await tell('WATCHDOG=1', `STATUS=${await works()}`)
        } catch (error) {
          log.warn('not told to the watchdog: the program does not answer itself', { error })
        }
        // Half of the limit is what sd_watchdog_enabled(3) advises; a third leaves room for a slow child.
        await clock.sleep(watchdogMs / 3, signal).catch(() => undefined)
      }
    },
  }
}
