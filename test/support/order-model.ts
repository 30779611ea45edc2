// Owns the world of the order search: every sequence of target writes that the protocol allows, and what they mean by the letter of it.
import { createHash } from 'node:crypto'
import { type Letter, letterOf, placeByLetter } from '#conductor/sim/letter.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { type Order, readOrder, writeTarget } from '#fleet/wire.ts'

export const APP = 'web' as Name
export const RING = 'production' as Name
export const NODES = ['n1', 'n2', 'n3'] as const
export type NodeName = (typeof NODES)[number]

export const [A, B, C] = ['build-a', 'build-b', 'build-c'] as const as unknown as readonly [BuildId, BuildId, BuildId]
const BUILDS: readonly BuildId[] = [A, B, C]

export function manifestOf(build: BuildId | null): Digest | null {
  return build === null ? null : (`sha256:${createHash('sha256').update(build).digest('hex')}` as Digest)
}

/** One value that stood in the key. */
export interface Entry {
  /** As a node reads it: through the wire and back. */
  readonly order: Order
  /** The generation that the writer meant it for; a bare id keeps the one before it. */
  readonly generation: number
  readonly modifyIndex: number
  /** Orders supersede each other by rank. An old record that is put back has its old rank: it supersedes nothing. */
  readonly rank: number
  /** An old record, written again by hand or by a restored snapshot: new only to a node that never heard of its generation. */
  readonly putBack: boolean
}

/** What a record says of the past that the next writer needs: the last good build before its fallback. */
interface Ledger {
  readonly last: Target
  readonly before: BuildId | null
}

/** Everything that was written, oldest first, and how the conductor goes on from it. */
export interface History {
  readonly entries: readonly Entry[]
  /** Position of the first entry of the Consul that stands now; older ones come only from servers that should be gone. */
  readonly rebuiltAt: number
  readonly ledger: Ledger
  /** Writes by hand so far. */
  readonly byHand: number
}

function target(fields: Partial<Target> & { generation: number; build: BuildId | null }): Target {
  const { build, fallback = null } = fields
  const rollout = `r-${fields.generation}`
  return {
    app: APP,
    ring: RING,
    cutoff: 0,
    salt: rollout,
    rollout,
    by: 'ana',
    reason: 'search',
    at: '2026-11-22T16:04:30.120Z',
    recall: false,
    attempt: 1,
    activation: null,
    ...fields,
    manifest: manifestOf(build),
    fallback,
    fallbackManifest: manifestOf(fallback),
  }
}

function parsed(bytes: Uint8Array): Order {
  return readOrder(bytes, { app: APP, ring: RING })
}

function append(history: History, next: Target, before: BuildId | null): History {
  const last = history.entries.at(-1)
  const entry = {
    order: parsed(writeTarget(next)),
    generation: next.generation,
    modifyIndex: (last?.modifyIndex ?? 0) + 1,
    rank: highestRank(history) + 1,
    putBack: false,
  }
  return { ...history, entries: [...history.entries, entry], ledger: { last: next, before } }
}

function highestRank(history: History): number {
  return Math.max(0, ...history.entries.map((entry) => entry.rank))
}

function highestGeneration(history: History): number {
  return Math.max(...history.entries.map((entry) => entry.generation))
}

const EMPTY: History = {
  entries: [],
  rebuiltAt: 0,
  ledger: { last: target({ generation: 0, build: null }), before: null },
  byHand: 0,
}

/** A ring that was made just now: nothing is asked of its nodes yet. */
export const FRESH: History = append(EMPTY, target({ generation: 0, build: null }), null)
/** A ring at rest on A. */
export const SETTLED: History = append(EMPTY, target({ generation: 1, build: A, cutoff: ALL }), null)

/** Cutoffs worth writing for a rollout: none, up to a place and just above one, and all. */
function cutoffs(salt: string): readonly number[] {
  const places = NODES.map((node) => placeByLetter(salt, node)).sort((a, b) => a - b)
  // The second place itself leaves its node above the cutoff: equal is not below.
  return [0, places[1] ?? 0, (places[1] ?? 0) + 1, ALL]
}

