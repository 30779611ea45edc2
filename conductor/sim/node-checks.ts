// Owns what no simulated node may ever do: go back to an older order, or begin what its order does not name or what it refused.
import type { BuildId } from '#fleet/build.ts'
import type { Ratchet } from '#fleet/target.ts'
import type { Order as WireOrder } from '#fleet/wire.ts'
import type { Job, Order, Outcome } from '#puller/core/state.ts'
import type { Check } from './checks.ts'
import { letterOf, placeByLetter } from './letter.ts'
import type { SimNode } from './node.ts'
import type { Reading } from './readings.ts'

export class NodeChecks {
  readonly #report: (check: Check, message: string) => void
  /** Per node, what failed to prove itself there and under which attempt: kept apart from what the machine remembers. */
  readonly #failed = new WeakMap<SimNode, Map<BuildId, number>>()

  constructor(report: (check: Check, message: string) => void) {
    this.#report = report
  }

  accepts(node: SimNode, reading: Reading, ratchet: Ratchet): void {
    const before = node.ratchet.generation
    if (ratchet.generation < before) {
      this.#report('generation', `${node.name} lets its ratchet fall from ${before} to ${ratchet.generation}`)
    }
    // What a restored Consul holds is news to a node that never heard of its generation.
    const unheard = reading.putBack && before < ratchet.generation
    if (reading.rank <= node.rank && !unheard) {
      this.#report('old-order', `${node.name} goes back from order ${node.rank} to ${reading.rank} (${words(reading)})`)
    }
    const { order } = reading
    if (order.kind === 'bare') return
    const { build, fallback, attempt } = order.target
    const failed = this.#failed.get(node)
    for (const named of [build, fallback]) {
      if (named !== null && (failed?.get(named) ?? attempt) < attempt) failed?.delete(named)
    }
  }

  /** A job is about to begin. */
  begins(node: SimNode, job: Job): void {
    const { state } = node
    if (state.order === null) return
    const { target } = state.order
    // Sweeping what lies in cold already brings nothing into it.
    if (job.kind === 'stage' && !node.disk.holds(job.held)) {
      const { mayStage } = letterOf(asWritten(state.order), placeByLetter(target.salt, node.name))
      const { build } = job.held
      if (!mayStage.includes(build)) this.#report('ordered', `${node.name} stages ${build}, which no order asks of it`)
    }
    if (job.kind !== 'swap' || state.phase !== 'swapping' || state.move === null) return
    const { build } = state.move.to
    const { mayStart } = letterOf(asWritten(state.order), placeByLetter(target.salt, node.name))
    if (!mayStart.includes(build)) this.#report('ordered', `${node.name} starts ${build}, which no order names for it`)
    const attempt = this.#failed.get(node)?.get(build)
    if (attempt !== undefined && attempt >= target.attempt) {
      this.#report('refusal', `${node.name} starts ${build} again, which failed there under attempt ${attempt}`)
    }
  }

  ends(node: SimNode, { type }: Outcome): void {
    const { move, phase, stand, order } = node.state
    const failed = type === 'verifyFailed' || type === 'restartFailed'
    if (!failed || phase === 'reverting' || move?.kind !== 'swap' || move.from === null || stand !== null) return
    const builds = this.#failed.get(node) ?? new Map<BuildId, number>()
    this.#failed.set(node, builds.set(move.to.build, order?.target.attempt ?? 1))
  }
}

function asWritten({ bare, target }: Order): WireOrder {
  if (!bare || target.build === null) return { kind: 'record', target }
  return { kind: 'bare', bare: { build: target.build, generation: null } }
}

function words({ order, modifyIndex }: Reading): string {
  if (order.kind === 'bare') return `the bare id ${order.bare.build}, index ${modifyIndex}`
  const { generation, build } = order.target
  return `generation ${generation} of ${build}, index ${modifyIndex}`
}
