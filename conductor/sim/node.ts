// Owns a simulated node: the production machine over a disk of its own, orders as they reach it, and what it says of itself.
import type { BuildId, Name } from '#fleet/build.ts'
import type { NodeStatus, Trouble } from '#fleet/node-status.ts'
import { NO_RATCHET, type OrderMark, place, type Ratchet, type Target, targetOfBare } from '#fleet/target.ts'
import { asked } from '#puller/core/notice.ts'
import { journalOf, recover } from '#puller/core/recover.ts'
import { gist, statusOf } from '#puller/core/report.ts'
import {
  BLANK,
  type Held,
  type Job,
  type NodeEvent,
  type NodeState,
  type Order,
  type Step,
} from '#puller/core/state.ts'
import { Disk } from './disk.ts'
import { APP, digestFor } from './names.ts'
import type { Reading } from './readings.ts'
import { Voice } from './voice.ts'
import { bytesFor, durationOf, outcomeOf, type Surroundings } from './work.ts'
import type { World } from './world.ts'

/** A node asks the leader at once what a server that may be behind cannot settle. */
const ASK_MS = 20

const REGRESSED: Trouble = { code: 'TARGET_REGRESSED', message: 'below what was accepted already' }

export class SimNode {
  readonly name: Name
  readonly ring: Name
  readonly voice: Voice
  readonly disk: Disk
  readonly #world: World
  state: NodeState
  ratchet: Ratchet = NO_RATCHET
  /** Rank of the order in force among all that ever stood in the key. */
  rank = -1
  /** The puller runs. */
  up = true
  /** Consul cannot be reached from here. */
  cutOff = false
  /** For ever. */
  dead = false
  stalledUntilMs = 0
  fetchedBytes = 0
  swaps = 0
  /** When the last order on its way arrives. */
  #arrivesMs = 0
  #life = 0
  /** What is wrong with the key, by its lights. */
  #troubles: readonly Trouble[] = []
  #places: { salt: string; at: number } = { salt: '', at: 0 }

  constructor(world: World, of: { name: Name; ring: Name }, hot: Held | null, cold: Held | null) {
    this.#world = world
    this.name = of.name
    this.ring = of.ring
    this.disk = new Disk(hot, cold)
    const { coldTree } = this.disk
    this.state = { ...BLANK, hot, cold: this.disk.spare(), coldTree, verified: hot !== null }
    const key = world.keys.node(of.ring, of.name)
    this.voice = new Voice(
      world,
      key,
      () => this.status(),
      () => gist(this.state, this.status()),
    )
  }

  get hears(): boolean {
    return this.up && !this.cutOff && !this.dead
  }

