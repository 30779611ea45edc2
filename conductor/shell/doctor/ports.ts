// Owns what the examination is handed: its own questions to Consul and to the store, and readers of config files.
import type { ConductKept, PullerKept } from '#conductor/config-doctor.ts'
import type { AgentFacts, LeaderFacts, Need, WatchFacts } from '#conductor/core/doctor-consul.ts'
import type { Name } from '#fleet/build.ts'
import type { Keys } from '#fleet/keys.ts'
import type { BuildStore, CatalogEntry, Clock } from '#fleet/ports.ts'

/** One Consul, asked with one token. Every question throws FleetError, or its signal's reason. */
export interface ConsulQuestions {
  keys(app: string): Keys
  leader(signal: AbortSignal): Promise<LeaderFacts>
  agent(signal: AbortSignal): Promise<AgentFacts>
  session(signal: AbortSignal): Promise<null>
  /** Nothing is written. @param key one that is in nobody's way, whether it is there or not */
  refused(needs: readonly Need[], key: string, signal: AbortSignal): Promise<readonly Need[]>
  /** @param scratch a key that is not there, and is not there afterwards */
  transaction(scratch: string, signal: AbortSignal): Promise<null>
  watch(key: string, signal: AbortSignal): Promise<WatchFacts>
  exists(key: string, signal: AbortSignal): Promise<boolean>
  builds(app: Name, signal: AbortSignal): Promise<readonly CatalogEntry[]>
  close(): void
}

export type ConsulSettings = { readonly url: string } & Omit<ConductKept['consul'], 'url'>
export type StoreSettings = NonNullable<ConductKept['store']>

export interface Doctoring {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly hostname: string
  /** The login. */
  readonly user: string
  /** Where this installation lies. */
  readonly home: string
  /** Complains of every mistake. @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` */
  checkConfig(path: string): void
  /** The same for the schedule. */
  checkSchedule(path: string): void
  /** What is in order of a config. @throws FleetError where that is nothing */
  keepConfig(path: string): ConductKept
  keepPuller(path: string): PullerKept
  /** @throws FleetError `CONFIG_INVALID` */
  consul(settings: ConsulSettings): ConsulQuestions
  /** @throws FleetError `CONFIG_INVALID` */
  store(settings: StoreSettings): Promise<BuildStore>
}
