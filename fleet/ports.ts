// Owns the ports: what the programs need of the world, in our words; adapters fulfil them, and `test/contract` holds each to its promises.
import type { BuildId, Digest, Name } from './build.ts'
import type { FleetError } from './errors.ts'
import type { NodeStatus } from './node-status.ts'
import type { Rollout } from './rollout.ts'
import type { RosterNode } from './roster.ts'
import type { SlotEntry } from './slot.ts'

/** Time, as an argument. `now` is wall time for people and expiry; `monotonic` is for durations; both in milliseconds. */
export interface Clock {
  now(): number
  monotonic(): number
  /** Resolves after `ms`, or rejects with the signal's reason. Never keeps a finished process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Uniform in [0, 1). */
  random(): number
}

/** Facts of a log line, from the fixed list of field names in `docs/architecture.md`. */
export type Facts = Readonly<Record<string, unknown>>

/** Logs: a constant lower-case message and its facts. */
export interface Logger {
  debug(message: string, facts?: Facts): void
  info(message: string, facts?: Facts): void
  warn(message: string, facts?: Facts): void
  error(message: string, facts?: Facts): void
}

/** The value of a watched key at one moment. `absent` is an answer of Consul's, never a guess from a failed one. */
export type TargetReading =
  | { readonly kind: 'value'; readonly raw: Uint8Array; readonly modifyIndex: number; readonly stale: boolean }
  | { readonly kind: 'absent'; readonly stale: boolean }

/** `reading`: the key has this value now. `trouble`: no answer since `sinceMs` (for how long, in milliseconds); the last reading stands. */
export type FeedEvent =
  | { readonly type: 'reading'; readonly reading: TargetReading }
  | { readonly type: 'trouble'; readonly error: FleetError; readonly sinceMs: number }

/**
 * The order of one app and ring. `watch` yields the first reading at once and then one for every change it sees (content compare:
 * never the same value and index twice in a row); it may skip values that were replaced at once, never the newest; it yields
 * `trouble` once per failed round and goes on by itself, with jitter, until the signal aborts (then it ends without an error).
 */
export interface TargetFeed {
  watch(signal: AbortSignal): AsyncIterable<FeedEvent>
  /** One reading that Consul's leader vouches for (never stale). @throws FleetError of kind transient or refused */
  read(signal: AbortSignal): Promise<TargetReading>
}

/** An operator's pin of one node: it keeps what it runs until the pin expires or is lifted. */
export interface Pin {
  readonly by: string
  readonly reason: string
  readonly expires: string | null
}

/** Reads this node's pin. @throws FleetError of kind transient or refused */
export interface Pins {
  read(signal: AbortSignal): Promise<Pin | null>
}

/**
 * Publishes this node's status under its session. Takes over its own key after a restart; makes a new session when the old one is gone.
 * @throws FleetError `DUPLICATE_NODE` when a living session that is not ours holds the key; else of kind transient or refused
 */
export interface StatusSink {
  publish(status: NodeStatus, signal: AbortSignal): Promise<void>
  /** Graceful end: destroys the session, the last status stays. Never throws. */
  close(): Promise<void>
}

/** Where a puller keeps its session id over restarts. */
export interface SessionShelf {
  load(): Promise<string | null>
  save(id: string): Promise<void>
}

/** The statuses of a ring. `changes` yields the whole roster, first at once, then after every change (coalesced), as `TargetFeed.watch` does. */
export interface StatusBoard {
  roster(ring: Name, signal: AbortSignal): Promise<readonly RosterNode[]>
  changes(ring: Name, signal: AbortSignal): AsyncIterable<readonly RosterNode[]>
}

/** A published build in Consul (contract: design section 5). */
export interface CatalogEntry {
  readonly app: Name
  readonly build: BuildId
  readonly commit: string | null
  readonly createdAt: string
  readonly by: string
  readonly manifest: Digest
  readonly treeDigest: Digest
  readonly artifact: { readonly digest: Digest; readonly bytes: number }
  readonly checks: Readonly<Record<string, string>>
  /** Who said so last, when `conduct check` did. */
  readonly checkedBy?:
    | Readonly<Record<string, { readonly by: string; readonly at: string; readonly reason: string }>>
    | undefined
  /** Commits that it is known to contain, beside its own (`publish --contains`). */
  readonly contains?: readonly string[] | undefined
  /** Ring → when the build converged and soaked there, ISO 8601. */
  readonly good: Readonly<Record<string, string>>
  readonly quarantine: { readonly by: string; readonly reason: string; readonly at: string } | null
}

