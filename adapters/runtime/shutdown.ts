// Owns how a process is asked to end: the first signal asks, a second one does not wait.

/** The part of `process` that is used: tests hand in an emitter. */
export interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown
  off(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown
  exit(code: number): void
}

export interface Shutdown extends Disposable {
  /** Aborts at the first SIGTERM or SIGINT; the reason is an Error whose message names the signal. */
  readonly signal: AbortSignal
}

/** Exit codes that a shell gives to a process ended by the signal. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * Listens until disposed. A second signal ends the process at once: the operator has lost patience, and every state on disk survives
 * a kill anyway.
 */
export function listenForShutdown(source: SignalSource = process): Shutdown {
  const controller = new AbortController()
  const ask = (name: keyof typeof EXIT_CODES) => () => {
    if (controller.signal.aborted) source.exit(EXIT_CODES[name])
    else controller.abort(new Error(`ended by ${name}`))
  }
  const onTerminate = ask('SIGTERM')
  const onInterrupt = ask('SIGINT')
  source.on('SIGTERM', onTerminate)
  source.on('SIGINT', onInterrupt)
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      source.off('SIGTERM', onTerminate)
      source.off('SIGINT', onInterrupt)
    },
  }
}
