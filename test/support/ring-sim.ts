// Owns a simulated journey through several rings: the nodes of `rollout-sim`, an order for each ring, and the production `plan` and `reduce`.
import { execution } from '#conductor/core/execution.ts'
import { ALWAYS_OPEN, NO_SIGNALS, type Plan, plan } from '#conductor/core/plan.ts'
import { type Beginning, beginRollout, isOver, reduce } from '#conductor/core/reduce.ts'
import type { FleetView, Policy } from '#conductor/core/standing.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { Rollout, Stage } from '#fleet/rollout.ts'
import { place, type Target } from '#fleet/target.ts'
import { A, APP, B, C, digestFor, SimNode, settledOn } from './rollout-sim.ts'

/** An order that was written, with how many nodes in service it asked to run something else, and how many were truly out. */
export interface RingWrite {
  readonly kind: string
  readonly ring: Name
  readonly order: Target
  readonly before: Target
  readonly taken: number
  readonly out: number
  readonly roster: number
}

export interface JourneyOptions {
  /** Ring → nodes; all run B over A. */
  readonly rings: Readonly<Record<string, number>>
  readonly stages: readonly (Omit<Stage, 'ring'> & { readonly ring: string })[]
  readonly prestage?: Beginning['prestage']
  readonly policy?: Partial<Policy>
}

export class Journey {
  readonly nodes = new Map<Name, SimNode[]>()
  readonly orders = new Map<Name, Target>()
  readonly writes: RingWrite[] = []
  rollout: Rollout
  now = 1_000_000
  private readonly policy: Policy

  constructor({ rings, stages, prestage = {}, policy }: JourneyOptions) {
    this.policy = { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false, ...policy }
    const names = Object.keys(rings) as Name[]
    for (const ring of names) {
      const order = { ...settledOn(B, A), ring }
      this.orders.set(ring, order)
      const count = rings[ring] ?? 0
      this.nodes.set(
        ring,
        Array.from({ length: count }, (_, i) => new SimNode(`${ring}-${i}`, order, B, A)),
      )
    }
    this.rollout = beginRollout({
      app: APP,
      id: 'r-now',
      build: C,
      manifest: digestFor(C),
      by: 'ana',
      reason: 'test',
      at: new Date(this.now).toISOString(),
      stages: stages as readonly Stage[],
      fallbacks: Object.fromEntries(names.map((ring) => [ring, { build: B, manifest: digestFor(B) }])),
      attempt: 1,
      activation: null,
      adopt: false,
      there: [],
      generations: {},
      prestage,
    })
  }

  in(ring: string): readonly SimNode[] {
    return this.nodes.get(ring as Name) ?? []
  }

  view(): FleetView {
    const rings = [...this.nodes].map(([ring, nodes]) => {
      const target = this.orders.get(ring)
      if (target === undefined) throw new Error(`no order in ${ring}`)
      const said = nodes.map(({ said: status, silent }) => ({ status: { ...status, ring }, silent }))
      return [ring, { ring, standing: { kind: 'record' as const, target }, nodes: said }]
    })
    return { policy: this.policy, rings: Object.fromEntries(rings) }
  }

  plan(): Plan {
    return plan(this.rollout, this.view(), NO_SIGNALS, ALWAYS_OPEN, this.now)
  }

  conduct(): Plan {
    const next = this.plan()
    for (const event of execution(this.view(), next.action, new Date(this.now).toISOString())) {
      if (event.type === 'ordered') this.write(event.order.kind, event.order.ring, event.order.target)
      this.rollout = reduce(this.rollout, event)
    }
    if (next.action.type === 'smoke') {
      this.rollout = reduce(this.rollout, { type: 'smoked', passed: true, message: 'exit 0' })
    }
    return next
  }

  private write(kind: string, ring: Name, order: Target): void {
    const nodes = this.in(ring)
    const before = this.orders.get(ring)
    if (before === undefined) throw new Error(`no order in ${ring}`)
    const out = nodes.filter((node) => node.isOut(before))
    const taken = nodes.filter((node) => {
      const wanted = node.wanted(order).hot
      return !out.includes(node) && wanted !== null && wanted !== node.hot
    })
    this.writes.push({ kind, ring, order, before, taken: taken.length, out: out.length, roster: nodes.length })
    this.orders.set(ring, order)
  }

  /** One turn of every node. */
  everybody(healthy: (build: BuildId, node: SimNode) => boolean = () => true): void {
    this.now += 1_000
    for (const [ring, nodes] of this.nodes) {
      const order = this.orders.get(ring)
      for (const node of nodes) {
        if (order !== undefined && order.generation > node.accepted.generation) {
          if (node.phase === 'parked') node.phase = 'idle'
          node.accepted = order
        }
        node.work((build) => healthy(build, node))
        if (!node.silent) node.said = node.status()
      }
    }
  }

  /** Everybody lives on, the conductor too, until `done` or the turns are over. */
  live(done: () => boolean, healthy?: (build: BuildId, node: SimNode) => boolean, turns = 1_000): boolean {
    for (let turn = 0; turn < turns && !done(); turn += 1) {
      this.everybody(healthy)
      this.conduct()
    }
    return done()
  }

  settle(healthy?: (build: BuildId, node: SimNode) => boolean): void {
    this.live(() => isOver(this.rollout), healthy)
  }

  exposed(ring: string): number {
    const order = this.orders.get(ring as Name)
    if (order === undefined || order.build !== C) return 0
    return this.in(ring).filter(({ name }) => place(order.salt, name) < order.cutoff).length
  }
}
