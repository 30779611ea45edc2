// Owns asking the history: which entries are about a time, a build, a ring or a person, and what was in force at a moment.
import type { HistoryEntry } from '#fleet/ports.ts'

export interface HistoryFilter {
  /** ISO 8601: nothing that happened later. */
  readonly at: string | null
  readonly build: string | null
  /** Empty: any ring. */
  readonly rings: readonly string[]
  readonly by: string | null
}

export function isOpen({ at, build, rings, by }: HistoryFilter): boolean {
  return at === null && build === null && rings.length === 0 && by === null
}

/** The order that stood in a ring at a moment, as the history tells it. */
export interface InForce {
  readonly ring: string
  readonly build: string | null
  readonly fallback: string | null
  readonly exposed: number | null
  readonly roster: number | null
  readonly generation: number | null
  readonly rollout: string | null
  readonly since: string
  readonly seq: number
  /** Someone without the lease wrote over it: this is the last that is known. */
  readonly orphan: boolean
}

/**
 * The entries that pass, in the order given. An entry that names no build or ring of its own is about those of its rollout.
 * @param entries newest first, all of them: what a rollout is about is told where it begins
 */
export function selectEntries(entries: readonly HistoryEntry[], filter: HistoryFilter): readonly HistoryEntry[] {
  const { at, build, rings, by } = filter
  const ofBuild = rolloutsWhere(entries, ({ event, facts }) => BEGINS.includes(event) && facts.build === build)
  const ofRings = rolloutsWhere(entries, (entry) => ringsOf(entry).some((ring) => rings.includes(ring)))
  return entries.filter((entry) => {
    const { facts } = entry
    if (at !== null && Date.parse(entry.at) > Date.parse(at)) return false
    if (by !== null && entry.by !== by) return false
    const rollout = String(facts.rollout ?? '')
    if (build !== null && facts.build !== build && facts.value !== build && !ofBuild.has(rollout)) return false
    const named = ringsOf(entry)
    if (rings.length === 0) return true
    return named.length > 0 ? named.some((ring) => rings.includes(ring)) : ofRings.has(rollout)
  })
}

/** Events that name the build a rollout is about; an order may name what the rollout goes back to. */
const BEGINS: readonly string[] = ['release-begun', 'rollback-begun', 'ended']

function rolloutsWhere(entries: readonly HistoryEntry[], holds: (entry: HistoryEntry) => boolean): ReadonlySet<string> {
  return new Set(
    entries.filter(holds).flatMap(({ facts }) => (typeof facts.rollout === 'string' ? [facts.rollout] : [])),
  )
}

function ringsOf({ facts }: HistoryEntry): readonly string[] {
  if (typeof facts.ring === 'string') return [facts.ring]
  return typeof facts.rings === 'string' ? facts.rings.split(', ') : []
}

/** What each ring was ordered to run at a moment. @param entries newest first @param at ISO 8601 */
export function inForceAt(entries: readonly HistoryEntry[], at: string): readonly InForce[] {
  const found = new Map<string, InForce>()
  const orphaned = new Set<string>()
  for (const { seq, at: when, event, facts } of entries) {
    const ring = facts.ring
    if (typeof ring !== 'string' || Date.parse(when) > Date.parse(at) || found.has(ring)) continue
    if (event === 'orphan-write') orphaned.add(ring)
    if (event !== 'ordered') continue
    const word = (value: unknown) => (typeof value === 'string' ? value : null)
    const number = (value: unknown) => (typeof value === 'number' ? value : null)
    found.set(ring, {
      ring,
      build: word(facts.build),
      fallback: word(facts.fallback),
      exposed: number(facts.exposed),
      roster: number(facts.roster),
      generation: number(facts.generation),
      rollout: word(facts.rollout),
      since: when,
      seq,
      orphan: orphaned.has(ring),
    })
  }
  return [...found.values()]
}
