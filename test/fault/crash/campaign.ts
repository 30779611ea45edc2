// Owns the campaign of all crash proofs: which points there are, in what order they are tried, and how a part of it is judged.
import { publishBuilds } from '#test/support/crash/builds.ts'
import { Daemons } from '#test/support/crash/daemon.ts'
import { type FileSystem, Workshop } from '#test/support/crash/image.ts'
import { dieAt, type Ground, operationFor, stepsOf } from '#test/support/crash/kill.ts'
import { cutPower } from '#test/support/crash/power.ts'
import { DISK_ERRORS, type DiskError, failAt } from '#test/support/crash/starve.ts'
import {
  MATRIX,
  type Operation,
  type OperationName,
  Quarry,
  type State,
  type StateName,
} from '#test/support/crash/states.ts'
import { seeded } from '#test/support/source-tree.ts'
import { ERROR_CASES, labelOf, type Outcome, outcomeOf, POWER_CASES, PULLER_CASES } from './cases.ts'
import { Table } from './table.ts'

/** In the order in which they are run: `kill` dies once, `again` a second time in the recovery, `puller` is the program under a Consul. */
export const PARTS = ['kill', 'again', 'puller', 'ext4', 'xfs', 'errors'] as const
export type Part = (typeof PARTS)[number]

/** Knowing what runs may take so long, in milliseconds. */
const RECOVERY_LIMIT_MS = 1_000

/** Second deaths of each operation in each state. */
const PAIRS = 24

export interface CampaignOptions {
  readonly every: number
  readonly seed: number
  readonly lanes: number
  /** The machine has other things to do: how long a recovery took is told, not judged. */
  readonly busy: boolean
  readonly say: (line: string) => void
}

/** One operation in one state, and how many steps it has. */
interface Case {
  readonly state: State
  readonly operation: Operation
  readonly steps: readonly string[]
}

export class Campaign {
  readonly #options: CampaignOptions
  readonly #ground: Ground
  readonly #quarries: Readonly<Record<FileSystem, Quarry>>
  readonly #random: () => number
  #table = new Table()
  #closed = false

  private constructor(options: CampaignOptions, ground: Ground) {
    const { workshop, builds } = ground
    this.#options = options
    this.#ground = ground
    this.#quarries = { ext4: new Quarry(workshop, builds, 'ext4'), xfs: new Quarry(workshop, builds, 'xfs') }
    this.#random = seeded(options.seed)
  }

  static async open(options: CampaignOptions): Promise<Campaign> {
    const workshop = await Workshop.open()
    return new Campaign(options, { workshop, builds: await publishBuilds(workshop) })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#ground.workshop.close()
  }

  /** What is known so far of the part in hand, for one who does not wait for the end. */
  soFar(): string {
    return this.#table.text()
  }

  /** @returns whether all held */
  async run(part: Part): Promise<boolean> {
    const { say } = this.#options
    const beganMs = performance.now()
    const table = new Table()
    this.#table = table
    switch (part) {
      case 'kill':
        await this.#kills(table)
        break
      case 'again':
        await this.#secondKills(table)
        break
      case 'puller':
        await this.#pullers(table)
        break
      case 'ext4':
      case 'xfs':
        await this.#cuts(table, part)
        break
      case 'errors':
        await this.#errors(table)
        break
    }
    // From the start of a process a loaded machine may need longer: there the time is told, not judged.
    const slow = part !== 'puller' && !this.#options.busy && table.slowestMs > RECOVERY_LIMIT_MS
    say(`\n### ${part}: ${Math.round((performance.now() - beganMs) / 1_000)} s\n\n${table.text()}`)
    for (const line of table.failures) say(`WRONG ${line}`)
    if (slow) say(`WRONG a recovery took ${Math.round(table.slowestMs)} ms`)
    return table.failures.length === 0 && !slow
  }

