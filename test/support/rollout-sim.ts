// Owns a simulated ring under the production `plan`, `reduce` and `wants`: nodes that obey late, fail, fall silent and join.

import { execution } from '#conductor/core/execution.ts'
import { ALWAYS_OPEN, NO_SIGNALS, type Plan, plan, type Signals } from '#conductor/core/plan.ts'
import { beginRollout, isOver, reduce } from '#conductor/core/reduce.ts'
import type { FleetView, Policy } from '#conductor/core/standing.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { NodeStatus, Phase, Refusal } from '#fleet/node-status.ts'
import type { Rollout, Stage } from '#fleet/rollout.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { ALL, place, type Target, wants } from '#fleet/target.ts'

export const [A, B, C] = ['a-build', 'b-build', 'c-build'] as [BuildId, BuildId, BuildId]
export const APP = 'web' as Name
export const RING = 'production' as Name

/** A digest that can be told from others by its build. */
export function digestFor(build: BuildId): Digest {
  return `sha256:${Buffer.from(build).toString('hex').padEnd(64, '0').slice(0, 64)}` as Digest
}

export function settledOn(build: BuildId | null, fallback: BuildId | null, generation = 57): Target {
  return {
    app: APP,
    ring: RING,
    generation,
    build,
    manifest: build && digestFor(build),
    fallback,
    fallbackManifest: fallback && digestFor(fallback),
    cutoff: build === null ? 0 : ALL,
    salt: 'r-before',
    rollout: 'r-before',
    by: 'ana',
    reason: '',
    at: new Date(0).toISOString(),
    recall: false,
    attempt: 1,
    activation: null,
  }
}

const SERVES: readonly Phase[] = ['idle', 'fetching', 'staged']

export class SimNode {
  readonly name: Name
  accepted: Target
  hot: BuildId | null
  cold: BuildId | null
  phase: Phase = 'idle'
  refusal: Refusal | null = null
  silent = false
  /** Hangs in whatever it does. */
  stalled = false
  /** How often its hot link moved. */
  swaps = 0
  said: NodeStatus
  private from: BuildId | null = null

  constructor(name: string, order: Target, hot: BuildId | null, cold: BuildId | null) {
    this.name = name as Name
    this.accepted = order
    this.hot = hot
    this.cold = cold
    this.said = this.status()
  }

  /** Takes an order; a higher attempt at what it refuses ends the refusal. */
  accept(order: Target): void {
    const another = order.recall || order.build !== this.accepted.build || order.attempt > this.accepted.attempt
    if (this.phase === 'parked' && another) this.phase = 'idle'
    if (order.attempt > this.accepted.attempt && this.refusal?.build === order.build) this.refusal = null
    this.accepted = order
  }

  /** What it would say of itself now. */
  status(): NodeStatus {
    const { phase, hot, cold, refusal } = this
    const { generation, rollout, attempt } = this.accepted
    const names = { app: APP, ring: RING, node: this.name }
    const rest = { armed: true, attempt, at: '', troubles: [], progress: null }
    return { ...names, ...rest, phase, hot, cold, generation, rollout, refusal }
  }

  wanted(order: Target = this.accepted) {
    const wanted = wants(order, place(order.salt, this.name), this.hot)
    return this.refusal !== null && this.refusal.build === wanted.hot ? { hot: null, cold: null } : wanted
  }

  /** Truly out of service, whatever it said last. */
  isOut(order: Target): boolean {
    const calm = SERVES.includes(this.phase) && this.refusal?.build !== order.build
    const moves = [this.wanted(order).hot, this.wanted().hot].some((hot) => hot !== null && hot !== this.hot)
    return this.silent || !calm || moves || this.hot === null
  }

  /** One small step of its work. @param healthy whether a build passes its verification here */
  work(healthy: (build: BuildId) => boolean): void {
    if (this.stalled) return
    const { hot, cold } = this.wanted()
    switch (this.phase) {
      case 'idle':
      case 'fetching':
      case 'staged': {
        const next = hot !== null && hot !== this.hot ? hot : null
        const spare = next ?? (cold !== this.cold ? cold : null)
        if (spare !== null && spare !== this.cold) {
          if (this.phase === 'fetching') this.cold = spare
          this.phase = this.phase === 'fetching' ? 'staged' : 'fetching'
        } else if (next !== null) this.phase = 'draining'
        else this.phase = this.phase === 'fetching' ? 'staged' : 'idle'
        return
      }
      case 'draining':
        this.from = this.hot
        if (hot === null || hot === this.hot || hot !== this.cold) this.phase = 'idle'
        else {
          this.cold = this.hot
          this.hot = hot
          this.swaps += 1
          this.phase = 'verifying'
        }
        return
      case 'verifying': {
        const unwanted = hot !== null && hot !== this.hot
        const fails = this.hot !== null && !healthy(this.hot)
        if (unwanted ? this.from === null : !fails) this.phase = 'idle'
        else if (this.from === null) this.phase = 'parked'
        else {
          if (fails && this.hot !== null)
            this.refusal = { build: this.hot, code: 'VERIFY_FAILED', message: 'not healthy' }
          ;[this.hot, this.cold] = [this.from, this.hot]
          this.phase = 'reverting'
        }
        return
      }
      case 'reverting':
        this.phase = 'idle'
        return
      default:
        return
    }
  }
}

