// Owns what a simulation begins with: rings and their nodes, the plan, the limits, the builds, and which of them are bad where.
import type { Policy } from '#conductor/core/standing.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { Stage } from '#fleet/rollout.ts'
import type { Dice } from './dice.ts'
import type { Fault } from './faults.ts'
import { BUILDS } from './names.ts'

export interface Scenario {
  readonly rings: readonly { readonly ring: Name; readonly nodes: number }[]
  readonly stages: readonly Stage[]
  readonly policy: Policy
  /** How many rollouts are begun. */
  readonly releases: number
  /** When no more goes wrong, in milliseconds from the beginning. */
  readonly faultsMs: number
  /** Build → on how large a part of the nodes it fails. */
  readonly sick: ReadonlyMap<BuildId, number>
}

/** From this size on a fleet has the customary rings. */
const LARGE = 50

export function scenarioOf(nodes: number, faults: ReadonlySet<Fault>, dice: Dice): Scenario {
  const large = nodes >= LARGE
  const rings = large ? customary(nodes) : few(nodes, dice)
  const limits = large ? { maxUnavailable: 33, failureBudget: 10 } : tried(dice)
  const sick = new Map<BuildId, number>()
  for (const build of BUILDS.slice(2)) {
    if (faults.has('bad-build')) sick.set(build, dice.pick([0, 0, 0.1, 0.3, 1]) ?? 0)
  }
  return {
    rings,
    stages: (large ? slacks() : stagesOf(rings, dice)).map((one) => ({ ...one, ...patience(limits) })),
    policy: { ...limits, waveMs: 60_000, allAtOnce: false },
    releases: large || dice.chance(0.5) ? 1 : 2,
    faultsMs: faults.size === 0 ? 0 : dice.between(60, 180) * 1_000,
    sick,
  }
}

function tried(dice: Dice) {
  return { maxUnavailable: dice.pick([10, 33, 50, 100]) ?? 33, failureBudget: dice.pick([0, 10, 10, 40]) ?? 10 }
}

/** Where much may fail, nodes that stay silent are given up too; no dice of its own, so that kept seeds go their way. */
function patience({ failureBudget }: { readonly failureBudget: number }): Partial<Stage> {
  return failureBudget >= 40 ? { silentSeconds: 10 } : {}
}

function customary(nodes: number): Scenario['rings'] {
  const part = (percent: number) => Math.max(1, Math.floor((nodes * percent) / 100))
  const [staging, dogfood, canary] = [part(1), part(1), part(3)]
  const sizes = { staging, dogfood, canary, production: nodes - staging - dogfood - canary }
  return Object.entries(sizes).map(([ring, count]) => ({ ring: ring as Name, nodes: count }))
}

function few(nodes: number, dice: Dice): Scenario['rings'] {
  const canary = nodes >= 5 && dice.chance(0.4) ? dice.between(1, 2) : 0
  const production = { ring: 'production' as Name, nodes: nodes - canary }
  return canary === 0 ? [production] : [{ ring: 'canary' as Name, nodes: canary }, production]
}

/** A stage that soaks, where plans know of that. */
const stage = (ring: string, share: number, soakSeconds: number): Stage => {
  const asks = { soakSeconds }
  return { ring: ring as Name, share, ...asks }
}

function slacks(): readonly Stage[] {
  const before = ['staging', 'dogfood', 'canary'].map((ring) => stage(ring, 100, ring === 'staging' ? 0 : 120))
  return [...before, ...[10, 25, 50, 75, 100].map((share) => stage('production', share, 60))]
}

function stagesOf(rings: Scenario['rings'], dice: Dice): readonly Stage[] {
  const shares = dice.pick([[100], [50, 100], [10, 50, 100], [10, 25, 50, 75, 100]]) ?? [100]
  const soak = dice.pick([0, 0, 5, 20]) ?? 0
  return rings.flatMap(({ ring }) => (ring === 'canary' ? [100] : shares).map((share) => stage(ring, share, soak)))
}
