// Owns what lies on a simulated node's disk: two trees, which of them is hot, and what a start finds there.
import type { ColdTree, Held } from '#puller/core/state.ts'
import { same } from '#puller/core/state.ts'
import { otherTree, type SealedTree, type Survey, type TreeName } from '#puller/core/trees.ts'

export class Disk {
  #sealed: Record<TreeName, Held | null>
  #hotTree: TreeName | null
  #armed: boolean

  constructor(hot: Held | null, cold: Held | null) {
    this.#sealed = { a: hot, b: cold }
    this.#hotTree = hot === null ? null : 'a'
    this.#armed = cold !== null
  }

  get #coldTree(): TreeName {
    return this.#hotTree === null ? 'a' : otherTree(this.#hotTree)
  }

  get hot(): Held | null {
    return this.#hotTree === null ? null : this.#sealed[this.#hotTree]
  }

  get cold(): Held | null {
    return this.#sealed[this.#coldTree]
  }

  get coldTree(): TreeName {
    return this.#coldTree
  }

  /** Cold is this build already: it needs a sweep at most. */
  holds(held: Held): boolean {
    return same(this.cold, held)
  }

  spare(): ColdTree | null {
    const { cold } = this
    return cold && { ...cold, armed: this.#armed, ready: this.#armed, drift: [] }
  }

  unseal(): void {
    this.#sealed = { ...this.#sealed, [this.#coldTree]: null }
    this.#armed = false
  }

  seal(held: Held): void {
    this.#sealed = { ...this.#sealed, [this.#coldTree]: held }
    this.#armed = true
  }

  swap(): void {
    this.#hotTree = this.#coldTree
    this.#armed = false
  }

  survey(): Survey {
    const tree = (name: TreeName): SealedTree | null => {
      const held = this.#sealed[name]
      return held && { tree: name, build: held.build, manifest: held.manifest }
    }
    const sealed = { a: tree('a'), b: tree('b') }
    const [hotTree, coldTree] = [this.#hotTree, this.#coldTree]
    const hot = hotTree === null ? null : sealed[hotTree]
    return { hot, hotFault: null, hotTree, cold: sealed[coldTree], coldTree, armed: this.#armed, unclean: true, sealed }
  }
}
