// Owns rollouts in each state that a verb can find, and facts under which every verb that is allowed has something to do.
import type { decideAside } from '#conductor/core/aside.ts'
import type { RolloutState, Verb } from '#conductor/core/legality.ts'
import { reduce } from '#conductor/core/reduce.ts'
import { asideOf, type VerbFacts, type VerbWish } from '#conductor/core/verbs.ts'
import type { Name } from '#fleet/build.ts'
import type { AsideView } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { writeCatalogEntry, writeLine, writePin, writeStatus } from '#fleet/wire.ts'
import { A, B, C, RING, Simulation, settledOn } from './rollout-sim.ts'
import { entryOf } from './wishes.ts'

export const AT = '2026-11-22T16:04:30.000Z'
const hold = (code: string) => ({ by: 'conduct', code, reason: `because of ${code}`, at: AT })

/** C on its way over B in ten nodes, of which one that was asked to run it has failed; within the budget of 10 %. */
export function underWay(): Simulation {
  const sim = new Simulation({ nodes: 10, before: settledOn(B, A), hot: B, cold: A, build: C })
  let broken = ''
  for (let turn = 0; turn < 60 && !sim.nodes.some(({ refusal }) => refusal !== null); turn += 1) {
    sim.everybody((build, node) => {
      if (build === C && broken === '') broken = node.name
      return build !== C || node.name !== broken
    })
    sim.conduct()
  }
  return sim
}

/** A rollout in this state; those that are over ended by the event that leads there. */
export function rolloutIn(state: RolloutState, { rollout }: Simulation): Rollout | null {
  const over = (phase: 'done' | 'rolledBack' | 'aborted') =>
    reduce(rollout, { type: 'ended', phase, outcome: `ended ${phase}`, at: AT })
  switch (state) {
    case 'none':
      return null
    case 'staging':
    case 'advancing':
    case 'soaking':
    case 'waiting':
      return { ...rollout, phase: state }
    case 'paused':
      return reduce(rollout, { type: 'held', hold: hold('paused') })
    case 'held':
      return reduce(rollout, { type: 'held', hold: hold('gate-inconclusive') })
    case 'orphaned':
      return reduce(rollout, { type: 'held', hold: hold('orphan-write') })
    case 'recalling':
      return reduce(rollout, { type: 'recallBegun', cause: 'operator', outcome: 'asked' })
    default:
      return over(state)
  }
}

type Carried = Exclude<Verb, 'release' | 'rollback'>

/** A wish that names something for the verb to do. */
export function wishFor(verb: Carried, sim: Simulation): VerbWish {
  const node = sim.nodes[0]?.name ?? ('' as Name)
  const about = ['waive', 'unwaive', 'pin', 'unpin', 'forget'].includes(verb)
  const placed = ['pin', 'unpin', 'forget'].includes(verb)
  return {
    verb,
    by: 'ana',
    reason: 'the reason',
    at: AT,
    nodes: about ? [node] : [],
    rings: placed ? [RING] : [],
    build: verb === 'quarantine' || verb === 'clear' ? C : null,
    to: verb === 'handover' ? 'ben' : null,
    expires: null,
  }
}

/** What stands in the key of the verb, so that there is something to do. */
function asideBefore(verb: Carried, sim: Simulation): AsideView {
  const held = [{ ring: null, by: 'ben', reason: 'database', at: AT, expires: null }]
  const quarantine = { by: 'ben', reason: 'leaks', at: AT }
  const raws: Partial<Record<Carried, Uint8Array>> = {
    unhold: writeLine(held),
    unpin: writePin({ by: 'ben', reason: 'disk', expires: null }),
    quarantine: writeCatalogEntry(entryOf(C)),
    clear: writeCatalogEntry({ ...entryOf(C), quarantine }),
    forget: writeStatus(sim.nodes[0]?.said ?? never()),
  }
  const raw = raws[verb] ?? null
  return { raw, index: raw === null ? 0 : 7, held: false }
}

function never(): never {
  throw new Error('a simulation has nodes')
}

export function factsFor(verb: Carried, rollout: Rollout | null, sim: Simulation): VerbFacts {
  const wish = wishFor(verb, sim)
  const key = asideOf(wish, rollout)
  const [node] = wish.nodes
  if (verb === 'unwaive' && rollout !== null && node !== undefined) {
    const waivers = [{ node, by: 'ben', reason: 'disk', at: AT }]
    return { rollout: { ...rollout, waivers }, fleet: sim.view(), aside: null }
  }
  return { rollout, fleet: sim.view(), aside: key === null ? null : asideBefore(verb, sim) }
}

/** The key of the verb after what was decided was written to it. */
export function asideAfter(facts: VerbFacts, decided: ReturnType<typeof decideAside>): AsideView | null {
  if (decided.kind !== 'do' || decided.aside.length === 0) return facts.aside
  const raw = decided.aside[0]?.raw ?? null
  return { raw, index: raw === null ? 0 : 8, held: false }
}
