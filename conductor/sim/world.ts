// Owns a simulated world: Consul in memory, the fleet, the conductors and time, and what each may ask of the others.
import { createHash } from 'node:crypto'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryRecords, type Records, type Snapshot } from '#adapters/memory/records.ts'
import { NO_SIGNALS, type Signals } from '#conductor/core/plan.ts'
import { isOver, type RolloutEvent, reduce } from '#conductor/core/reduce.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, type Keys, keysOf } from '#fleet/keys.ts'
import type { Catalog, Clock } from '#fleet/ports.ts'
import type { Because, Rollout } from '#fleet/rollout.ts'
import { readRollout } from '#fleet/wire.ts'
import { type Check, WriteChecks, type Written } from './checks.ts'
import { Dice } from './dice.ts'
import { Driver, LEASE_MS } from './driver.ts'
import type { Fault } from './faults.ts'
import { APP, START_MS } from './names.ts'
import { SimNode } from './node.ts'
import { NodeChecks } from './node-checks.ts'
import { Readings } from './readings.ts'
import { PRODUCTION, type Rules } from './rules.ts'
import { type Scenario, scenarioOf } from './scenario.ts'
import { Story } from './story.ts'
import { Timeline } from './timeline.ts'
import { Ways } from './ways.ts'

export interface SimOptions {
  readonly nodes: number
  readonly seed: number
  readonly faults: ReadonlySet<Fault>
  readonly rules?: Rules
  /** Hears every line of the event log. */
  readonly onLine?: (line: string) => void
}

export interface Violation {
  readonly check: Check
  readonly message: string
  readonly atMs: number
}

/** Lines that a report of a broken run ends with. */
const LAST_LINES = 40

export class World {
  readonly timeline = new Timeline(START_MS)
  readonly records: Records = memoryRecords()
  readonly keys: Keys = keysOf(DEFAULT_PREFIX, APP)
  readonly catalog: Catalog = memoryCatalog(this.records, { app: APP })
  readonly readings = new Readings(this.records, this.keys, APP)
  readonly dice: Dice
  readonly rules: Rules
  readonly faults: ReadonlySet<Fault>
  readonly scenario: Scenario
  readonly story: Story
  readonly ways: Ways
  readonly nodeChecks: NodeChecks
  readonly writeChecks: WriteChecks
  readonly clock: Clock
  readonly drivers: Driver[] = []
  /** What people ask of whoever drives. */
  readonly wishes: RolloutEvent[] = []
  readonly byHand = new Set<Name>()
  readonly rollouts = new Map<string, Rollout>()
  readonly lastLines: string[] = []
  readonly #onLine: (line: string) => void
  readonly #fleet = new Map<string, SimNode>()
  /** Also those that were forgotten: a conductor may have seen them a moment ago. */
  readonly #known = new Map<string, SimNode>()
  #signals: Signals = NO_SIGNALS
  #operators = 0
  violation: Violation | null = null
  /** Consul was restored during the rollout in hand. */
  restored = false
  storeAway = false
  turns = 0
  orders = 0
  /** Told how many orders were written so far. */
  onOrder: (count: number) => void = () => undefined
  because: readonly Because[] = []
  open: Rollout | null = null

  constructor({ nodes, seed, faults, rules = PRODUCTION, onLine = () => undefined }: SimOptions) {
    this.dice = new Dice(seed)
    this.rules = rules
    this.faults = faults
    this.#onLine = onLine
    this.scenario = scenarioOf(nodes, faults, this.dice)
    this.story = new Story(this.scenario.releases, this.dice)
    this.ways = new Ways(this.dice, (fault) => faults.has(fault) && !this.calm)
    this.nodeChecks = new NodeChecks(this.report)
    this.writeChecks = new WriteChecks({
      find: (ring, name) => this.#known.get(`${ring}/${name}`),
      report: this.report,
      isByHand: (ring) => this.byHand.has(ring),
      isRestored: () => this.restored,
    })
    this.clock = {
      now: () => this.timeline.now,
      monotonic: () => this.timeline.now - START_MS,
      sleep: () => Promise.resolve(),
      random: () => this.dice.next(),
    }
  }

  /** Nothing goes wrong any more. */
  get calm(): boolean {
    return this.timeline.now - START_MS >= this.scenario.faultsMs
  }

  get flaky(): number {
    return this.faults.has('flaky') && !this.calm ? 0.01 : 0
  }

  /** How long a look at the whole fleet takes: ten thousand statuses are not read in a moment. */
  get lookMs(): number {
    return this.dice.between(5, 20) + this.#fleet.size * 0.02
  }

  at(): string {
    return new Date(this.timeline.now).toISOString()
  }

  log(who: string, what: () => string): void {
    const seconds = ((this.timeline.now - START_MS) / 1_000).toFixed(3)
    const line = `${seconds.padStart(9)} ${who} ${what()}`
    this.lastLines.push(line)
    if (this.lastLines.length > 2 * LAST_LINES) this.lastLines.splice(0, LAST_LINES)
    this.#onLine(line)
  }

  report = (check: Check, message: string): void => {
    this.log('CHECK', () => `${check}: ${message}`)
    this.violation ??= { check, message, atMs: this.timeline.now - START_MS }
  }

  fails(who: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.report('invariant', `${who}: ${text}`)
  }

