// Owns the search: a node under every delivery of every history, with the production rules, held to the letter of the protocol.
import type { BuildId } from '#fleet/build.ts'
import {
  type admit,
  NO_RATCHET,
  type OrderMark,
  place,
  type Ratchet,
  type targetOfBare,
  type wants,
} from '#fleet/target.ts'
import {
  A,
  APP,
  type Breadth,
  conductorWrites,
  type Entry,
  FRESH,
  type History,
  handWrites,
  letterFor,
  manifestOf,
  NODES,
  type NodeName,
  RING,
  SETTLED,
} from './order-model.ts'
import { type Deed, type NodeKind, type Ordered, plainNode } from './order-node.ts'

/** The production functions under search, or a mutant of one. */
export interface Rules {
  readonly wants: typeof wants
  readonly admit: typeof admit
  readonly targetOfBare: typeof targetOfBare
}

/** A node and what it knows of the key. What survives a restart is all there is. */
interface Reader<node> {
  readonly node: node
  readonly ratchet: Ratchet
  /** Position in the history of the order in force, null before the first. */
  readonly known: number | null
  /** Highest position that it has seen: a read that is not stale never shows an older one. */
  readonly seen: number
}

export interface Bounds {
  /** Writes after the first. */
  readonly writes: number
  /** How many of them by hand. */
  readonly byHand: number
  readonly breadth: Breadth
}

/** What was seen; `broken` holds the first few sentences about what must never be. */
export interface Findings {
  readonly histories: number
  readonly states: number
  readonly deliveries: number
  readonly swaps: number
  readonly broken: readonly string[]
}

/** A search that found so much ends. */
const ENOUGH = 5

class Search<node> {
  readonly #rules: Rules
  readonly #bounds: Bounds
  readonly #name: NodeName
  readonly #kind: NodeKind<node>
  readonly #places = new Map<string, number>()
  readonly broken: string[] = []
  histories = 0
  states = 0
  deliveries = 0
  swaps = 0

  constructor(rules: Rules, bounds: Bounds, name: NodeName, kind: NodeKind<node>) {
    this.#rules = rules
    this.#bounds = bounds
    this.#name = name
    this.#kind = kind
  }

  /** A joiner has nothing; the others run a build under the first order. */
  begin(history: History, hot: BuildId | null): void {
    const node = this.#kind.begin(hot)
    const start = { node, ratchet: NO_RATCHET, known: null, seen: 0 }
    this.#explore(history, [hot === null ? start : this.#read(history, start, 0, false)])
  }

