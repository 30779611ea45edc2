// Owns what people want of a simulated fleet: one build after the other, again where it was refused, and when it is over.
import type { BuildId } from '#fleet/build.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { Dice } from './dice.ts'
import { BUILDS } from './names.ts'

export interface Wish {
  readonly id: string
  readonly build: BuildId
  readonly adopt: boolean
  readonly retry: boolean
}

/** Tries after which a wish is given up: what stands in the way needs another story. */
const MAX_TRIES = 20

export class Story {
  readonly #dice: Dice
  readonly #releases: number
  #begun = 0
  #tries = 0
  #adopt = false
  #retry = false
  #build: BuildId | undefined

  constructor(releases: number, dice: Dice) {
    this.#releases = releases
    this.#dice = dice
    this.#build = BUILDS[2]
  }

  get finished(): boolean {
    return this.#begun >= this.#releases
  }

  next(): Wish | null {
    if (this.finished || this.#build === undefined) return null
    return { id: `r-${this.#begun + 1}`, build: this.#build, adopt: this.#adopt, retry: this.#retry }
  }

  /** What a person does about it. */
  refused(why: string): void {
    this.#tries += 1
    if (why === 'ORPHAN_WRITE') this.#adopt = true
    if (why === 'BUILD_QUARANTINED') this.#retry = true
    if (why === 'already' || this.#tries > MAX_TRIES) this.#turn()
  }

  /** A rollout was begun, whether its driver lives to hear of it or not. */
  began({ id }: Rollout): void {
    if (id === `r-${this.#begun + 1}`) this.#turn()
  }

  /** Another build next, or the same one once more. */
  #turn(): void {
    this.#begun += 1
    this.#tries = 0
    this.#adopt = false
    this.#retry = false
    this.#build = this.#dice.pick([BUILDS[2], BUILDS[3], BUILDS[3], BUILDS[1]])
  }
}
