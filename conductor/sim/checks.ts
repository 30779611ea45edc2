// Owns what no write of a simulated conductor may ever do, each check by its name.
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import { type FleetView, type RingView, shareOf } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { placeByLetter } from './letter.ts'
import type { SimNode } from './node.ts'
import { outOfSequence, overCap, refuses, type Seen, tollOf } from './truth.ts'

/** Every property that a simulation is held to. */
export const CHECKS = {
  cap: 'nobody is taken out who brings the number out of service above the cap; a rollback may always take one',
  exposure: 'exposure only grows on the way forward, and no raise exposes more than ceil(share × nodes)',
  generation: 'generations only rise, in the key as on every node',
  'old-order': 'no node goes back to an order that was written before the one it obeys',
  fence: 'nothing is written under a lease that is lost',
  ordered: 'no node stages or starts a build that its order does not name for it',
  refusal: 'a node never starts again what failed there, unless a higher attempt asks',
  'three-builds': 'a ring never has three builds in play',
  convergence: 'a stage passes only when every node below its cutoff runs the build, but for the few that may fail',
  stages: 'no stage is skipped or repeated, and none passes below its share',
  rollback: 'a rollback sends nobody to the bad build, and ends when nobody who answers runs it',
  liveness: 'once the faults are over every rollout ends, and every node rests where its order wants it',
  invariant: 'the programs never break an assertion of their own',
} as const
export type Check = keyof typeof CHECKS

/** What a driver wrote, and what it knew when it decided. */
export interface Written {
  readonly fleet: FleetView
  /** Before the events. */
  readonly rollout: Rollout
  readonly events: readonly RolloutEvent[]
}

export interface ChecksWorld {
  readonly find: (ring: Name, name: string) => SimNode | undefined
  readonly report: (check: Check, message: string) => void
  /** Somebody wrote to the ring by hand since its last stage began: the cap is not the conductor's there. */
  readonly isByHand: (ring: Name) => boolean
  readonly isRestored: () => boolean
}

type Ordered = Extract<RolloutEvent, { type: 'ordered' }>['order']

export class WriteChecks {
  readonly #world: ChecksWorld
  /** Rollout → the stage that passed last. */
  readonly #passed = new Map<string, number>()

  constructor(world: ChecksWorld) {
    this.#world = world
  }

  written({ fleet, rollout, events }: Written): void {
    for (const event of events) {
      if (event.type === 'ordered') this.#ordered(fleet, rollout, event.order)
      if (event.type === 'stagePassed') this.#passes(fleet, rollout)
      if (event.type === 'ended' && event.phase === 'done') this.#passes(fleet, rollout)
      if (event.type === 'ended' && event.phase === 'rolledBack') this.#isBack(fleet, rollout)
    }
  }

