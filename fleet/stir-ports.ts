// Owns the port by which a daemon hears that something of its app was written, without reading it again and again.
import type { Name } from './build.ts'
import type { FleetError } from './errors.ts'

/** Parts of an app beside the statuses of its nodes. */
export type Stirred = 'orders' | 'rollout' | 'hold' | 'lease' | 'requests' | 'builds'

export interface Ears {
  /** At first for each part, then whenever it may have changed; several changes may be told as one. */
  stirred(what: Stirred): void
  /** Consul has answered for it, also that nothing has changed. */
  answered(what: Stirred): void
  troubled(what: Stirred, error: FleetError): void
}

/** Listens by blocking queries, with jitter and without ever spinning. */
export interface Stirs {
  /** Runs until the signal aborts, and then ends without an error. */
  follow(rings: readonly Name[], ears: Ears, signal: AbortSignal): Promise<void>
}
