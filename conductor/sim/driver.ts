// Owns a simulated conductor: takes the lease, begins what the story asks for, and drives as the real one does, until it dies.
import { memoryLocks } from '#adapters/memory/locks.ts'
import { startRelease } from '#conductor/core/beginning.ts'
import { type AheadSince, stillAhead } from '#conductor/core/ownership.ts'
import { ALWAYS_OPEN } from '#conductor/core/plan.ts'
import { beginRollout, isOver, type RolloutEvent } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import { execute, type Told, tell } from '#conductor/shell/execute.ts'
import { learned } from '#conductor/shell/learning.ts'
import { isPassing, type Observation, observe, ringOf } from '#conductor/shell/observe.ts'
import { answerRequests } from '#conductor/shell/requests.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { Desk, deafLease } from './desk.ts'
import { APP } from './names.ts'
import { Process } from './timeline.ts'
import type { World } from './world.ts'

const SIGNAL = new AbortController().signal
/** A driver looks at least this often; where nothing moves, ever less often: a decision may come late, and is the same. */
const TICK_MS = 500
const LONGEST_TICK_MS = 15_000
/** Consul ends the session of a dead holder by then. */
export const LEASE_MS = 15_000

/** What a turn came to. */
type Turned = 'wrote' | 'waits' | 'nothing'

export class Driver {
  readonly name: string
  process: Process
  lease: Lease | null = null
  readonly #world: World
  #desk: Desk
  #policy: Policy
  /** The rollout that it goes on with was looked at. */
  #resumed = ''
  #ahead: AheadSince = {}

  constructor(world: World, name: string) {
    this.name = name
    this.#world = world
    this.#policy = world.scenario.policy
    this.process = new Process(world.timeline)
    this.#desk = new Desk(world, this.process, () => this.#dies())
  }

  /** Comes to life, or to another one. */
  start(work: (driver: Driver) => Promise<void> = (driver) => driver.#serve()): void | Promise<void> {
    if (this.process.alive) return
    this.process = new Process(this.#world.timeline)
    this.#desk = new Desk(this.#world, this.process, () => this.#dies())
    this.lease = null
    this.#policy = this.#world.scenario.policy
    return this.process.start(
      () => work(this),
      (error) => this.#world.fails(this.name, error),
    )
  }

  #dies(): void {
    this.#world.log(this.name, () => 'dies')
    this.#world.abandons(this)
  }

  kill(): void {
    if (!this.process.alive) return
    this.process.kill()
    this.#dies()
  }

