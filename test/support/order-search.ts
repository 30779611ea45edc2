// Owns the search: a node under every delivery of every history, with the production rules, held to the letter of the protocol.
import type { BuildId } from '#fleet/build.ts'
import {
  type admit,
  NO_RATCHET,
  type OrderMark,
  place,
  type Ratchet,
  type Target,
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
  letterOf,
  manifestOf,
  NODES,
  type NodeName,
  RING,
  SETTLED,
} from './order-model.ts'

/** The production functions under search, or a mutant of one. */
export interface Rules {
  readonly wants: typeof wants
  readonly admit: typeof admit
  readonly targetOfBare: typeof targetOfBare
}

/** A node as far as orders go. What survives a restart is all there is: `known` is the order in its journal. */
interface Node {
  readonly hot: BuildId | null
  readonly cold: BuildId | null
  /** Swapped, and not yet proved healthy: the attempt that this is. Null at rest. */
  readonly verifying: number | null
  readonly ratchet: Ratchet
  /** Position in the history of the order in force, null before the first. */
  readonly known: number | null
  /** The generation that a bare order got when it was accepted. */
  readonly generation: number
  /** Highest position that it has seen: a read that is not stale never shows an older one. */
  readonly seen: number
  /** `build attempt` of everything that failed here. */
  readonly refused: readonly string[]
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
  readonly failedVerifies: number
  readonly broken: readonly string[]
}

/** A search that found so much ends. */
const ENOUGH = 5

class Search {
  readonly #rules: Rules
  readonly #bounds: Bounds
  readonly #name: NodeName
  readonly #places = new Map<string, number>()
  readonly broken: string[] = []
  histories = 0
  states = 0
  deliveries = 0
  swaps = 0
  failedVerifies = 0

  constructor(rules: Rules, bounds: Bounds, name: NodeName) {
    this.#rules = rules
    this.#bounds = bounds
    this.#name = name
  }

