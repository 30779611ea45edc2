// Owns telling systemd how a service stands: each message is carried by a child of systemd's own, because Node has no such socket.
import { spawn } from 'node:child_process'
import type { Logger } from '#fleet/ports.ts'

export type State = 'ready' | 'stopping' | 'alive'

export interface Notifier {
  /** How long systemd waits for a sign of life, in milliseconds; null when it does not watch. */
  readonly watchdogMs: number | null
  /** Never throws: a service must not end because nobody listens. @param words shown by `systemctl status` */
  tell(state: State, words?: string): Promise<void>
}

const MESSAGES: Readonly<Record<State, string>> = { ready: 'READY=1', stopping: 'STOPPING=1', alive: 'WATCHDOG=1' }

/** systemd-notify waits for up to five seconds until its message was read; one that hangs longer is ended. */
const LIMIT_MS = 8_000

/** Of a process that systemd did not start, one that says nothing. The unit needs `NotifyAccess=all` (docs/decisions/0020). */
export function systemdNotifier(
  env: Readonly<Record<string, string | undefined>>,
  { log }: { readonly log: Logger },
): Notifier {
  const { NOTIFY_SOCKET, WATCHDOG_USEC } = env
  if (!NOTIFY_SOCKET) return { watchdogMs: null, tell: async () => undefined }
  const watchdogMs = /^[1-9]\d{0,15}$/.test(WATCHDOG_USEC ?? '') ? Number(WATCHDOG_USEC) / 1_000 : null
  let told = false
  return {
    watchdogMs,
    async tell(state, words) {
      const message = [MESSAGES[state], ...(words === undefined ? [] : [`STATUS=${words.replace(/\s+/g, ' ')}`])]
      const error = await send(message, NOTIFY_SOCKET)
      if (error === null || told) return
      told = true
      log.warn('systemd could not be told', { error })
    },
  }
}

/** What went wrong, or null. */
function send(message: readonly string[], socket: string): Promise<string | null> {
  return new Promise((resolve) => {
    const env = { NOTIFY_SOCKET: socket, PATH: process.env.PATH ?? '/usr/bin:/bin' }
    const child = spawn('systemd-notify', message, { env, stdio: 'ignore', timeout: LIMIT_MS, killSignal: 'SIGKILL' })
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code === 0 ? null : `systemd-notify ended with ${code ?? signal}`))
  })
}