  place(salt: string): number {
    if (this.#places.salt !== salt) this.#places = { salt, at: place(salt, this.name) }
    return this.#places.at
  }

  status(): NodeStatus {
    const { name, ring, ratchet } = this
    const nowMs = this.#world.timeline.now
    const around = { app: APP, ring, node: name, generation: ratchet.generation, progress: null, nowMs }
    return statusOf(this.state, { ...around, troubles: this.#troubles })
  }

  wants(target: Target): BuildId | null {
    const order = { target, place: this.place(target.salt), modifyIndex: 0, bare: false }
    return asked({ ...this.state, order }).hot?.build ?? null
  }

  /** A value of the key is on its way to it. */
  send(reading: Reading): void {
    const { timeline, ways, dice } = this.#world
    const way = ways.order()
    if (way.lost) {
      timeline.after(dice.between(1_000, 60_000), () => this.look())
      return
    }
    const waitMs = way.mayOvertake ? way.ms : Math.max(way.ms, this.#arrivesMs - timeline.now)
    this.#arrivesMs = Math.max(this.#arrivesMs, timeline.now + waitMs)
    timeline.after(waitMs, () => this.hear(reading, true))
  }

  /** Reads what the leader has. */
  look(): void {
    const reading = this.#world.readings.current(this.ring)
    if (reading !== null) this.hear(reading, false)
  }

  /** @param stale the leader did not vouch for it */
  hear(reading: Reading, stale: boolean): void {
    if (!this.hears) return
    const { order, modifyIndex } = reading
    const { generation } = order.kind === 'record' ? order.target : order.bare
    const mark = { kind: order.kind, generation, modifyIndex, stale } as OrderMark
    const admission = this.#world.rules.admit(this.ratchet, mark)
    if (admission.verdict !== 'accept') {
      if (stale && admission.verdict !== 'known') this.#world.timeline.after(ASK_MS, () => this.look())
      else this.#tell(admission.verdict === 'regressed' ? [REGRESSED] : [])
      return
    }
    this.#troubles = []
    this.#world.nodeChecks.accepts(this, reading, admission.ratchet)
    const target =
      order.kind === 'record'
        ? order.target
        : targetOfBare(order.bare, {
            app: APP,
            ring: this.ring,
            generation: admission.ratchet.generation,
            manifest: digestFor(order.bare.build),
            at: '',
          })
    this.ratchet = admission.ratchet
    this.rank = reading.rank
    const bare = order.kind === 'bare'
    this.take({ type: 'ordered', order: { target, place: this.place(target.salt), modifyIndex, bare } })
  }

  #tell(troubles: readonly Trouble[]): void {
    if (troubles.length === this.#troubles.length) return
    this.#troubles = troubles
    this.voice.poke(cameToRest(this.state))
  }

  take(event: NodeEvent): void {
    this.#follow(this.#world.rules.step(this.state, event))
  }

  #follow({ state, effects, trail }: Step): void {
    this.state = state
    for (const { from, edge, to } of trail) {
      if (from !== to) this.#world.log(this.name, () => `${from} → ${to} (${edge}) hot ${state.hot?.build ?? 'none'}`)
    }
    for (const effect of effects) if (effect.type === 'start') this.#begin(effect.job)
    this.voice.poke(cameToRest(state))
  }

  get #around(): Surroundings {
    const { dice, storeAway, flaky } = this.#world
    const { hot } = this.state
    return { dice, disk: this.disk, storeAway, flaky, sick: hot !== null && this.#world.isSick(this, hot.build) }
  }

  #begin(job: Job): void {
    const around = this.#around
    this.#world.nodeChecks.begins(this, job)
    if (job.kind === 'stage' && !this.disk.holds(job.held) && !around.storeAway) this.disk.unseal()
    this.#later(durationOf(job, this.state, around), () => this.#end(job))
  }

  /** In this life of the puller, and not while it hangs. */
  #later(ms: number, happen: () => void): void {
    const life = this.#life
    const then = (): void => {
      if (life !== this.#life || this.dead) return
      const lateMs = this.stalledUntilMs - this.#world.timeline.now
      if (lateMs > 0) this.#world.timeline.after(lateMs, then)
      else happen()
    }
    this.#world.timeline.after(ms, then)
  }

  #end(job: Job): void {
    // What was cancelled meanwhile has touched nothing, or the machine would have waited for it.
    if (this.state.job?.n !== job.n) return
    const outcome = outcomeOf(job, this.#around)
    this.#world.nodeChecks.ends(this, outcome)
    if (outcome.type === 'fetched' && job.kind === 'stage') {
      this.fetchedBytes += bytesFor(job, this.disk)
      this.disk.seal(job.held)
    }
    if (outcome.type === 'swapped') {
      this.disk.swap()
      this.swaps += 1
    }
    this.take(outcome)
  }

  /** The puller dies where it stands; a swap in hand may have happened or not. */
  crash(): void {
    if (!this.up || this.dead) return
    if (this.state.job?.kind === 'swap' && this.#world.dice.chance(0.5)) this.disk.swap()
    this.up = false
    this.#life += 1
    this.voice.hush()
    this.#world.log(this.name, () => `dies ${this.state.phase}`)
  }

  start(): void {
    if (this.up || this.dead) return
    this.up = true
    this.#world.log(this.name, () => 'starts')
    this.#follow(recover(this.disk.survey(), journalOf(this.state), this.state.order))
    this.#reach()
  }

  cut(): void {
    if (this.cutOff || this.dead) return
    this.cutOff = true
    this.voice.hush()
    this.#world.log(this.name, () => 'is cut off')
  }

  mend(): void {
    if (!this.cutOff || this.dead) return
    this.cutOff = false
    this.#world.log(this.name, () => 'is back')
    this.#reach()
  }

  #reach(): void {
    if (!this.hears) return
    this.voice.speakAgain()
    this.look()
  }

  /** Never heard of again. */
  kill(): void {
    this.dead = true
    this.voice.hush()
    this.#world.log(this.name, () => 'dies for ever')
  }

  /** Known from the start: it obeys this order already. */
  settleOn(order: Order, ratchet: Ratchet, rank: number): void {
    this.state = { ...this.state, order }
    this.ratchet = ratchet
    this.rank = rank
  }
}

/** A rollout waits for a node that came to rest; one that asks for its turn is about to leave. */
function cameToRest({ phase, job }: NodeState): boolean {
  return phase === 'idle' || phase === 'parked' || (phase === 'staged' && job?.kind !== 'turn')
}
