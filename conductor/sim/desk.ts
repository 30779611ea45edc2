// Owns a simulated conductor's ports: the ones in memory, behind a network that is slow, loses replies, and a process that may die there.
import { memoryBoard } from '#adapters/memory/board.ts'
import { memoryLedger } from '#adapters/memory/ledger.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Lease, Ledger, LedgerView, StatusBoard } from '#fleet/ports.ts'
import type { Written } from './checks.ts'
import { APP } from './names.ts'
import type { Process } from './timeline.ts'
import type { World } from './world.ts'

/** What becomes of one transaction. */
export type Fate =
  | 'arrives'
  | 'diesBefore'
  | 'diesAfter'
  | 'replyLost'
  | 'requestLost'
  /** The process stands still with the write in hand for longer than its session lives. */
  | 'frozen'

const NEVER = new AbortController().signal

/** A lease whose holder hears of its loss from nobody but the transaction. */
export function deafLease({ session }: Lease): Lease {
  return { session, lost: NEVER, [Symbol.asyncDispose]: async () => undefined }
}

export class Desk {
  readonly ledger: Ledger
  readonly board: StatusBoard
  /** What is about to be written, for the checks. */
  pending: Written | null = null
  readonly #world: World
  readonly #process: Process
  readonly #inner: Ledger
  readonly #dies: () => void

  /** @param dies told before the process dies here */
  constructor(world: World, process: Process, dies: () => void) {
    this.#world = world
    this.#process = process
    this.#dies = dies
    const { records, keys, clock } = world
    const holder = () => records.get(keys.lease)?.session ?? null
    this.#inner = world.rules.ledger(memoryLedger(records, { app: APP, clock }), holder)
    this.board = memoryBoard(world.records, { app: APP })
    this.ledger = {
      ...this.#inner,
      view: (rings, signal) => this.#view(rings, signal),
      commit: (...change) => this.#commit(...change),
    }
  }

  /** Between the rosters and the orders, time passes too. */
  async #view(rings: readonly Name[], signal: AbortSignal): Promise<LedgerView> {
    await this.#process.sleep(this.#world.dice.between(1, 10))
    return this.#inner.view(rings, signal)
  }

  async #commit(...[lease, seen, change, signal]: Parameters<Ledger['commit']>): Promise<void> {
    const { records, keys, dice, ways, report } = this.#world
    const fate = ways.write()
    if (fate === 'diesBefore') return this.#end()
    if (fate === 'frozen') this.#world.freezes(lease.session)
    await this.#process.sleep(fate === 'frozen' ? dice.between(5_000, 60_000) : dice.between(1, 20))
    if (fate === 'requestLost') throw new FleetError('CONSUL_STALLED', 'the request got lost')
    const holder = records.get(keys.lease)?.session ?? null
    await this.#inner.commit(lease, seen, change, signal)
    if (holder !== lease.session)
      report('fence', `a conductor writes under ${lease.session}, ${holder} holds the lease`)
    if (this.pending !== null) this.#world.wrote(this.pending)
    if (fate === 'diesAfter') return this.#end()
    if (fate === 'replyLost') throw new FleetError('CONSUL_STALLED', 'the reply got lost')
    await this.#process.sleep(dice.between(1, 20))
  }

  #end(): Promise<never> {
    this.#dies()
    return this.#process.die()
  }
}