/** The builds of an app. `index` is the entry's ModifyIndex, for compare-and-set; 0 creates. */
export interface Catalog {
  find(build: BuildId, signal: AbortSignal): Promise<{ readonly entry: CatalogEntry; readonly index: number } | null>
  /** Newest `createdAt` first. Entries that cannot be read are left out and reported by `onRejected`. */
  list(signal: AbortSignal): Promise<readonly CatalogEntry[]>
  /** @throws FleetError `WRITE_CONFLICT` when the entry is no longer at `index` */
  put(entry: CatalogEntry, index: number, signal: AbortSignal): Promise<void>
  /** Gone already is fine. @throws FleetError `WRITE_CONFLICT` when the entry is no longer at `index` */
  remove(build: BuildId, index: number, signal: AbortSignal): Promise<void>
}

/** What a store knows of an object. `version` is its ETag or the like: a change detector, never a proof of content. */
export interface ObjectFacts {
  readonly bytes: number
  readonly version: string
  /** Each read sends all of the object from its beginning, whatever range is asked for: one request for all costs least. */
  readonly wholeOnly?: boolean
}

/** A part of an object, `end` not included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * Immutable objects by name. Reads throw `STORE_MISSING`, `STORE_DENIED`, `STORE_CLOCK_SKEW`, `STORE_UNREACHABLE`, `STORE_CHANGED`
 * (the object is no longer `version`), `STORE_STALLED` (no byte for `stallMs`); a stream that ends early is `STORE_UNREACHABLE`, never a short success.
 */