  /** Every state that `starts` can reach under this history, then the same for every history that goes on from it. */
  explore(history: History, starts: readonly Node[]): void {
    if (this.broken.length >= ENOUGH) return
    this.histories += 1
    const reached = this.#close(history, starts)
    this.states += reached.length
    if (history.entries.length - 1 >= this.#bounds.writes) return
    const next = [
      ...conductorWrites(history, this.#bounds.breadth),
      ...(history.byHand < this.#bounds.byHand ? handWrites(history) : []),
    ]
    for (const longer of next) this.explore(longer, reached)
  }

  #close(history: History, starts: readonly Node[]): readonly Node[] {
    const reached = new Map<string, Node>()
    const open: Node[] = [...starts]
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const key = keyOf(node)
      if (reached.has(key)) continue
      reached.set(key, node)
      this.#checkRest(history, node)
      open.push(...this.#deliver(history, node), ...this.#act(history, node))
    }
    return [...reached.values()]
  }

  /** Late, early, twice, stale or fresh: any value that ever stood there. A fresh read is never older than what was seen. */
  #deliver(history: History, node: Node): readonly Node[] {
    const latest = history.entries.length - 1
    const next: Node[] = []
    for (let at = 0; at <= latest; at += 1) {
      next.push(this.#read(history, node, at, true))
      if (at >= Math.max(node.seen, history.rebuiltAt)) next.push(this.#read(history, node, at, false))
    }
    return next.filter((one) => one !== node)
  }

  #read(history: History, node: Node, at: number, stale: boolean): Node {
    const entry = history.entries[at]
    if (entry === undefined) return node
    this.deliveries += 1
    const { verdict, ratchet } = admission(this.#rules, node, entry, stale)
    // What a stale read cannot settle is read again, from the leader, who knows the newest.
    if (verdict === 'confirm') return stale ? this.#read(history, node, history.entries.length - 1, false) : node
    const seen = Math.max(node.seen, at)
    const newer = entry.rank > (node.known === null ? 0 : (history.entries[node.known]?.rank ?? 0))
    if (verdict !== 'accept') {
      if (newer) this.#report(history, node, `does not take the newer order ${words(entry)}: ${verdict}`)
      return { ...node, seen }
    }
    const unheard = entry.putBack && node.ratchet.generation < entry.generation
    if (!newer && !unheard) this.#report(history, node, `goes back to the older order ${words(entry)}`)
    if (ratchet.generation < node.ratchet.generation) this.#report(history, node, 'lets its ratchet fall')
    return { ...node, seen, ratchet, known: at, generation: ratchet.generation }
  }

  #target(history: History, node: Node): { target: Target; entry: Entry } | null {
    const entry = node.known === null ? undefined : history.entries[node.known]
    if (entry === undefined) return null
    if (entry.order.kind === 'record') return { target: entry.order.target, entry }
    const { bare } = entry.order
    const manifest = manifestOf(bare.build)
    const context = { app: APP, ring: RING, generation: node.generation, manifest, at: '' }
    return { target: this.#rules.targetOfBare(bare, context), entry }
  }

  #place(salt: string): number {
    const known = this.#places.get(salt)
    if (known !== undefined) return known
    const at = place(salt, this.#name)
    this.#places.set(salt, at)
    return at
  }

  /** What the node may do next because of its order: one step, or none. */
  #act(history: History, node: Node): readonly Node[] {
    const order = this.#target(history, node)
    if (order === null) return []
    const { target, entry } = order
    const want = this.#rules.wants(target, this.#place(target.salt), node.hot)
    if (node.verifying !== null) return this.#verify(history, node, node.verifying, want.hot)
    const refuses = (build: BuildId) => node.refused.includes(refusal(build, target.attempt))
    if (want.hot !== null && want.hot !== node.hot && !refuses(want.hot)) {
      if (node.cold !== want.hot) return [this.#stage(history, node, entry, want.hot)]
      return [this.#swap(history, node, entry, want.hot, target.attempt)]
    }
    if (want.cold !== null && want.cold !== node.cold && want.cold !== node.hot) {
      return [this.#stage(history, node, entry, want.cold)]
    }
    return []
  }

  #stage(history: History, node: Node, entry: Entry, build: BuildId): Node {
    if (!letterOf(entry, this.#name).mayStage.includes(build)) {
      this.#report(history, node, `stages ${build}, which ${words(entry)} does not ask of it`)
    }
    return { ...node, cold: build }
  }

  /** The one place where exposure begins. */
  #swap(history: History, node: Node, entry: Entry, build: BuildId, attempt: number): Node {
    this.swaps += 1
    if (!letterOf(entry, this.#name).mayStart.includes(build)) {
      this.#report(history, node, `starts ${build}, which ${words(entry)} does not name for it`)
    }
    return { ...node, hot: build, cold: node.hot, verifying: attempt }
  }

  /** Passes, fails, or is told otherwise meanwhile: then it goes back at once, and refuses nothing. */
  #verify(history: History, node: Node, attempt: number, wanted: BuildId | null): readonly Node[] {
    const proved = { ...node, verifying: null }
    if (node.hot === null) return [proved]
    const back = node.cold === null ? proved : { ...proved, hot: node.cold, cold: node.hot }
    if (wanted !== null && wanted !== node.hot) return [back]
    this.failedVerifies += 1
    const failed = refusal(node.hot, attempt)
    if (node.refused.includes(failed)) this.#report(history, node, `tries ${failed} again, which it refused`)
    return [proved, { ...back, refused: [...node.refused, failed].sort() }]
  }

  /** A node that has heard the newest order and has nothing left to do must run what that order lets it run. */
  #checkRest(history: History, node: Node): void {
    const latest = history.entries.at(-1)
    const known = node.known === null ? undefined : history.entries[node.known]
    if (latest === undefined || known === undefined || known.rank < latest.rank) return
    if (node.verifying !== null || this.#act(history, node).length > 0) return
    const letter = letterOf(known, this.#name)
    const attempt = known.order.kind === 'record' ? known.order.target.attempt : 1
    const refuses = letter.mayStay.some((build) => node.refused.includes(refusal(build, attempt)))
    if (letter.moves && !refuses && !letter.mayStay.some((build) => build === node.hot)) {
      this.#report(history, node, `rests on ${node.hot} under ${words(known)}`)
    }
  }

  #report(history: History, node: Node, what: string): void {
    if (this.broken.length >= ENOUGH) return
    const written = history.entries.map(words).join(' · ')
    this.broken.push(`${this.#name} ${what}; written: ${written}; node: ${keyOf(node)}`)
  }
}

function admission(rules: Rules, node: Node, entry: Entry, stale: boolean) {
  const { order, modifyIndex } = entry
  const mark: OrderMark =
    order.kind === 'record'
      ? { kind: 'record', generation: order.target.generation, modifyIndex, stale }
      : { kind: 'bare', generation: order.bare.generation, modifyIndex, stale }
  const admission = rules.admit(node.ratchet, mark)
  return { verdict: admission.verdict, ratchet: admission.verdict === 'accept' ? admission.ratchet : node.ratchet }
}

function refusal(build: BuildId, attempt: number): string {
  return `${build} attempt ${attempt}`
}

function keyOf(node: Node): string {
  const { ratchet } = node
  return `${node.hot}|${node.cold}|${node.verifying}|${ratchet.generation},${ratchet.modifyIndex}|${node.known}|${node.seen}|${node.refused}`
}

/** An order in a few letters, for a sentence about what went wrong. */
function words({ order, modifyIndex }: Entry): string {
  if (order.kind === 'bare') return `bare ${order.bare.build}@${order.bare.generation ?? ''} #${modifyIndex}`
  const { generation, build, fallback, cutoff, recall } = order.target
  return `g${generation} {${build}, ${fallback}, ${cutoff}${recall ? ', recall' : ''}} #${modifyIndex}`
}

/** A joiner has nothing; the others run A under the first order. */
function nodeOn(build: BuildId | null, history: History): Node {
  const first = history.entries[0]
  const rest = { cold: null, verifying: null, refused: [], seen: 0 }
  if (build === null || first === undefined) {
    return { ...rest, hot: null, ratchet: NO_RATCHET, known: null, generation: -1 }
  }
  const ratchet = { generation: first.generation, modifyIndex: first.modifyIndex }
  return { ...rest, hot: build, ratchet, known: 0, generation: first.generation }
}

/**
 * Searches three nodes that run A, three that join with nothing, and three of a ring that was made just now. Each node alone against
 * every history: nodes never speak to each other, and the writers here heed nobody's status, so this is every state of three together,
 * under any late or reordered status, taken apart.
 */
export function searchOrders(rules: Rules, bounds: Bounds): Findings {
  const starts = [
    [SETTLED, A],
    [SETTLED, null],
    [FRESH, null],
  ] as const
  const total = { histories: 0, states: 0, deliveries: 0, swaps: 0, failedVerifies: 0 }
  const broken: string[] = []
  for (const name of NODES) {
    for (const [history, build] of starts) {
      const search = new Search(rules, bounds, name)
      search.explore(history, [nodeOn(build, history)])
      for (const count of Object.keys(total) as (keyof typeof total)[]) total[count] += search[count]
      broken.push(...search.broken)
      if (broken.length >= ENOUGH) return { ...total, broken }
    }
  }
  return { ...total, broken }
}