  #seen(view: RingView | undefined): readonly Seen[] {
    return (view?.nodes ?? []).flatMap(({ status, silent }) => {
      const node = this.#world.find(status.ring, status.node)
      return node === undefined ? [] : [{ node, said: status, silent }]
    })
  }

  #ordered(fleet: FleetView, rollout: Rollout, { kind, ring, target }: Ordered): void {
    const { report, isByHand } = this.#world
    const view = fleet.rings[ring]
    const seen = this.#seen(view)
    const where = `${ring}, generation ${target.generation}`
    const highest = Math.max(-1, ...seen.map(({ said }) => said.generation))
    if (target.generation <= highest)
      report('generation', `${where} is not above ${highest}, which a node has reported`)
    if (rollout.phase === 'recalling') {
      const sent = seen.filter(({ node }) => node.wants(target) === rollout.build && !runs(node, rollout.build))
      const names = sent.map(({ node }) => node.name).join(', ')
      if (sent.length > 0) report('rollback', `${where}: ${kind} sends ${names} to ${rollout.build}`)
    }
    if (view?.standing.kind !== 'record' || isByHand(ring)) return
    const before = view.standing.target
    const order = outOfSequence(kind, target, before)
    if (order !== null) report(order.startsWith('generation') ? 'generation' : sequenceOf(order), `${where}: ${order}`)
    // What nodes did that a restored Consul has forgotten they may not have said again yet: nobody can spare them.
    if (this.#world.isRestored()) return
    const over = overCap(kind, tollOf(kind, target, before, seen), fleet.policy)
    if (over !== null) report('cap', `${where}: ${over}`)
    // Where the build runs already it is ordered everywhere at once.
    if (kind === 'raise' && rollout.marks?.[ring] !== undefined) this.#exposes(rollout, ring, target, seen)
  }

  #exposes(rollout: Rollout, ring: Name, target: Ordered['target'], seen: readonly Seen[]): void {
    const share = rollout.stages[rollout.stage]?.share ?? 0
    const exposed = below(seen, target.salt, target.cutoff)
    const most = Math.ceil((share * seen.length) / 100)
    if (exposed <= most) return
    this.#world.report('exposure', `${ring}: ${exposed} of ${seen.length} are exposed at ${share} %, which is ${most}`)
  }

  #passes(fleet: FleetView, rollout: Rollout): void {
    const { report, isByHand, isRestored } = this.#world
    const last = this.#passed.get(rollout.id) ?? -1
    this.#passed.set(rollout.id, rollout.stage)
    if (rollout.stage !== last + 1 && !isRestored()) {
      report('stages', `${rollout.id}: stage ${rollout.stage} passes after stage ${last}`)
    }
    const stage = rollout.stages[rollout.stage]
    const view = stage === undefined ? undefined : fleet.rings[stage.ring]
    const skipped = stage !== undefined && rollout.marks?.[stage.ring] === undefined && !runsThere(view, rollout)
    if (skipped) report('stages', `${rollout.id}: ${stage.ring} passes before anything was ordered there`)
    if (stage === undefined || rollout.marks?.[stage.ring] === undefined) return
    if (view?.standing.kind !== 'record' || isByHand(stage.ring)) return
    const { target } = view.standing
    const seen = this.#seen(view)
    const exposed = below(seen, target.salt, target.cutoff)
    const least = Math.ceil((stage.share * seen.length) / 100)
    const at = `${rollout.id}: stage ${rollout.stage} (${stage.ring} at ${stage.share} %)`
    if (isRestored()) return
    if (exposed < least) report('stages', `${at} passes with ${exposed} of ${seen.length} nodes exposed`)
    const exposedOnes = seen.filter(({ node }) => node.place(target.salt) < target.cutoff)
    const excused = exposedOnes.filter(({ node, silent }) => silent || !answers(node) || refuses(node, target))
    const absent = exposedOnes.filter((one) => !excused.includes(one) && !runs(one.node, rollout.build))
    const names = absent.map(({ node }) => node.name).join(', ')
    if (absent.length > 0) report('convergence', `${at} passes while ${names} run something else`)
    const lost = exposedOnes.filter(({ node, silent }) => silent || refuses(node, target)).length
    const budget = shareOf(fleet.policy.failureBudget, seen.length)
    if (lost > budget) report('convergence', `${at} passes with ${lost} silent or failed, and ${budget} may be`)
  }

  #isBack(fleet: FleetView, rollout: Rollout): void {
    if (this.#world.isRestored()) return
    for (const ring of Object.keys(rollout.marks ?? {})) {
      // A bare id keeps the generation: what nodes said before it looks as if they had said it now.
      if (this.#world.isByHand(ring as Name)) continue
      const back = rollout.fallbacks[ring]
      const left = this.#seen(fleet.rings[ring]).filter(({ node, silent, said }) => {
        const keeps =
          said.phase === 'parked' || node.state.phase === 'parked' || node.state.order?.bare || !answers(node)
        return !silent && !keeps && runs(node, rollout.build) && back != null && !refuses(node, back)
      })
      const names = left.map(({ node }) => node.name).join(', ')
      if (left.length > 0) this.#world.report('rollback', `${rollout.id} has ended, and ${names} still run it`)
    }
  }
}

const sequenceOf = (what: string): Check =>
  what.includes('cutoff') || what.includes('recall') ? 'exposure' : 'three-builds'

function runs({ state }: SimNode, build: string): boolean {
  return state.hot?.build === build
}

/** What it is can be known: it is neither dead nor obeying a bare id nor parked. */
function answers(node: SimNode): boolean {
  return node.hears && node.state.phase !== 'parked' && node.state.order?.bare !== true
}

function below(seen: readonly Seen[], salt: string, cutoff: number): number {
  return seen.filter(({ node }) => placeByLetter(salt, node.name) < cutoff).length
}

function runsThere(view: RingView | undefined, { build }: Rollout): boolean {
  return view?.standing.kind === 'record' && view.standing.target.build === build
}