export interface BuildStore {
  /** Facts of an object, or null when the store says that there is none. */
  find(name: string, signal: AbortSignal): Promise<ObjectFacts | null>
  /** Streams an object or a range of it, in pieces whose memory is the reader's. @param options.version refuse any other version (`If-Match`) */
  read(name: string, options: { range?: ByteRange; version?: string }, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Creates an object, atomically and only if there is none. `exists` wrote nothing. Bounded memory. @throws STORE_READ_ONLY */
  create(name: string, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<'created' | 'exists'>
  /** The names of all objects below a prefix that ends with a slash, in any order. @throws STORE_READ_ONLY where nothing can be listed */
  list(prefix: string, signal: AbortSignal): AsyncIterable<string>
  /** Removes an object; gone already is fine. @throws STORE_READ_ONLY */
  remove(name: string, signal: AbortSignal): Promise<void>
}

/** What the lease record says of its holder, for people. */
export interface LeaseNote {
  readonly holder: string
  readonly since: string
  readonly rollout: string | null
  /** What the holder brings; null where that is no build. */
  readonly build?: string | null
  readonly reason: string
  /** It leads for as long as it runs, also while no rollout is open, and begins what requests ask for. */
  readonly serves?: boolean
}

/** Held by one holder at a time. `lost` may fire late: only a fenced write proves anything. */
export interface Lease extends AsyncDisposable {
  readonly session: string
  readonly lost: AbortSignal
}

/** The lease of one app. */
export interface Locks {
  /** @throws FleetError `LEASE_HELD`, naming the holder, at once when somebody holds it */
  acquire(note: LeaseNote, signal: AbortSignal): Promise<Lease>
  /** Who holds it now, or null. */
  holder(signal: AbortSignal): Promise<(LeaseNote & { readonly session: string }) | null>
  /** Takes it from a dead or silent holder: destroys its session, then acquires. The old holder can write nothing more. */
  fence(session: string, note: LeaseNote, signal: AbortSignal): Promise<Lease>
}

/** A request of a CLI to whoever holds the lease. */
export interface Request {
  readonly id: string
  readonly verb: string
  readonly args: Readonly<Record<string, unknown>>
  readonly by: string
  readonly expires: string
  /** Ring → target generation that the asker saw. */
  readonly generations: Readonly<Record<string, number>>
}

/** One event of an app's history; `prev` is the SHA-256 of the previous value's bytes, "" for the first. */
export interface HistoryEntry {
  readonly seq: number
  readonly prev: string
  readonly at: string
  readonly by: string
  readonly event: string
  readonly facts: Facts
}

/** A key of the history: `name` is its last part, of which 12 digits are the number of an entry. */
export interface ChainLink {
  readonly name: string
  readonly raw: Uint8Array
}

/** A ring's target as it stands in Consul. `target` is null when the key is absent or its value is not a record. */
export interface TargetView {
  readonly raw: Uint8Array | null
  readonly index: number
}

/** A key that operators keep beside the rollouts. */
export type AsideKey =
  | { readonly kind: 'hold' }
  | { readonly kind: 'pin'; readonly ring: Name; readonly node: Name }
  | { readonly kind: 'node'; readonly ring: Name; readonly node: Name }
  | { readonly kind: 'build'; readonly build: BuildId }
  | { readonly kind: 'slot'; readonly slot: string }

/** Such a key as it stands. `raw` null: there is none, and `index` is 0. `held`: a living session holds it. */
export interface AsideView {
  readonly raw: Uint8Array | null
  readonly index: number
  readonly held: boolean
}

/** What becomes of such a key: new bytes, or null to remove it, if it is still at `index` (0: if there is none yet). */
export interface AsideWrite {
  readonly key: AsideKey
  readonly raw: Uint8Array | null
  readonly index: number
}

/** Everything the conductor decides on for one app, and the indexes that fence what it writes. */
export interface LedgerView {
  readonly targets: Readonly<Record<string, TargetView>>
  readonly rollout: { readonly record: Rollout; readonly index: number } | null
  /** ModifyIndex of the rollout key also where its value cannot be read (then `rollout` is null); 0 or left out: there is no such key. */
  readonly rolloutIndex?: number
  /** The raw bytes and seq of the newest history entry. */
  readonly tail: { readonly seq: number; readonly raw: Uint8Array } | null
  readonly requests: readonly Request[]
  /** The holds of the line; left out: there is no such key. */
  readonly hold?: { readonly raw: Uint8Array | null; readonly index: number }
}

/** What one transaction writes. Every part is checked against the index in the view it was decided on. */
export interface LedgerChange {
  readonly targets: Readonly<Record<string, Uint8Array>>
  readonly rollout: Rollout | null
  /** Appended in this order; `seq` and `prev` are given by the ledger. */
  readonly events: readonly Omit<HistoryEntry, 'seq' | 'prev'>[]
  /** Ids of requests that are done: deleted in the same transaction. */
  readonly answered: readonly string[]
  /** Brings a build further: happens only if the hold key is as it was seen. */
  readonly advances?: boolean
  readonly aside?: readonly AsideWrite[]
}

/** The fenced write: one transaction with `check-session` on the lease and `cas` on all that was read. */
export interface Ledger {
  view(rings: readonly Name[], signal: AbortSignal): Promise<LedgerView>
  /**
   * All or nothing. A reply that was lost is settled by reading again before anything is thrown.
   * @throws FleetError `LEASE_LOST` · `WRITE_CONFLICT` · kind transient when it is not known whether it was written
   */
  commit(lease: Lease, seen: LedgerView, change: LedgerChange, signal: AbortSignal): Promise<void>
  /** Creates an app's keys where they are missing; never touches one that is there. Returns the rings it created. */
  init(rings: readonly Name[], signal: AbortSignal): Promise<readonly Name[]>
  /** Stops the line by compare-and-set, without the lease: whoever holds that must not be able to prevent it. @throws FleetError `WRITE_CONFLICT` */
  stop(hold: Pick<AsideWrite, 'raw' | 'index'>, signal: AbortSignal): Promise<void>
  /** A key beside the rollouts, as the leader vouches for it. */
  peek(key: AsideKey, signal: AbortSignal): Promise<AsideView>
  /** Newest first. Entries that are gone or cannot be read are left out and logged. */
  history(limit: number, signal: AbortSignal): Promise<readonly HistoryEntry[]>
  /** Every key of the history with its bytes as they stand, in the order of their names: for whoever proves the chain. */
  chain(signal: AbortSignal): AsyncIterable<ChainLink>
  /** The record of a rollout that ended, as it was kept then; null when none was. @throws FleetError `RECORD_INVALID` */
  finished(id: string, signal: AbortSignal): Promise<Rollout | null>
  /** Every ring that has keys, also one that no config names. */
  rings(signal: AbortSignal): Promise<readonly Name[]>
  /**
   * What became of the slots of a day in UTC (`2026-11-22`), in their order; null: of the newest day that has any. A slot is written as an
   * `aside` of index 0, in the transaction of what it starts.
   */
  slots(day: string | null, signal: AbortSignal): Promise<readonly SlotEntry[]>
  /** Leaves a request for the lease holder; CAS 0. */
  ask(request: Request, signal: AbortSignal): Promise<void>
  /** Takes back a request that nobody answered. */
  withdraw(id: string, signal: AbortSignal): Promise<void>
}
