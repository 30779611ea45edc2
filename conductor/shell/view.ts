// Owns a daemon's view of its app: kept by listening, handed out from memory while it is fresh, and honest about its age.

import type { Name } from '#fleet/build.ts'
import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Catalog, CatalogEntry, Clock, Ledger, LedgerView, Locks, Logger, StatusBoard } from '#fleet/ports.ts'
import type { RosterNode } from '#fleet/roster.ts'
import type { Stirred, Stirs } from '#fleet/stir-ports.ts'
import { type Freshness, Freshnesses } from './freshness.ts'
import { Signal } from './signal.ts'

export interface ViewPorts {
  readonly ledger: Ledger
  readonly board: StatusBoard
  readonly locks: Locks
  readonly catalog: Catalog
}

interface Seen {
  readonly ledger: LedgerView
  readonly lease: Awaited<ReturnType<Locks['holder']>>
  readonly builds: readonly CatalogEntry[]
}

/** Changes that come together are read together. */
const GATHER_MS = 40
/** Looked at again though nothing was heard: a holder's session may end without a write of the key that we hear of. */
const TICK_MS = 5_000
const TRY_AGAIN_MS = 500
/** A refused token is not cured by asking. */
const REFUSED_MS = 10_000

/** Listens from `run` on. */
export class View {
  /** Rises with every change. */
  version = 0
  readonly changed = new Signal()
  /** Something beside the nodes was written. */
  readonly stirred = new Signal()
  readonly #ports: ViewPorts
  readonly #stirs: Stirs
  readonly #rings: readonly Name[]
  readonly #clock: Clock
  readonly #log: Logger
  readonly #rosters = new Map<Name, readonly RosterNode[]>()
  readonly #heard: Freshnesses
  readonly #dirty = new Set<Stirred>()
  #seen: Seen | null = null

  constructor(
    ports: ViewPorts,
    of: { readonly stirs: Stirs; readonly rings: readonly Name[]; readonly clock: Clock; readonly log: Logger },
  ) {
    this.#ports = ports
    this.#stirs = of.stirs
    this.#rings = of.rings
    this.#clock = of.clock
    this.#log = of.log
    const parts = ['orders', 'rollout', 'hold', 'lease', 'requests', 'builds', 'reading']
    this.#heard = new Freshnesses(of.clock, [...parts, ...of.rings.map((ring) => `nodes of ${ring}`)])
  }

  /** What becomes of the board's watches is told here. */
  readonly onRoster = (ring: Name, error: Error | null): void => {
    if (error === null) this.#heard.answered(`nodes of ${ring}`)
    else this.#heard.troubled(`nodes of ${ring}`, describeError(error))
  }

  /** How old the oldest part of it may be, and what keeps it from being younger. */
  freshness(): Freshness {
    return this.#heard.look()
  }

  /** Listens until the signal aborts. */
  async run(signal: AbortSignal, onTurn: () => void = () => undefined): Promise<void> {
    const ears = {
      stirred: (what: Stirred) => {
        this.#dirty.add(what)
        this.stirred.ring()
      },
      answered: (what: Stirred) => this.#heard.answered(what),
      troubled: (what: Stirred, error: Error) => this.#heard.troubled(what, describeError(error)),
    }
    await Promise.all([
      this.#stirs.follow(this.#rings, ears, signal),
      ...this.#rings.map((ring) => this.#hearNodes(ring, signal)),
      this.#read(signal, onTurn),
    ])
  }

  async #hearNodes(ring: Name, signal: AbortSignal): Promise<void> {
    for await (const roster of this.#ports.board.changes(ring, signal)) {
      this.#rosters.set(ring, roster)
      this.#change()
    }
  }

  #change(): void {
    this.version += 1
    this.changed.ring()
  }

  async #read(signal: AbortSignal, onTurn: () => void): Promise<void> {
    while (!signal.aborted) {
      onTurn()
      const parts = [...this.#dirty]
      this.#dirty.clear()
      try {
        await this.#look(parts, signal)
        this.#heard.answered('reading')
        if (this.#dirty.size === 0) await this.stirred.wait(this.#clock, TICK_MS, signal)
        await this.#clock.sleep(GATHER_MS, signal)
      } catch (error) {
        if (signal.aborted) return
        if (!isFleetError(error)) throw error
        for (const part of parts) this.#dirty.add(part)
        this.#heard.troubled('reading', describeError(error))
        this.#log.debug('the view was not read', { code: error.code, error: error.message })
        const waitMs = (error.kind === 'refused' ? REFUSED_MS : TRY_AGAIN_MS) * (0.5 + this.#clock.random())
        await this.#clock.sleep(waitMs, signal).catch(() => undefined)
      }
    }
  }

  async #look(parts: readonly Stirred[], signal: AbortSignal): Promise<void> {
    const { ledger, locks, catalog } = this.#ports
    const before = this.#seen
    const [view, lease, builds] = await Promise.all([
      ledger.view(this.#rings, signal),
      locks.holder(signal),
      before === null || parts.includes('builds') ? catalog.list(signal) : before.builds,
    ])
    this.#seen = { ledger: view, lease, builds }
    if (before === null || parts.length > 0 || lease?.session !== before.lease?.session) this.#change()
  }

  /** The ledger as it was seen last; null before the first look. */
  get ledger(): LedgerView | null {
    return this.#seen?.ledger ?? null
  }

  /** Nothing that reads through these asks Consul while the view is fresh. What writes goes through as it is. */
  get ports(): ViewPorts {
    const real = this.#ports
    const fresh = <value>(value: value | null | undefined): value | null =>
      this.freshness().fresh ? (value ?? null) : null
    const knows = (rings: readonly Name[]) => rings.every((ring) => this.#rings.includes(ring))
    return {
      board: this.board,
      ledger: {
        ...real.ledger,
        view: async (rings, signal) =>
          (knows(rings) ? fresh(this.#seen?.ledger) : null) ?? real.ledger.view(rings, signal),
      },
      locks: {
        ...real.locks,
        holder: async (signal) => {
          const seen = fresh(this.#seen)
          return seen === null ? real.locks.holder(signal) : seen.lease
        },
      },
      catalog: { ...real.catalog, list: async (signal) => fresh(this.#seen?.builds) ?? real.catalog.list(signal) },
    }
  }

  /** Rosters from memory while they are fresh; of a ring that is not listened to, from Consul. */
  get board(): StatusBoard {
    const { board } = this.#ports
    const isFresh = (ring: Name) => this.#heard.isFresh(`nodes of ${ring}`)
    const changed = this.changed
    const [rosters, clock] = [this.#rosters, this.#clock]
    return {
      roster: async (ring, signal) => (isFresh(ring) ? rosters.get(ring) : undefined) ?? board.roster(ring, signal),
      changes: (ring, signal) =>
        this.#rings.includes(ring)
          ? changesOf(() => rosters.get(ring), changed, clock, signal)
          : board.changes(ring, signal),
    }
  }
}

async function* changesOf(
  now: () => readonly RosterNode[] | undefined,
  changed: Signal,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<readonly RosterNode[]> {
  let last: readonly RosterNode[] | undefined
  while (!signal.aborted) {
    const roster = now()
    if (roster !== undefined && roster !== last) {
      last = roster
      yield roster
    } else await changed.wait(clock, TICK_MS, signal).catch(() => undefined)
  }
}