  /** Every state that `starts` can reach under this history, then the same for every history that goes on from it. */
  #explore(history: History, starts: readonly Reader<node>[]): void {
    if (this.broken.length >= ENOUGH) return
    this.histories += 1
    const reached = this.#close(history, starts)
    this.states += reached.length
    const { writes, byHand, breadth } = this.#bounds
    if (history.entries.length - 1 >= writes) return
    const next = [...conductorWrites(history, breadth), ...(history.byHand < byHand ? handWrites(history) : [])]
    for (const longer of next) this.#explore(longer, reached)
  }

  #close(history: History, starts: readonly Reader<node>[]): readonly Reader<node>[] {
    const reached = new Map<string, Reader<node>>()
    const open: Reader<node>[] = [...starts]
    for (let reader = open.pop(); reader !== undefined; reader = open.pop()) {
      const key = this.#key(reader)
      if (reached.has(key)) continue
      reached.set(key, reader)
      open.push(...this.#deliver(history, reader), ...this.#act(history, reader))
    }
    return [...reached.values()]
  }

  #key({ node, ratchet, known, seen }: Reader<node>): string {
    return `${this.#kind.key(node)}|${ratchet.generation},${ratchet.modifyIndex}|${known}|${seen}`
  }

  /** Late, early, twice, stale or fresh: any value that ever stood there. A fresh read is never older than what was seen. */
  #deliver(history: History, reader: Reader<node>): readonly Reader<node>[] {
    const next: Reader<node>[] = []
    for (const [at, { order, modifyIndex }] of history.entries.entries()) {
      next.push(this.#read(history, reader, at, true))
      // A record is read the same either way, unless something of a higher index is in force.
      const differs = order.kind === 'bare' || modifyIndex < reader.ratchet.modifyIndex
      if (differs && at >= Math.max(reader.seen, history.rebuiltAt)) next.push(this.#read(history, reader, at, false))
    }
    return next.filter((one) => one !== reader)
  }

  #read(history: History, reader: Reader<node>, at: number, stale: boolean): Reader<node> {
    const entry = history.entries[at]
    if (entry === undefined) return reader
    this.deliveries += 1
    const admission = this.#rules.admit(reader.ratchet, markOf(entry, stale))
    // What a stale read cannot settle is read again, from the leader, who knows the newest.
    if (admission.verdict === 'confirm')
      return stale ? this.#read(history, reader, history.entries.length - 1, false) : reader
    const seen = Math.max(reader.seen, at)
    const newer = entry.rank > (reader.known === null ? 0 : (history.entries[reader.known]?.rank ?? 0))
    if (admission.verdict !== 'accept') {
      if (newer) this.#report(history, reader, `does not take the newer order ${words(entry)}: ${admission.verdict}`)
      return seen === reader.seen ? reader : { ...reader, seen }
    }
    const { ratchet } = admission
    const unheard = entry.putBack && reader.ratchet.generation < entry.generation
    if (!newer && !unheard) this.#report(history, reader, `goes back to the older order ${words(entry)}`)
    if (ratchet.generation < reader.ratchet.generation) this.#report(history, reader, 'lets its ratchet fall')
    const accepted = { ...reader, seen, ratchet, known: at }
    return this.#book(history, accepted, entry, this.#kind.obey(reader.node, this.#ordered(entry, ratchet)))
  }

  #ordered(entry: Entry, ratchet: Ratchet): Ordered {
    const { order, modifyIndex } = entry
    const target =
      order.kind === 'record'
        ? order.target
        : this.#rules.targetOfBare(order.bare, {
            app: APP,
            ring: RING,
            generation: ratchet.generation,
            manifest: manifestOf(order.bare.build),
            at: '',
          })
    return { target, place: this.#place(target.salt), modifyIndex, bare: order.kind === 'bare' }
  }

  #place(salt: string): number {
    const known = this.#places.get(salt)
    if (known !== undefined) return known
    const at = place(salt, this.#name)
    this.#places.set(salt, at)
    return at
  }

  /** What the node may do next because of its order; a node that can do nothing more must be where the order wants it. */
  #act(history: History, reader: Reader<node>): readonly Reader<node>[] {
    const entry = reader.known === null ? undefined : history.entries[reader.known]
    if (entry === undefined) return []
    const order = this.#ordered(entry, reader.ratchet)
    const deeds = this.#kind.deeds(reader.node, order)
    if (deeds.length === 0) this.#checkRest(history, reader, entry, order)
    return [...deeds, ...this.#kind.crashes(reader.node)].map((deed) => this.#book(history, reader, entry, deed))
  }

  /** The one place where exposure begins: every deed is held to what the order in force says to this node. */
  #book(history: History, reader: Reader<node>, entry: Entry, deed: Deed<node>): Reader<node> {
    const { stages, starts, node } = deed
    const letter = letterFor(entry, this.#name)
    if (stages !== null && !letter.mayStage.includes(stages)) {
      this.#report(history, reader, `stages ${stages}, which ${words(entry)} does not ask of it`)
    }
    if (starts !== null) this.swaps += 1
    if (starts !== null && !letter.mayStart.includes(starts)) {
      this.#report(history, reader, `starts ${starts}, which ${words(entry)} does not name for it`)
    }
    return { ...reader, node }
  }

  #checkRest(history: History, reader: Reader<node>, entry: Entry, order: Ordered): void {
    const newest = Math.max(...history.entries.map((one) => one.rank))
    if (entry.rank < newest) return
    const { moves, mayStay } = letterFor(entry, this.#name)
    const hot = this.#kind.hot(reader.node)
    if (!moves || mayStay.some((build) => build === hot || this.#kind.declines(reader.node, build, order.target)))
      return
    this.#report(history, reader, `rests on ${hot} under ${words(entry)}`)
  }

  #report(history: History, reader: Reader<node>, what: string): void {
    if (this.broken.length >= ENOUGH) return
    const written = history.entries.map(words).join(' · ')
    this.broken.push(`${this.#name} ${what}; written: ${written}; node: ${this.#key(reader)}`)
  }
}

function markOf({ order, modifyIndex }: Entry, stale: boolean): OrderMark {
  return order.kind === 'record'
    ? { kind: 'record', generation: order.target.generation, modifyIndex, stale }
    : { kind: 'bare', generation: order.bare.generation, modifyIndex, stale }
}

/** An order in a few letters, for a sentence about what went wrong. */
function words({ order, modifyIndex }: Entry): string {
  if (order.kind === 'bare') return `bare ${order.bare.build}@${order.bare.generation ?? ''} #${modifyIndex}`
  const { generation, build, fallback, cutoff, recall } = order.target
  return `g${generation} {${build}, ${fallback}, ${cutoff}${recall ? ', recall' : ''}} #${modifyIndex}`
}

/**
 * Searches three nodes that run A, three that join with nothing, and three of a ring that was made just now. Each node alone against
 * every history: nodes never speak to each other, and the writers here heed nobody's status, so this is every state of three together,
 * under any late or reordered status, taken apart.
 */
export function searchOrders(rules: Rules, bounds: Bounds): Findings {
  return searchWith(plainNode(rules.wants), rules, bounds)
}

/** The same for another kind of node. */
export function searchWith<node>(kind: NodeKind<node>, rules: Rules, bounds: Bounds): Findings {
  const starts = [
    [SETTLED, A],
    [SETTLED, null],
    [FRESH, null],
  ] as const
  const total = { histories: 0, states: 0, deliveries: 0, swaps: 0 }
  const broken: string[] = []
  for (const name of NODES) {
    for (const [history, hot] of starts) {
      const search = new Search(rules, bounds, name, kind)
      search.begin(history, hot)
      for (const count of Object.keys(total) as (keyof typeof total)[]) total[count] += search[count]
      broken.push(...search.broken)
      if (broken.length >= ENOUGH) return { ...total, broken }
    }
  }
  return { ...total, broken }
}