  async #serve(): Promise<void> {
    const { dice } = this.#world
    for (;;) {
      if (this.#world.hasWork()) {
        const lease = await this.take('serve')
        if (lease !== null) await this.drive()
      }
      await this.process.doze(dice.between(1_000, 3_000))
    }
  }

  note(reason: string) {
    return { holder: this.name, since: this.#world.at(), rollout: null, reason }
  }

  get locks() {
    return memoryLocks(this.#world.records, { app: APP })
  }

  /** The lease, or null while somebody holds it. */
  async take(reason: string): Promise<Lease | null> {
    if ((this.#world.records.get(this.#world.keys.lease)?.session ?? null) !== null) return null
    try {
      return this.holds(await this.locks.acquire(this.note(reason), SIGNAL))
    } catch (error) {
      if (isFleetError(error, 'LEASE_HELD')) return null
      throw error
    }
  }

  holds(lease: Lease): Lease {
    this.lease = lease
    this.#resumed = ''
    this.#world.log(this.name, () => `takes the lease (${lease.session})`)
    return lease
  }

  /** Drives until nothing is left to do, or the lease is lost. */
  async drive(): Promise<void> {
    let tickMs = TICK_MS
    while (this.lease !== null) {
      try {
        await this.process.sleep(this.#world.lookMs)
        const turned = await this.#turn(await this.observe())
        if (turned === 'nothing') break
        tickMs = turned === 'wrote' ? TICK_MS : Math.min(LONGEST_TICK_MS, tickMs * 2)
        if (turned === 'waits') await this.process.doze(tickMs)
      } catch (error) {
        if (isFleetError(error, 'LEASE_LOST')) {
          this.#world.log(this.name, () => 'has lost the lease')
          this.lease = null
          return
        }
        if (!isPassing(error)) throw error
        await this.process.sleep(this.#world.dice.between(100, 1_000))
      }
    }
    await this.lease?.[Symbol.asyncDispose]()
    this.lease = null
  }

  observe(): Promise<Observation> {
    const rings = this.#world.scenario.rings.map(({ ring }) => ring)
    return observe(this.#desk, { app: APP, rings, policy: this.#policy }, SIGNAL)
  }

  async write(seen: Observation, rollout: Rollout, events: readonly RolloutEvent[], more: readonly Told[] = []) {
    const at = this.#world.at()
    const told = [...tell(rollout, events, this.name, at), ...more]
    const aside = await learned(this.#world.catalog, rollout, events, at, SIGNAL)
    await this.execute(seen, { rollout, events, told, answered: [], aside })
  }

  async execute(seen: Observation, deed: Parameters<typeof execute>[2]): Promise<void> {
    if (this.lease === null) return
    const { rollout, events } = deed
    this.#desk.pending = rollout === null ? null : { fleet: seen.fleet, rollout, events }
    this.#world.turns += 1
    await execute({ ledger: this.#desk.ledger, lease: deafLease(this.lease) }, seen.ledger, deed, SIGNAL)
  }

  async #turn(seen: Observation): Promise<Turned> {
    const { rules, wishes, timeline } = this.#world
    const { rollout, fleet } = seen
    const at = this.#world.at()
    const asked = await answerRequests(this.#desk.ledger, seen, this.#policy, at, SIGNAL)
    if (asked !== null) {
      this.#policy = asked.policy
      await this.execute(seen, asked.deed)
      return 'wrote'
    }
    if (rollout === null || isOver(rollout)) return this.#begin(seen)
    if (this.#resumed !== rollout.id) {
      this.#resumed = rollout.id
      const first = rules.resume(rollout, at)
      if (first.length > 0) await this.write(seen, rollout, first)
      return first.length > 0 ? 'wrote' : 'waits'
    }
    const wish = wishes.shift()
    if (wish !== undefined && rollout.phase !== 'recalling') {
      await this.write(seen, rollout, [wish])
      return 'wrote'
    }
    this.#ahead = stillAhead(this.#ahead, fleet.rings, timeline.now)
    const signals = { ...this.#world.signals(), aheadSince: this.#ahead }
    const next = rules.plan(rollout, fleet, signals, ALWAYS_OPEN, timeline.now)
    const events = rules.execution(fleet, next.action, at)
    this.#world.because = next.because
    if (events.length === 0) return 'waits'
    await this.write(seen, rollout, events)
    return 'wrote'
  }

  async #begin(seen: Observation): Promise<Turned> {
    const { story, scenario } = this.#world
    const wish = story.next()
    if (wish === null) return 'nothing'
    const rings = scenario.rings.map(({ ring }) => ringOf(seen, ring))
    const builds = await this.#world.catalog.list(SIGNAL)
    const asked = { app: APP, by: 'ana', reason: 'simulated', restart: false, at: this.#world.at(), ...wish }
    const start = startRelease(asked, { rings, rollout: seen.rollout, builds })
    if (start.kind === 'refuse' || start.kind === 'already') {
      const why = start.kind === 'refuse' ? start.code : start.kind
      this.#world.log(this.name, () => `does not begin ${wish.id}: ${why}`)
      story.refused(why)
      return 'waits'
    }
    if (start.kind === 'resume') return 'waits'
    const rollout = beginRollout({ ...start.beginning, stages: scenario.stages })
    this.#world.log(this.name, () => `begins ${rollout.id} of ${rollout.build}`)
    this.#resumed = rollout.id
    await this.write(seen, rollout, start.takesUp)
    return 'wrote'
  }
}
