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
}

/** An empty world. */
export function memoryRecords(): Records {
  let records = new Map<string, KeyRecord>()
  let index = 0
  let sessionCount = 0
  const sessions = new Set<string>()
  let waiting: (() => void)[] = []

  function wake(): void {
    const woken = waiting
    waiting = []
    for (const resolve of woken) resolve()
  }

  function write(into: Map<string, KeyRecord>, key: string, value: Uint8Array, session: string | null): void {
    const before = into.get(key)
    if (before && before.session === session && Buffer.from(before.value).equals(value)) return
    index += 1
    into.set(key, { key, value: Uint8Array.from(value), modifyIndex: index, session })
  }

  function apply(into: Map<string, KeyRecord>, operation: Operation): boolean {
    const { verb, key, value = new Uint8Array(), session = '', index: at = 0 } = operation
    const before = into.get(key)
    switch (verb) {
      case 'get':
        return before !== undefined
      case 'set':
        write(into, key, value, before?.session ?? null)
        return true
      case 'cas':
        if ((before?.modifyIndex ?? 0) !== at) return false
        write(into, key, value, before?.session ?? null)
        return true
      case 'lock':
        if (!sessions.has(session) || (before?.session ?? session) !== session) return false
        write(into, key, value, session)
        return true
      case 'unlock':
        if (before?.session !== session) return false
        write(into, key, value, null)
        return true
      case 'check-index':
        return before?.modifyIndex === at
      case 'check-session':
        return before !== undefined && before.session === session
      case 'check-not-exists':
        return before === undefined
      case 'delete':
        into.delete(key)
        return true
      case 'delete-cas':
        if (before !== undefined && before.modifyIndex !== at) return false
        into.delete(key)
        return true
    }
  }

  function transact(operations: readonly Operation[]): readonly number[] {
    const draft = new Map(records)
    const refused = operations.flatMap((operation, place) => (apply(draft, operation) ? [] : [place]))
    if (refused.length > 0) return refused
    records = draft
    wake()
    return []
  }

  return {
    get: (key) => records.get(key) ?? null,
    list: (prefix) =>
      [...records.values()].filter((each) => each.key.startsWith(prefix)).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
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
        if (record.session === id) write(records, record.key, record.value, null)
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
  }
}

/** As a real request would: rejects when the caller has given up. */
export function begin(signal: AbortSignal): void {
  if (signal.aborted)
    throw signal.reason instanceof Error ? signal.reason : new FleetError('CONSUL_STALLED', 'given up')
}
