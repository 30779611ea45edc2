// Owns the order that nodes obey and a restored Consul has forgotten: what can be told of it from what the nodes say.
import type { CatalogEntry } from '#fleet/ports.ts'
import { ALL, place } from '#fleet/target.ts'
import type { Force } from './force.ts'
import type { RingView } from './standing.ts'

interface Remembered {
  /** What the last rollout left by its own record. */
  readonly left: Force | null
  /** Highest generation that the record knows to have been written there. */
  readonly written: number
}

/**
 * Nodes accepted a higher generation than the key and the rollout record know. What all of them run is in force then, whatever the record
 * remembers: an order over anything else would take the whole ring back at once. Where some still run what the record remembers, the other
 * build is on its way, up to the last place that runs it: orders of a rollout have its id for their salt.
 * @returns null when nothing was forgotten; `unknown` when it cannot be told: more than two builds, or one that the catalog forgot too
 */
export function forgottenIn(
  { standing, nodes }: RingView,
  { left, written }: Remembered,
  builds: readonly CatalogEntry[],
): Force | 'unknown' | null {
  if (standing.kind !== 'record') return null
  const known = Math.max(written, standing.target.generation)
  const speaking = nodes.filter(({ silent, status }) => !silent && status.hot !== null)
  const [last] = speaking
    .filter(({ status }) => status.generation > known)
    .sort((a, b) => b.status.generation - a.status.generation)
  if (last === undefined) return null
  const before = left === null ? null : left.cutoff > 0 ? left.build : left.fallback
  const hot = [...new Set(speaking.map(({ status }) => status.hot))]
  const [newest = before?.build, ...more] = hot.filter((build) => build !== before?.build)
  const entry = builds.find(({ build }) => build === newest)
  if (more.length > 0 || entry === undefined) return 'unknown'
  const build = { build: entry.build, manifest: entry.manifest }
  const fallback = build.build === before?.build ? (left?.fallback ?? null) : before
  const { rollout, generation } = last.status
  if (hot.length === 1) return { build, fallback, cutoff: ALL, salt: rollout ?? '', generation }
  if (rollout === null) return 'unknown'
  const places = speaking.filter(({ status }) => status.hot === newest).map(({ status }) => place(rollout, status.node))
  return { build, fallback, cutoff: Math.max(...places) + 1, salt: rollout, generation }
}