  async #case(kind: FileSystem, name: StateName, operationName: OperationName): Promise<Case> {
    const state = await this.#quarries[kind].state(name)
    const operation = await operationFor(this.#ground, state, operationName)
    return { state, operation, steps: await stepsOf(this.#ground, state, operation) }
  }

  /** Every n-th of so many, from 1 on. */
  #chosen(count: number): number[] {
    const { every } = this.#options
    const first = 1 + Math.floor(this.#random() * every)
    return Array.from(
      { length: Math.max(0, Math.ceil((count - first + 1) / every)) },
      (_, index) => first + index * every,
    )
  }

  /** In an order of the dice: one who stops half-way has seen something of everything. */
  async #inLanes(table: Table, work: readonly (() => Promise<Outcome>)[]): Promise<void> {
    const shuffled = work.map((run) => ({ run, key: this.#random() })).toSorted((a, b) => a.key - b.key)
    const left = shuffled.values()
    const lane = async (): Promise<void> => {
      for (const { run } of left) {
        if (this.#closed) return
        const outcome = await run()
        table.add(outcome)
        for (const line of outcome.wrong) this.#options.say(`WRONG ${line}`)
        if (table.points % 50 === 0)
          this.#options.say(`${table.points} of ${work.length} points, ${table.failures.length} wrong`)
      }
    }
    await Promise.all(Array.from({ length: this.#options.lanes }, lane))
  }

  /** A machine is slow at times; what is slow itself is slow each time. @returns the fastest recovery, and all that was wrong */
  async #steadily<it extends { recoveryMs: number; wrong: readonly string[] }>(
    attempt: () => Promise<it>,
  ): Promise<it> {
    let best = await attempt()
    for (let again = 0; again < 3 && !this.#options.busy && best.recoveryMs > RECOVERY_LIMIT_MS; again += 1) {
      const next = await attempt()
      best = { ...next, recoveryMs: Math.min(best.recoveryMs, next.recoveryMs), wrong: [...best.wrong, ...next.wrong] }
    }
    return best
  }

  async #kills(table: Table): Promise<void> {
    const work: (() => Promise<Outcome>)[] = []
    for (const [name, operationName] of MATRIX) {
      const { state, operation, steps } = await this.#case('ext4', name, operationName)
      for (const at of this.#chosen(steps.length)) {
        const step = steps[at - 1] ?? ''
        for (const how of /\bwrite$|\.pid$/.test(step) ? (['kill', 'tear'] as const) : (['kill'] as const)) {
          work.push(async () => {
            const point = { state, operation, at, how, again: null }
            const verdict = await this.#steadily(() => dieAt(this.#ground, point))
            return outcomeOf(labelOf(state, operation), `${how} at ${at} (${step})`, verdict)
          })
        }
      }
    }
    await this.#inLanes(table, work)
  }

  /** A death in the operation and one in the recovery from it, both where the dice fall. */
  async #secondKills(table: Table): Promise<void> {
    const pairs = Math.max(1, Math.round(PAIRS / this.#options.every))
    const work: (() => Promise<Outcome>)[] = []
    for (const [name, operationName] of MATRIX) {
      // A third death in one phase gives the order up, as it must (failures D6): no second and third one where the state begins with one.
      if (name === 'halfway' && operationName !== 'rollback') continue
      const { state, operation, steps } = await this.#case('ext4', name, operationName)
      for (let pair = 0; pair < pairs; pair += 1) {
        const at = 1 + Math.floor(this.#random() * steps.length)
        const again = 1 + Math.floor(this.#random() * steps.length)
        work.push(async () => {
          const point = { state, operation, at, how: 'kill' as const, again }
          const verdict = await this.#steadily(() => dieAt(this.#ground, point))
          return outcomeOf(labelOf(state, operation), `kill at ${at} (${steps[at - 1]}), then at ${again}`, verdict)
        })
      }
    }
    await this.#inLanes(table, work)
  }

  async #pullers(table: Table): Promise<void> {
    const lanes = await Promise.all(Array.from({ length: this.#options.lanes }, () => Daemons.open(this.#ground)))
    try {
      for (const [name, operationName] of PULLER_CASES) {
        const state = await this.#quarries.ext4.state(name)
        const operation = await operationFor(this.#ground, state, operationName)
        const steps = (await lanes[0]?.stepsOf(state, operation)) ?? []
        const left = this.#chosen(steps.length).values()
        const lane = async (daemons: Daemons): Promise<void> => {
          for (const at of left) {
            const verdict = await daemons.dieAt(state, operation, at)
            table.add(outcomeOf(labelOf(state, operation), `kill at ${at} (${steps[at - 1]})`, verdict))
          }
        }
        await Promise.all(lanes.map(lane))
        this.#options.say(
          `${labelOf(state, operation)} is done: ${table.points} points, ${table.failures.length} wrong`,
        )
      }
    } finally {
      await Promise.all(lanes.map((daemons) => daemons.close()))
    }
  }

  async #cuts(table: Table, kind: FileSystem): Promise<void> {
    const left = POWER_CASES.values()
    const lane = async (): Promise<void> => {
      for (const [name, operationName] of left) {
        const { state, operation, steps } = await this.#case(kind, name, operationName)
        const chosen = new Set(this.#chosen(steps.length))
        await cutPower(
          this.#ground,
          state,
          operation,
          (_step, at) => chosen.has(at),
          ({ at, step, recoveryMs, wrong }) =>
            table.add(outcomeOf(labelOf(state, operation), `power cut at ${at} (${step})`, { recoveryMs, wrong })),
          (look) => this.#steadily(look),
        )
        this.#options.say(
          `${labelOf(state, operation)} is done: ${table.points} points, ${table.failures.length} wrong`,
        )
      }
    }
    await Promise.all(Array.from({ length: this.#options.lanes }, lane))
  }

  async #errors(table: Table): Promise<void> {
    const work: (() => Promise<Outcome>)[] = []
    for (const [name, operationName] of ERROR_CASES) {
      const { state, operation, steps } = await this.#case('ext4', name, operationName)
      for (const lasts of ['once', 'for ever'] as const) {
        for (const error of Object.keys(DISK_ERRORS) as DiskError[]) {
          const label = `${labelOf(state, operation)} | ${error} ${lasts}`
          for (const at of this.#chosen(steps.length)) {
            work.push(async () => {
              const { outcome, wrong } = await failAt(this.#ground, { state, operation, at, error, lasts })
              const counts = { [outcome === 'through' ? 'through by itself' : 'told its code']: 1 }
              const words = wrong.map((text) => `${label} at ${at} (${steps[at - 1]}): ${text}`)
              return {
                label,
                counts: { ...counts, converged: Number(wrong.length === 0) },
                recoveryMs: 0,
                wrong: words,
              }
            })
          }
        }
      }
    }
    await this.#inLanes(table, work)
  }
}