/** Back to the fallback on every node; with none, nobody is asked for anything. */
function closing(last: Target, before: BuildId | null, generation: number): Target {
  const { fallback: build } = last
  return build === null ? target({ generation, build }) : target({ generation, build, fallback: before, cutoff: ALL })
}

/** `wide`: any build may come next, any cutoff, retries. `narrow`: builds in turn and few cutoffs, for the sake of longer histories. */
export type Breadth = 'wide' | 'narrow'

/** What the conductor may write next (contract: section 6), whatever the nodes say: a superset of what any plan would. */
export function conductorWrites(history: History, breadth: Breadth): readonly History[] {
  const { last, before } = history.ledger
  const wide = breadth === 'wide'
  const levels = cutoffs(last.salt).filter((_, at) => wide || at !== 1)
  const generation = highestGeneration(history) + 1
  const writes: History[] = []
  const settled = last.build === null || (!last.recall && last.cutoff === ALL)
  if (settled) {
    for (const build of BUILDS) {
      if (build !== last.build)
        writes.push(append(history, target({ generation, build, fallback: last.build }), last.fallback))
    }
  }
  if (last.build === null) return writes
  const same = { ...last, generation }
  if (!last.recall) {
    for (const cutoff of levels) if (cutoff > last.cutoff) writes.push(append(history, { ...same, cutoff }, before))
    // `conduct retry`: the same order, and what was refused may be tried again.
    if (wide) writes.push(append(history, { ...same, attempt: last.attempt + 1 }, before))
  }
  for (const cutoff of levels) {
    if (cutoff < last.cutoff) writes.push(append(history, { ...same, cutoff, recall: true }, before))
  }
  writes.push(append(history, closing(last, before, generation), null))
  return writes
}

function bare(history: History, text: string, generation: number, modifyIndex: number): History {
  const order = parsed(new TextEncoder().encode(text))
  const entry = { order, generation, modifyIndex, rank: highestRank(history) + 1, putBack: false }
  const build = order.kind === 'bare' ? order.bare.build : null
  // A conductor that finds a bare id takes it as what every node runs.
  const ledger = { last: target({ generation, build, cutoff: ALL }), before: null }
  return { ...history, entries: [...history.entries, entry], ledger, byHand: history.byHand + 1 }
}

/** What people do at any time: a bare build id, one with a generation in a Consul that was rebuilt from nothing, an old record put back. */
export function handWrites(history: History): readonly History[] {
  const last = history.entries.at(-1)
  if (last === undefined) return []
  const generation = highestGeneration(history)
  const index = last.modifyIndex + 1
  const current = last.order.kind === 'bare' ? last.order.bare.build : null
  const others = BUILDS.filter((build) => build !== current)
  const rebuiltAt = history.entries.length
  const writes = [
    // In a Consul that was rebuilt a plain id says nothing to a node that still counts in the old indexes: the protocol asks for `@`.
    ...(history.rebuiltAt > 0 ? [] : others.map((build) => bare(history, `${build}\n`, generation, index))),
    bare(history, `${A}@${generation + 1}`, generation + 1, index),
    // Its indexes begin anew: only the generation still tells that this is the newest.
    { ...bare(history, `${B}@${generation + 1}`, generation + 1, 1), rebuiltAt },
  ]
  const old = history.entries[0]
  if (old === undefined || old === last) return writes
  const again = { ...old, modifyIndex: index, putBack: true }
  return [...writes, { ...history, entries: [...history.entries, again], byHand: history.byHand + 1 }]
}

/** What the order of an entry says to a node, by the letter of section 6. */
export function letterFor({ order }: Entry, node: NodeName): Letter {
  return letterOf(order, order.kind === 'record' ? placeByLetter(order.target.salt, node) : 0)
}
