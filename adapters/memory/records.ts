// Owns keys, sessions and transactions in memory: what the ports of this folder share, with Consul's rules and none of its time.

import type { Operation } from '#adapters/consul/client.ts'
import { FleetError } from '#fleet/errors.ts'

/** A key as it stands. */
export interface KeyRecord {
  readonly key: string
  readonly value: Uint8Array
  readonly modifyIndex: number
  readonly session: string | null
}

/** Shared by all ports of one small world. Sessions have no TTL: `endSession` is how a holder dies here. */
export interface Records {
  get(key: string): KeyRecord | null
  /** Sorted by key. */
  list(prefix: string): readonly KeyRecord[]
  /** As any script could: plain, over whatever stands there. Writing the same bytes changes nothing and wakes nobody. */
  put(key: string, value: Uint8Array): void
  delete(key: string): void
  /** All or nothing. Returns the places of the operations that were refused; empty when it happened. */
  transact(operations: readonly Operation[]): readonly number[]
  createSession(): string
  isSessionAlive(id: string): boolean
  endSession(id: string): void
  /** Resolves after the next change of anything, or when the signal aborts. */
  change(signal: AbortSignal): Promise<void>
  /** Everything as it stands, to be put back later. */
  snapshot(): Snapshot
  /** Puts everything back, with the indexes of then; what is written next has a higher one than anything had before. */
  restore(snapshot: Snapshot): void
}

/** What `consul snapshot save` keeps: the keys, and which sessions lived. */
export interface Snapshot {
  readonly records: ReadonlyMap<string, KeyRecord>
  readonly sessions: ReadonlySet<string>
}

/** An empty world. */
export function memoryRecords(): Records {
  let records = new Map<string, KeyRecord>()
  /** The keys in order; null after one came or went: most writes change values only. */
  let sorted: readonly string[] | null = null
  let index = 0
  let sessionCount = 0
  let sessions = new Set<string>()
  let waiting: (() => void)[] = []

  function wake(): void {
    const woken = waiting
    waiting = []
    for (const resolve of woken) resolve()
  }

  function write(key: string, value: Uint8Array, session: string | null): void {
    const before = records.get(key)
    if (before && before.session === session && Buffer.from(before.value).equals(value)) return
    index += 1
    if (before === undefined) sorted = null
    records.set(key, { key, value: Uint8Array.from(value), modifyIndex: index, session })
  }

  function remove(key: string): void {
    if (records.delete(key)) sorted = null
  }

  function apply(operation: Operation): boolean {
    const { verb, key, value = new Uint8Array(), session = '', index: at = 0 } = operation
    const before = records.get(key)
    switch (verb) {
      case 'get':
        return before !== undefined
      case 'set':
        write(key, value, before?.session ?? null)
        return true
      case 'cas':
        if ((before?.modifyIndex ?? 0) !== at) return false
        write(key, value, before?.session ?? null)
        return true
      case 'lock':
        if (!sessions.has(session) || (before?.session ?? session) !== session) return false
        write(key, value, session)
        return true
      case 'unlock':
        if (before?.session !== session) return false
        write(key, value, null)
        return true
      case 'check-index':
        return before?.modifyIndex === at
      case 'check-session':
        return before !== undefined && before.session === session
      case 'check-not-exists':
        return before === undefined
      case 'delete':
        remove(key)
        return true
      case 'delete-cas':
        if (before !== undefined && before.modifyIndex !== at) return false
        remove(key)
        return true
    }
  }

  /** Takes back what the operations of a refused transaction did, the last first. */
  function undo(done: readonly (readonly [key: string, before: KeyRecord | undefined])[]): void {
    for (const [key, before] of done.toReversed()) {
      if (before === undefined) remove(key)
      else {
        if (!records.has(key)) sorted = null
        records.set(key, before)
      }
    }
  }

  function transact(operations: readonly Operation[]): readonly number[] {
    const indexBefore = index
    const done: [key: string, before: KeyRecord | undefined][] = []
    const refused: number[] = []
    for (const [place, operation] of operations.entries()) {
      done.push([operation.key, records.get(operation.key)])
      if (!apply(operation)) refused.push(place)
    }
    if (refused.length > 0) {
      undo(done)
      index = indexBefore
      return refused
    }
    wake()
    return []
  }

  function list(prefix: string): readonly KeyRecord[] {
    sorted ??= [...records.keys()].sort()
    const found: KeyRecord[] = []
    for (let at = firstFrom(sorted, prefix); at < sorted.length; at += 1) {
      const record = records.get(sorted[at] ?? '')
      if (record === undefined || !record.key.startsWith(prefix)) break
      found.push(record)
    }
    return found
  }

  return {
    get: (key) => records.get(key) ?? null,
    list,
    put: (key, value) => void transact([{ verb: 'set', key, value }]),
    delete: (key) => void transact([{ verb: 'delete', key }]),
    transact,
    createSession() {
      sessionCount += 1
      const id = `session-${sessionCount}`
      sessions.add(id)
      return id
    },
    isSessionAlive: (id) => sessions.has(id),
    endSession(id) {
      if (!sessions.delete(id)) return
      for (const record of records.values()) {
        if (record.session === id) write(record.key, record.value, null)
      }
      wake()
    },
    change: (signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const done = () => {
          signal.removeEventListener('abort', done)
          resolve()
        }
        signal.addEventListener('abort', done, { once: true })
        waiting.push(done)
      }),
    snapshot: () => ({ records: new Map(records), sessions: new Set(sessions) }),
    restore(snapshot) {
      records = new Map(snapshot.records)
      sessions = new Set(snapshot.sessions)
      sorted = null
      wake()
    },
  }
}

/** Where the first key that is not before `prefix` stands. */
function firstFrom(sorted: readonly string[], prefix: string): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((sorted[middle] ?? '') < prefix) from = middle + 1
    else to = middle
  }
  return from
}

/** As a real request would: rejects when the caller has given up. */
export function begin(signal: AbortSignal): void {
  if (signal.aborted)
    throw signal.reason instanceof Error ? signal.reason : new FleetError('CONSUL_STALLED', 'given up')
}
