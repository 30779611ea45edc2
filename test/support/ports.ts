// Owns the three worlds that the Consul ports are held to: memory, the embedded agent and real Consul, each test under keys of its own.
import { after, type TestContext } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { pins } from '#adapters/consul/pins.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { memoryBoard } from '#adapters/memory/board.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryFeed } from '#adapters/memory/feed.ts'
import { memoryLedger } from '#adapters/memory/ledger.ts'
import { memoryLocks } from '#adapters/memory/locks.ts'
import { memoryPins } from '#adapters/memory/pins.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { memorySink } from '#adapters/memory/sink.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, type Keys, keysOf } from '#fleet/keys.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type {
  Catalog,
  CatalogEntry,
  LeaseNote,
  Ledger,
  LedgerChange,
  Locks,
  Pins,
  SessionShelf,
  StatusBoard,
  StatusSink,
  TargetFeed,
} from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { connect } from './connect.ts'
import { consulWorlds } from './consul.ts'

export const APP = 'web' as Name
export const RING = 'production' as Name
const digest = (digit: string) => `sha256:${digit.repeat(64)}` as Digest

/** For assert.throws and assert.rejects: an error of ours with this code. */
export const code = (expected: ErrorCode) => (error: unknown) => error instanceof FleetError && error.code === expected
export const text = (raw: Uint8Array | null | undefined) => Buffer.from(raw ?? []).toString()

/** All ports over one small world, and what anybody could do to its keys. */
export interface PortWorld {
  readonly keys: Keys
  readonly signal: AbortSignal
  readonly feed: TargetFeed
  readonly board: StatusBoard
  readonly locks: Locks
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly pins: Pins
  readonly rejected: readonly string[]
  sink(node: string, shelf?: SessionShelf): StatusSink
  put(key: string, value: string | Uint8Array): Promise<void>
  delete(key: string): Promise<void>
  endSession(id: string): Promise<void>
}

export function shelf(): SessionShelf & { id: string | null } {
  const kept = {
    id: null as string | null,
    load: async () => kept.id,
    save: async (id: string) => {
      kept.id = id
    },
  }
  return kept
}

function memoryWorld(t: TestContext): PortWorld {
  const records = memoryRecords()
  const over = new AbortController()
  t.after(() => over.abort())
  const rejected: string[] = []
  const of = { app: APP, ring: RING, node: 'n1', clock: systemClock }
  return {
    keys: keysOf(DEFAULT_PREFIX, APP),
    signal: over.signal,
    feed: memoryFeed(records, of),
    board: memoryBoard(records, of),
    locks: memoryLocks(records, of),
    ledger: memoryLedger(records, of),
    catalog: memoryCatalog(records, { ...of, onRejected: (key) => void rejected.push(key) }),
    pins: memoryPins(records, of),
    rejected,
    sink: (node, kept = shelf()) => memorySink(records, { ...of, node, shelf: kept }),
    put: async (key, value) => records.put(key, Buffer.from(value)),
    delete: async (key) => records.delete(key),
    endSession: async (id) => records.endSession(id),
  }
}

function consulWorld(t: TestContext, url: string, prefix: string): PortWorld {
  const { client, signal } = connect(t, { url, prefix, waitMs: 5_000 })
  const rejected: string[] = []
  const of = { app: APP, ring: RING, node: 'n1' }
  return {
    keys: client.keys(APP),
    signal,
    feed: targetFeed(client, of),
    board: statusBoard(client, of),
    locks: locks(client, of),
    ledger: ledger(client, of),
    catalog: catalog(client, { ...of, onRejected: (key) => void rejected.push(key) }),
    pins: pins(client, of),
    rejected,
    sink(node, kept = shelf()) {
      const sink = statusSink(client, { ...of, node, shelf: kept })
      t.after(() => sink.close())
      return sink
    },
    put: (key, value) => client.put(key, Buffer.from(value), signal),
    delete: async (key) => void (await client.delete(key, signal)),
    endSession: (id) => client.destroySession(id, signal),
  }
}

let prefixes = 0

// Inside a test `after` would mean the end of that test: the servers that all share end with the file.
const cleanups: (() => unknown)[] = []
after(async () => {
  for (const cleanup of cleanups) await cleanup()
})
const file = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) } as Pick<TestContext, 'after'>

/** Each world; one Consul serves all tests of a file, each under a prefix of its own. */
export const portWorlds: readonly { name: string; start(t: TestContext): Promise<PortWorld> }[] = [
  { name: 'memory', start: async (t) => memoryWorld(t) },
  ...consulWorlds().map((world) => {
    let server: Promise<{ readonly url: string }> | null = null
    return {
      name: world.name,
      start: async (t: TestContext) => {
        server ??= world.start(file)
        prefixes += 1
        return consulWorld(t, (await server).url, `test/${prefixes}`)
      },
    }
  }),
]

export function statusOf(node: string, change: Partial<NodeStatus> = {}): NodeStatus {
  return {
    app: APP,
    ring: RING,
    node: node as Name,
    phase: 'idle',
    hot: 'b1' as BuildId,
    cold: null,
    armed: false,
    generation: 7,
    rollout: 'r1',
    attempt: 1,
    refusal: null,
    at: '2026-11-22T16:04:30.120Z',
    troubles: [],
    progress: null,
    ...change,
  }
}

export const note = (holder: string): LeaseNote => ({
  holder,
  since: '2026-11-22T16:04:30.120Z',
  rollout: null,
  build: null,
  reason: 'test',
})

export function entryOf(build: string, createdAt: string): CatalogEntry {
  return {
    app: APP,
    build: build as BuildId,
    commit: null,
    createdAt,
    by: 'ana',
    manifest: digest('a'),
    treeDigest: digest('b'),
    artifact: { digest: digest('c'), bytes: 12 },
    checks: { ci: 'passed' },
    good: {},
    quarantine: null,
  }
}

export function rolloutOf(change: Partial<Rollout> = {}): Rollout {
  return {
    app: APP,
    id: 'r1',
    build: 'b2' as BuildId,
    manifest: digest('a'),
    by: 'ana',
    reason: 'test',
    startedAt: '2026-11-22T16:04:30.120Z',
    endedAt: null,
    phase: 'advancing',
    stages: [{ ring: RING, share: 100 }],
    stage: 0,
    fallbacks: { [RING]: null },
    hold: null,
    outcome: null,
    generations: { [RING]: 1 },
    ...change,
  }
}

export const event = (name: string) => ({ at: '2026-11-22T16:04:30.120Z', by: 'ana', event: name, facts: { n: 1 } })
export const nothing: LedgerChange = { targets: {}, rollout: null, events: [], answered: [] }
