// Owns feeding systemd's watchdog: only while the loops turn, so that a stuck daemon is started anew.
import type { Clock } from '#fleet/ports.ts'

export interface Dog {
  /** How long it waits before it bites, in milliseconds; null when there is none. */
  readonly watchdogMs: number | null
  tell(state: 'alive'): Promise<void>
}

/** @param turnedMs since the slowest loop turned */
export async function feedDog(dog: Dog, turnedMs: () => number, clock: Clock, signal: AbortSignal): Promise<void> {
  const { watchdogMs } = dog
  if (watchdogMs === null) return
  while (!signal.aborted) {
    // A loop that stood still for half of its patience is not spoken for: the other half is left for it to turn again.
    if (turnedMs() < watchdogMs / 2) await dog.tell('alive')
    await clock.sleep(watchdogMs / 4, signal).catch(() => undefined)
  }
}
