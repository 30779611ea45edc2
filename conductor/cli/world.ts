// Owns what a verb of `conduct` is handed: the app it is about, its ports, the person, and where to speak.

import type { EvidenceSettings } from '#conductor/config.ts'
import type { Gate } from '#conductor/core/gates.ts'
import type { Route } from '#conductor/core/route.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Place, Sources } from '#conductor/shell/evaluate.ts'
import type { Name } from '#fleet/build.ts'
import type { BuildStore, Catalog, Clock, Ledger, Locks, StatusBoard } from '#fleet/ports.ts'
import type { Schedule } from '#schedule/timetable.ts'
import type { Reporter } from './reporter.ts'

/** A stream to write to, and whether a person watches it. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface Ports {
  readonly ledger: Ledger
  readonly board: StatusBoard
  readonly locks: Locks
  readonly catalog: Catalog
  /** The metrics store that a gate names. */
  metrics: Sources['metrics']
  /** Opened when first asked for: most verbs need none. @throws FleetError `CONFIG_INVALID` when no store is configured */
  store(): Promise<BuildStore>
}

/** Everything that a verb needs. */
export interface Bench {
  readonly app: Name
  /** In the order of a release. */
  readonly rings: readonly Name[]
  /** Named by `--ring`, and not by the config. */
  readonly ringsNamed: boolean
  readonly policy: Policy
  readonly route: Route
  readonly gates: readonly Gate[]
  /** Where commands of the config run, and the environment that they have beside what they are told. */
  readonly place: Place
  readonly ports: Ports
  readonly clock: Clock
  readonly report: Reporter
  /** The person, as `--by` or the login says. */
  readonly by: string
  /** `by` and where: what the lease shows to others. */
  readonly holder: string
  /** Aborts when the person presses Ctrl-C. */
  readonly signal: AbortSignal
  /** The calendar, read when first asked for; null: there is none. @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` */
  schedule(): Promise<Schedule | null>
  readonly evidence: EvidenceSettings
}

/** The part of the world that `conduct` touches beside Consul and the store: tests hand in their own. */
export interface World {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  /** Aborts when the person wants it to end. */
  readonly signal: AbortSignal
  readonly hostname: string
  /** The login. */
  readonly user: string
}
