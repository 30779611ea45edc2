// Owns an errand of a node: the real trees, journal, ratchet and machine on ports in memory, until it rests where its last order wants it.

import { fileStore } from '#adapters/file/store.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryFeed } from '#adapters/memory/feed.ts'
import { memoryPins } from '#adapters/memory/pins.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { memorySink } from '#adapters/memory/sink.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Maintenance } from '#fleet/node-ports.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { Clock } from '#fleet/ports.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { writeTarget } from '#fleet/wire.ts'
import { DRAIN_DEFAULTS } from '#puller/shell/drain/drain.ts'
import { stepCounters } from '#puller/shell/failpoints.ts'
import { type NodeOptions, type RunningNode, resume, runNode } from '#puller/shell/node.ts'
import { openTrees } from '#puller/shell/trees.ts'
import { APP, QUICK } from '../tree-options.ts'
import { until } from '../until.ts'

export const RING = 'production' as Name
export const NODE = 'node-1' as Name

/** What an order says that matters here; all below the cutoff unless `cutoff` tells. */
export interface ErrandOrder {
  readonly generation: number
  readonly build: BuildId
  readonly manifest: Digest
  readonly fallback: BuildId | null
  readonly fallbackManifest: Digest | null
  readonly cutoff?: number
  readonly activation?: string
  readonly attempt?: number
}

/** Where a node is at rest. */
export interface Rest {
  readonly hot: BuildId
  /** Armed in cold; null when it does not matter what lies there. */
  readonly cold: BuildId | null
  readonly generation: number
}

export interface Errand {
  readonly root: string
  readonly store: string
  /** None: the node goes on with the order it has. */
  readonly orders: readonly ErrandOrder[]
  /** The second order is written once so many steps were passed, in the middle of what the first one asks for. */
  readonly switchAt?: number
  readonly rest: Rest
  /** How long it may take, in milliseconds: a minute unless told. */
  readonly limitMs?: number
}

export interface Ran {
  /** From taking the root until it was known what runs, in milliseconds. */
  readonly recoveryMs: number
  /** What the node found at its start, before anything was ordered. */
  readonly resumed: { readonly hot: BuildId | null; readonly generation: number }
}

export function targetOf(order: ErrandOrder): Target {
  return {
    app: APP,
    ring: RING,
    cutoff: ALL,
    salt: 'r-1',
    rollout: 'r-1',
    by: 'test',
    reason: '',
    at: '2026-11-22T16:00:00.000Z',
    recall: false,
    attempt: 1,
    activation: null,
    ...order,
  }
}

const NO_MAINTENANCE: Maintenance = { enter: async () => 'unknown', leave: async () => 'none' }
const LIMIT_MS = 60_000
/** Nothing here is about slow stores, and a machine under load is one. */
const PATIENT = { repairSeconds: 600, fetch: { ...QUICK.fetch, stallSeconds: 600 } }

function optionsOf(root: string): NodeOptions {
  return {
    reader: { app: APP, ring: RING, node: NODE },
    root,
    drain: { kind: 'none', ...DRAIN_DEFAULTS },
    hooks: {},
    verify: null,
    rearm: { delaySeconds: 0, spreadSeconds: 0 },
    skipDrain: false,
    bareWaveSeconds: 0,
    minSecondsBetweenBareSwaps: 0,
  }
}

/** How often the first failpoint was passed: all steps of this process when it is `*`. */
function passedSteps(): number {
  return Atomics.load(new Int32Array(stepCounters), 0)
}

export function restsAt({ loop, status }: Pick<RunningNode, 'loop' | 'status'>, rest: Rest): boolean {
  const { phase, job } = loop.state()
  const { hot, cold, armed, generation } = status()
  if (!['idle', 'staged'].includes(phase) || job !== null) return false
  return hot === rest.hot && generation === rest.generation && (rest.cold === null || (cold === rest.cold && armed))
}

/** Runs it and stops cleanly. @param onStatus hears of every change; @throws when the node does not come to rest in time, with its status */
export async function runErrand(
  { root, store, orders, switchAt = 0, rest, limitMs = LIMIT_MS }: Errand,
  { clock = systemClock, onStatus = () => {} }: { clock?: Clock; onStatus?: (status: NodeStatus) => void } = {},
): Promise<Ran> {
  const records = memoryRecords()
  const options = optionsOf(root)
  const key = keysOf(DEFAULT_PREFIX, APP).target(RING)
  const left = orders.map((order) => writeTarget(targetOf(order)))
  const next = () => {
    const value = left.shift()
    if (value !== undefined) records.put(key, value)
  }
  next()
  const world = { store: fileStore(store), clock, log: silentLogger, node: NODE }
  const startedMs = systemClock.monotonic()
  const trees = await openTrees({ root, app: APP, ...QUICK, ...PATIENT }, world)
  let clean = false
  try {
    const stop = new AbortController()
    const found = await resume({ trees, log: silentLogger }, options.reader, stop.signal)
    const recoveryMs = systemClock.monotonic() - startedMs
    const hot = found.start.state.hot?.build ?? null
    const upstream = {
      feed: memoryFeed(records, { app: APP, ring: RING }),
      catalog: memoryCatalog(records, { app: APP }),
      pins: memoryPins(records, { ...options.reader, clock }),
      sink: memorySink(records, { ...options.reader, shelf: trees.shelf }),
    }
    const observer = {
      status: onStatus,
      staged: () => {},
      swapped: () => {},
      jobFinished: () => {},
    }
    const maintenance = NO_MAINTENANCE
    const watch = () => ({ [Symbol.asyncDispose]: async () => {} })
    const all = { trees, upstream, maintenance, watch, clock, log: silentLogger, observer, giveMemoryBack: () => {} }
    let failure: unknown = null
    const follow = setInterval(() => {
      if (passedSteps() >= switchAt) next()
    }, 1)
    const watchOver = async (node: RunningNode): Promise<void> => {
      try {
        await until(`rest at ${JSON.stringify(rest)}`, () => left.length === 0 && restsAt(node, rest), limitMs)
      } catch (error) {
        failure = new Error(`not converged: ${JSON.stringify(node.status())}`, { cause: error })
      }
      stop.abort(new Error('the errand is done'))
    }
    stop.signal.addEventListener('abort', () => clearInterval(follow))
    await runNode(options, all, found, stop.signal, (node) => void watchOver(node))
    if (failure !== null) throw failure
    clean = true
    return { recoveryMs, resumed: { hot, generation: found.accepted.ratchet.generation } }
  } finally {
    await trees.close(clean)
  }
}