  nodes(): readonly SimNode[] {
    return [...this.#fleet.values()]
  }

  add(node: SimNode): void {
    this.#fleet.set(`${node.ring}/${node.name}`, node)
    this.#known.set(`${node.ring}/${node.name}`, node)
  }

  /** A node that nobody knew before, with nothing on its disk. */
  join(ring: Name): void {
    const name = `n${this.#known.size + 1}` as Name
    const node = new SimNode(this, { name, ring }, null, null)
    this.add(node)
    this.log(name, () => `joins ${ring}`)
    node.voice.poke(true)
    node.look()
  }

  forget(node: SimNode): void {
    if (!node.dead) return
    this.log('ana', () => `forgets ${node.name}`)
    this.records.delete(this.keys.node(node.ring, node.name))
    this.#fleet.delete(`${node.ring}/${node.name}`)
    this.told()
  }

  isSick(node: SimNode, build: BuildId): boolean {
    const part = this.scenario.sick.get(build) ?? 0
    return (
      part > 0 && (part >= 1 || createHash('sha256').update(`${build} ${node.name}`).digest().readUInt8(0) < part * 256)
    )
  }

  /** A status or a request is there to be read. */
  told(): void {
    const ms = 150 + this.#fleet.size * 0.05
    for (const driver of this.drivers) driver.process.wake(ms)
  }

  /** A conductor's transaction happened. */
  wrote(written: Written): void {
    const { rollout, events } = written
    for (const event of events) this.log('conduct', () => wordsFor(event, rollout))
    this.writeChecks.written(written)
    const ordered = events.filter(({ type }) => type === 'ordered').length
    this.orders += ordered
    if (ordered > 0) this.onOrder(this.orders)
    const after = events.reduce(reduce, rollout)
    if (events.length === 0 && rollout.phase !== 'recalling') {
      this.restored = false
      this.story.began(rollout)
    }
    // A rollout that came to its end has heard from everybody since.
    if (after.phase === 'done') this.byHand.clear()
    this.open = isOver(after) ? null : after
    this.rollouts.set(after.id, after)
    this.announce()
  }

  /** What stands in the keys is on its way to the nodes. */
  announce(): void {
    for (const { ring } of this.scenario.rings) {
      const reading = this.readings.changed(ring)
      if (reading === null) continue
      for (const node of this.#fleet.values()) if (node.ring === ring) node.send(reading)
    }
  }

  /** Somebody has something to do under the lease. */
  hasWork(): boolean {
    return this.open !== null || !this.story.finished || this.records.list(this.keys.requests).length > 0
  }

  /** A conductor died: its session ends by its time, and somebody starts it again. */
  abandons(driver: Driver): void {
    if (driver.lease !== null) this.freezes(driver.lease.session)
    if (!this.drivers.includes(driver) || driver.name.startsWith('ana')) return
    this.timeline.after(this.dice.between(3_000, 40_000), () => driver.start())
  }

  /** A session that nobody renews. */
  freezes(session: string): void {
    this.timeline.after(this.dice.between(LEASE_MS / 2, LEASE_MS), () => {
      this.records.endSession(session)
      this.told()
    })
  }

  losesLease(): void {
    const session = this.records.get(this.keys.lease)?.session ?? null
    if (session === null) return
    this.log('consul', () => `ends the session of the lease (${session})`)
    this.records.endSession(session)
  }

  operator(): Driver {
    this.#operators += 1
    const driver = new Driver(this, `ana-${this.#operators}`)
    this.drivers.push(driver)
    return driver
  }

  gate(verdict: 'fail' | 'inconclusive', ms: number): void {
    this.#signals = { verdicts: [{ gate: 'errors', verdict, message: 'simulated' }] }
    this.timeline.after(verdict === 'fail' ? 2_000 : ms, () => {
      this.#signals = NO_SIGNALS
    })
  }

  signals(): Signals {
    return this.#signals
  }

  /** Every key as it was; sessions that began since are gone, and those that ended since stay so. */
  restore(snapshot: Snapshot): void {
    this.log('consul', () => 'is restored to a snapshot')
    this.restored = true
    const alive = [...snapshot.sessions].filter((session) => this.records.isSessionAlive(session))
    this.records.restore({ ...snapshot, sessions: new Set(snapshot.sessions) })
    for (const session of snapshot.sessions) if (!alive.includes(session)) this.records.endSession(session)
    const rollout = this.records.get(this.keys.rollout)
    const record = rollout === null ? null : readRollout(rollout.value)
    this.open = record === null || isOver(record) ? null : record
    this.announce()
    // Who was forgotten since is forgotten once more.
    for (const node of this.#known.values()) {
      if (!node.dead || this.#fleet.has(`${node.ring}/${node.name}`)) continue
      this.timeline.after(20_000, () => this.records.delete(this.keys.node(node.ring, node.name)))
    }
    // A sink that finds its session gone makes another; one whose session lives has nothing to say until its time.
    for (const node of this.#fleet.values()) {
      const { session } = node.voice
      const known = session !== null && this.records.isSessionAlive(session)
      if (!known) this.timeline.after(this.dice.between(500, 10_000), () => node.voice.again())
    }
    this.told()
  }
}

function wordsFor(event: RolloutEvent, { id }: Rollout): string {
  if (event.type !== 'ordered') return `${id}: ${event.type}${'outcome' in event ? ` (${event.outcome})` : ''}`
  const { kind, ring, target, taken, exposed, roster } = event.order
  const what = `g${target.generation} {${target.build}, ${target.fallback}, ${target.cutoff}}`
  return `${id}: ${kind} ${ring} ${what}, ${exposed} of ${roster} exposed, takes ${taken.join(' ') || 'nobody'}`
}
