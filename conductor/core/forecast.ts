// Owns what a plan comes to: per stage its nodes, what it waits for and how long such a stage took before, and the sum against the slot.
import type { HistoryEntry } from '#fleet/ports.ts'
import type { Stage } from '#fleet/rollout.ts'
import { cutoffOfShare } from './raise.ts'
import type { Route } from './route.ts'
import { soakSumSeconds } from './route.ts'
import { namesOf, placeAll } from './service.ts'
import { capOf, type FleetView, policyIn } from './standing.ts'

export interface StageForecast {
  readonly ring: string
  readonly share: number
  /** Who runs the build at the end of it, in the order in which they come to it. */
  readonly nodes: readonly string[]
  /** Those of them that the stage before did not have. */
  readonly fresh: readonly string[]
  readonly roster: number
  readonly cap: number
  readonly soakSeconds: number
  readonly smoke: readonly string[] | null
  readonly gates: readonly string[]
  readonly approval: boolean
  readonly barrier: boolean
  /** Soak and work together; null: nothing of the kind is known. */
  readonly estimateSeconds: number | null
  /** How many finished rollouts it is known from. */
  readonly samples: number
}

export interface Forecast {
  readonly stages: readonly StageForecast[]
  readonly soakSeconds: number
  /** Null where a stage is not known from before. */
  readonly estimateSeconds: number | null
  readonly slotSeconds: number
}

/** @param salt id of the rollout: it decides who comes first */
export function forecast(
  stages: readonly Stage[],
  fleet: FleetView,
  salt: string,
  route: Route,
  history: readonly HistoryEntry[],
): Forecast {
  const took = workOf(history)
  const before = new Map<string, readonly string[]>()
  const each = stages.map((stage): StageForecast => {
    const placed = placeAll(fleet.rings[stage.ring]?.nodes ?? [], salt)
    const nodes = namesOf(placed.filter(({ at }) => at < cutoffOfShare(placed, stage.share)))
    const had = before.get(stage.ring) ?? []
    before.set(stage.ring, nodes)
    const { soakSeconds = 0, smoke = null, approval, barrier = false } = stage
    const known = took.get(keyOf(stage.ring, stage.share)) ?? []
    return {
      ring: stage.ring,
      share: stage.share,
      nodes,
      fresh: nodes.filter((name) => !had.includes(name)),
      roster: placed.length,
      cap: capOf(policyIn(fleet.policy, stage.ring), placed.length),
      soakSeconds,
      smoke,
      gates: stage.gates ?? gatesFor(route, stage.ring),
      approval: approval === 'manual',
      barrier,
      estimateSeconds: known.length === 0 ? null : soakSeconds + median(known),
      samples: known.length,
    }
  })
  const estimates = each.map(({ estimateSeconds }) => estimateSeconds)
  const known = estimates.filter((seconds) => seconds !== null)
  const sum = known.reduce((total, seconds) => total + seconds, 0)
  return {
    stages: each,
    soakSeconds: soakSumSeconds(stages),
    estimateSeconds: known.length === estimates.length ? Math.round(sum * 10) / 10 : null,
    slotSeconds: route.slotMinutes * 60,
  }
}

function gatesFor({ gates = [] }: Route, ring: string): readonly string[] {
  return gates.filter(({ rings }) => rings === null || rings.includes(ring)).map(({ name }) => name)
}

const keyOf = (ring: unknown, share: unknown): string => `${ring} ${share}`

/** Rollouts of which a stage is remembered. */
const REMEMBERED = 10

/** Ring and share → seconds that such a stage took beside its soak, newest first: of rollouts that came to their end. */
function workOf(history: readonly HistoryEntry[]): ReadonlyMap<string, readonly number[]> {
  const done = new Set(
    history.flatMap(({ event, facts }) => (event === 'ended' && facts.phase === 'done' ? [facts.rollout] : [])),
  )
  const work = new Map<string, number[]>()
  for (const { event, facts } of history) {
    const { seconds, soakSeconds, rollout } = facts
    const [ring, share] = event === 'ended' ? [facts.lastRing, facts.lastShare] : [facts.ring, facts.share]
    const ends = event === 'stage-passed' || event === 'ended'
    if (!ends || !done.has(rollout) || typeof seconds !== 'number' || typeof soakSeconds !== 'number') continue
    const known = work.get(keyOf(ring, share)) ?? []
    if (known.length < REMEMBERED) work.set(keyOf(ring, share), [...known, Math.max(0, seconds - soakSeconds)])
  }
  return work
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = 0, high = 0] = sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1)
  return Math.round((low + high) * 5) / 10
}