/** A write of the conductor, with what was true when it happened. */
export interface Written {
  readonly kind: string
  readonly order: Target
  readonly before: Target
  /** Nodes in service that it asked to run something else. */
  readonly taken: number
  /** Nodes truly out, and of them the silent and failed ones inside the wave of a recall. */
  readonly out: number
  readonly free: number
  readonly roster: number
}

export class Simulation {
  readonly nodes: SimNode[]
  order: Target
  rollout: Rollout
  readonly writes: Written[] = []
  readonly policy: Policy
  now = 1_000_000
  signals: Signals = NO_SIGNALS
  /** How a smoke test ends; null: it still runs. */
  smoke: { readonly passed: boolean; readonly message: string } | null = { passed: true, message: 'exit 0' }
  /** How often one was run to its end. */
  smoked = 0

  constructor(
    options: {
      nodes: number
      before: Target
      hot: BuildId | null
      cold: BuildId | null
      build: BuildId
      stages?: readonly Omit<Stage, 'ring'>[]
    } & Partial<Policy>,
  ) {
    const { maxUnavailable = 33, failureBudget = 10, waveMs = 60_000, allAtOnce = false, rings = {} } = options
    this.policy = { maxUnavailable, failureBudget, waveMs, allAtOnce, rings }
    this.order = options.before
    const { hot, cold } = options
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new SimNode(`node-${i}`, options.before, hot, cold))
    const back = options.before.build
    this.rollout = beginRollout({
      app: APP,
      id: 'r-now',
      build: options.build,
      manifest: digestFor(options.build),
      by: 'ana',
      reason: 'test',
      at: new Date(this.now).toISOString(),
      stages: (options.stages ?? [{ share: 100 }]).map((stage) => ({ ring: RING, ...stage })),
      fallbacks: { [RING]: back === null ? null : { build: back, manifest: digestFor(back) } },
      attempt: 1,
      activation: null,
      adopt: false,
      there: [],
      generations: {},
    })
  }

  view(): FleetView {
    const nodes: RosterNode[] = this.nodes.map((node) => ({ status: node.said, silent: node.silent }))
    return {
      policy: this.policy,
      rings: { [RING]: { ring: RING, standing: { kind: 'record', target: this.order }, nodes } },
    }
  }

  plan(): Plan {
    return plan(this.rollout, this.view(), this.signals, ALWAYS_OPEN, this.now)
  }

  /** One turn of the conductor: plan, and write what was planned. */
  conduct(): Plan {
    const next = this.plan()
    const events = execution(this.view(), next.action, new Date(this.now).toISOString())
    for (const event of events) {
      if (event.type === 'ordered') this.write(event.order.kind, event.order.target)
      this.rollout = reduce(this.rollout, event)
    }
    if (next.action.type === 'smoke' && this.smoke !== null) {
      this.smoked += 1
      this.rollout = reduce(this.rollout, { type: 'smoked', ...this.smoke })
    }
    return next
  }

  private write(kind: string, order: Target): void {
    const before = this.order
    const out = this.nodes.filter((node) => node.isOut(before))
    const lowest = kind === 'close' ? 0 : order.cutoff
    const free = out.filter((node) => {
      const at = place(before.salt, node.name)
      const inWave = at >= lowest && at < before.cutoff
      return inWave && (node.silent || node.phase === 'parked' || node.refusal !== null)
    })
    const taken = this.nodes.filter((node) => {
      const wanted = node.wanted(order).hot
      // A node that has not said yet that it serves what it runs is out by definition: it went out through us, within the cap.
      const told = kind === 'raise' || (node.said.hot === node.hot && SERVES.includes(node.said.phase))
      return !out.includes(node) && told && wanted !== null && wanted !== node.hot
    })
    const counts = { taken: taken.length, out: out.length, free: free.length, roster: this.nodes.length }
    this.writes.push({ kind, order, before, ...counts })
    this.order = order
  }

  deliver(node: SimNode): void {
    if (this.order.generation <= node.accepted.generation) return
    node.accept(this.order)
  }

  /** Everybody hears, works and says, conductor included, until the rollout is over. */
  settle(healthy: (build: BuildId, node: SimNode) => boolean = () => true, turns = 2_000): void {
    for (let turn = 0; turn < turns && !isOver(this.rollout); turn += 1) {
      this.everybody(healthy)
      this.conduct()
    }
  }

  /** One turn of every node. */
  everybody(healthy: (build: BuildId, node: SimNode) => boolean = () => true): void {
    this.now += 1_000
    for (const node of this.nodes) {
      this.deliver(node)
      node.work((build) => healthy(build, node))
      if (!node.silent) node.said = node.status()
    }
  }
}
