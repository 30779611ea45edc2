// Owns the record of a slot: what became of a planned instant, written once, by whoever held the lease.
import type { BuildId, Name } from './build.ts'

/** Written with CAS 0 under the slot's own instant, in the transaction of what it started: a slot is decided at most once. */
export interface SlotRecord {
  readonly app: Name
  /** The planned instant, `2026-11-22T17:00:00Z`: also the name of its key. */
  readonly slot: string
  readonly outcome: 'fired' | 'skipped'
  /** Why, as a code of `conduct why`. */
  readonly code: string
  /** Why, in a sentence. */
  readonly reason: string
  /** What it released, or what waits. */
  readonly build: BuildId | null
  /** The rollout that it began, or the one that stood in its way. */
  readonly rollout: string | null
  readonly commander: string | null
  readonly by: string
  /** When it was decided, ISO 8601. */
  readonly at: string
  /** Where the schedule lives. */
  readonly timezone: string
  /** Version of the zone tables that it was worked out with, like 2026b; null: not known. */
  readonly zoneTables: string | null
}

/** A slot's key as it stands; `record` is null where its value cannot be read: it was decided all the same. */
export interface SlotEntry {
  readonly slot: string
  readonly record: SlotRecord | null
}

/** The grammar of a slot's name. */
export const SLOT_NAME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
