// Owns how tests run simulations: small fleets of a seed, faults of a seed, and what a broken seed prints.
import { Dice } from '#conductor/sim/dice.ts'
import { ALL_FAULTS, type Fault } from '#conductor/sim/faults.ts'
import type { Rules } from '#conductor/sim/rules.ts'
import { type Report, simulate } from '#conductor/sim/run.ts'
import { failure } from '#conductor/sim/verb.ts'

/** 3 to 12 nodes. */
export const nodesOf = (seed: number): number => 3 + (seed % 10)

/** Every other seed has all faults, the others a few: what is rare among many faults is common among few. */
export function faultsOf(seed: number): ReadonlySet<Fault> {
  if (seed % 2 === 0) return new Set(ALL_FAULTS)
  const dice = new Dice(seed)
  return new Set(dice.some(ALL_FAULTS, dice.between(1, 6)))
}

export function trySeed(seed: number, rules?: Rules, faults = faultsOf(seed)): Promise<Report> {
  return simulate({ nodes: nodesOf(seed), seed, faults, ...(rules !== undefined && { rules }) })
}

/** The text of a broken seed, or null. */
export function broken(report: Report, faults: ReadonlySet<Fault>): string | null {
  if (report.violation === null) return null
  const names = faults.size === ALL_FAULTS.length ? 'all' : [...faults].join(',') || 'none'
  const { nodes, seed } = report
  return failure(report, { nodes, seed, seeds: 1, faults: names, events: false, json: false }).join('\n')
}
