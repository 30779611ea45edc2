// Owns the order: what a target record says, each node's place on the circle, and what a node wants because of it.
import { hash } from 'node:crypto'
import { type BuildId, type Digest, isBuildId, type Name } from './build.ts'

/** The cutoff under which every place falls: 2^32. */
export const ALL = 4_294_967_296

/** The order in force for an app and ring (contract: design section 6). */
export interface Target {
  readonly app: Name
  readonly ring: Name
  /** Only rises; a node refuses anything lower than the highest it accepted. */
  readonly generation: number
  /** Null only in the record that `init` writes: nodes do nothing. */
  readonly build: BuildId | null
  readonly manifest: Digest | null
  /** Null on a first deploy. */
  readonly fallback: BuildId | null
  readonly fallbackManifest: Digest | null
  /** 0 … 4294967296: nodes whose place is below it run `build`. */
  readonly cutoff: number
  readonly salt: string
  readonly rollout: string
  readonly by: string
  readonly reason: string
  /** ISO 8601, for people: order is by generation alone. */
  readonly at: string
  /** Rolling back in waves: below the cutoff then means "may stay on `build` if it runs it". */
  readonly recall: boolean
  /** Raised by `conduct retry`: a refusal of an earlier attempt no longer counts. */
  readonly attempt: number
  /** Changes when hooks and verify must run again without a swap (`release --restart`). */
  readonly activation: string | null
}

/** A node's fixed place of a rollout: first 4 bytes, big-endian, of SHA-256(`salt` + "/" + node). 0 … 4294967295. */
export function place(salt: string, node: string): number {
  return hash('sha256', `${salt}/${node}`, 'buffer').readUInt32BE(0)
}

/** What a node is asked to hold. Null: nothing is asked of that directory, it is left as it is. */
export interface Wanted {
  readonly hot: BuildId | null
  readonly cold: BuildId | null
}

/**
 * What a node wants (contract: design section 6). Pure, and the only place that reads a cutoff on a node.
 * @param hot the build that the node runs now, null before its first
 */
export function wants(target: Target, at: number, hot: BuildId | null): Wanted {
  const { build, fallback, cutoff, recall } = target
  if (build === null) return { hot: null, cold: null }
  const below = at < cutoff
  if (recall) return { hot: below && hot === build ? build : fallback, cold: null }
  if (below) return { hot: build, cold: fallback }
  // Above the cutoff without a fallback there is nothing to run yet: only stage, unless it runs the build already.
  if (fallback === null) return { hot: null, cold: hot === build ? null : build }
  return { hot: fallback, cold: build }
}

/** The manifest that a target names for one of its two builds; null for a build it does not name. */
export function manifestIn(target: Target, build: BuildId): Digest | null {
  if (build === target.build) return target.manifest
  if (build === target.fallback) return target.fallbackManifest
  return null
}

/** A bare build id as a target: `BUILD` or `BUILD@GENERATION` (break-glass, design section 6). */
export interface BareOrder {
  readonly build: BuildId
  /** Null: keeps the generation the node has. */
  readonly generation: number | null
}

/** Reads a bare order; null when the text is no build id. Surrounding white space (an `echo` adds a newline) does not count. */
export function readBare(text: string): BareOrder | null {
  const [id = '', generation, ...rest] = text.trim().split('@')
  if (rest.length > 0 || !isBuildId(id)) return null
  if (generation === undefined) return { build: id, generation: null }
  if (!/^\d{1,15}$/.test(generation)) return null
  return { build: id, generation: Number(generation) }
}

/** The target that a bare order stands for: that build on every node, the id as salt. */
export function targetOfBare(
  bare: BareOrder,
  context: { app: Name; ring: Name; generation: number; manifest: Digest | null; at: string },
): Target {
  return {
    app: context.app,
    ring: context.ring,
    generation: bare.generation ?? context.generation,
    build: bare.build,
    manifest: context.manifest,
    fallback: null,
    fallbackManifest: null,
    cutoff: ALL,
    salt: bare.build,
    rollout: bare.build,
    by: 'bare build id',
    reason: 'written to the key by hand',
    at: context.at,
    recall: false,
    attempt: 1,
    activation: null,
  }
}

/** Which of three waves (0, 1, 2) a node takes a bare order in, by place. */
export function bareWave(at: number): number {
  return Math.min(2, Math.floor((at * 3) / ALL))
}

/** The highest order a node accepted, on disk before it acts: pair of generation and Consul's ModifyIndex. */
export interface Ratchet {
  readonly generation: number
  readonly modifyIndex: number
}

export const NO_RATCHET: Ratchet = { generation: -1, modifyIndex: 0 }

/** An order as it was read: a record's generation, or a bare id's. `stale`: the leader did not vouch for the read (for a record: false unless told). */
export type OrderMark =
  | { readonly kind: 'record'; readonly generation: number; readonly modifyIndex: number; readonly stale?: boolean }
  | { readonly kind: 'bare'; readonly generation: number | null; readonly modifyIndex: number; readonly stale: boolean }

/**
 * `accept` moves the ratchet; `known` is the order in force (or an equal of it) and changes nothing; `regressed` is older than what was
 * accepted; `confirm` asks for a read that is not stale: because a bare id is ordered by ModifyIndex alone, or because a record of a
 * higher generation was written before the bare id in force (a server that is behind still shows it) or comes from a rebuilt Consul.
 */
export type Admission =
  | { readonly verdict: 'accept'; readonly ratchet: Ratchet }
  | { readonly verdict: 'known' | 'regressed' | 'confirm' }

/** Decides whether an order may replace the one in force. A record needs a higher generation; a bare id a higher index at the same one. */
export function admit(ratchet: Ratchet, mark: OrderMark): Admission {
  const { generation, modifyIndex } = mark
  if (mark.kind === 'record') {
    if (mark.generation > ratchet.generation) {
      if (mark.stale && modifyIndex < ratchet.modifyIndex) return { verdict: 'confirm' }
      return { verdict: 'accept', ratchet: { generation: mark.generation, modifyIndex } }
    }
    return {
      verdict: mark.generation === ratchet.generation && modifyIndex <= ratchet.modifyIndex ? 'known' : 'regressed',
    }
  }
  if (generation !== null && generation < ratchet.generation) return { verdict: 'regressed' }
  if (mark.stale) return { verdict: 'confirm' }
  if (generation !== null && generation > ratchet.generation)
    return { verdict: 'accept', ratchet: { generation, modifyIndex } }
  if (modifyIndex > ratchet.modifyIndex) {
    return { verdict: 'accept', ratchet: { generation: Math.max(0, ratchet.generation), modifyIndex } }
  }
  return { verdict: modifyIndex === ratchet.modifyIndex ? 'known' : 'regressed' }
}

/** SHA-256 of the bytes of a target key: what the conductor remembers of the order that it wrote. */
export function orderDigest(raw: Uint8Array): Digest {
  return `sha256:${hash('sha256', raw)}` as Digest
}
