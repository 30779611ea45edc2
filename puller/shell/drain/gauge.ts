// Owns what the drain kinds have in common: one reading that says idle, or says what is still going on.
import type { WatchFolder } from '#fleet/node-ports.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import type { HookEnvironment } from '../hooks.ts'

/** Reads how busy the application is. Freed once the drain is over. */
export interface Gauge extends AsyncDisposable {
  /**
   * Null when idle; else what keeps it busy, as the end of a sentence. Whatever cannot be read is busy, and says so: no data is never idle.
   * @param budgetMs the reading must be over by then
   * @throws only the signal's reason
   */
  read(budgetMs: number, signal: AbortSignal): Promise<string | null>
  /** How often to read when nothing changes, for a gauge that is told of changes; else `intervalMs` of the config. */
  readonly pollMs?: number
  /** Resolves early when something changed that is worth a reading, after `ms` in any case. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

/** What a gauge may use of the world. */
export interface GaugeWorld {
  readonly clock: Clock
  readonly log: Logger
  readonly watch: WatchFolder
}

/** Where a gauge looks. */
export interface GaugeContext {
  readonly root: string
  readonly env: HookEnvironment
}
