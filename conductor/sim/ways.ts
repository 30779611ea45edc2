// Owns how a message fares between a node or a conductor and Consul: how long it takes, and whether it arrives.
import type { Fate } from './desk.ts'
import type { Dice } from './dice.ts'
import type { Fault } from './faults.ts'

export interface Way {
  readonly ms: number
  readonly lost: boolean
  /** It may come before an earlier one. */
  readonly mayOvertake: boolean
}

export class Ways {
  readonly #dice: Dice
  readonly #has: (fault: Fault) => boolean

  /** @param has whether a fault may happen now */
  constructor(dice: Dice, has: (fault: Fault) => boolean) {
    this.#dice = dice
    this.#has = has
  }

  order(): Way {
    return this.#way(300)
  }

  status(): Way {
    return this.#way(50)
  }

  #way(usualMs: number): Way {
    const late = this.#has('late') && this.#dice.chance(0.25)
    const ms = late ? this.#dice.between(500, 30_000) : this.#dice.between(2, usualMs)
    const lost = this.#has('lost') && this.#dice.chance(0.05)
    return { ms, lost, mayOvertake: this.#has('reordered') && this.#dice.chance(0.2) }
  }

  /** What becomes of a transaction of a conductor. */
  write(): Fate {
    const roll = this.#dice.next()
    if (this.#has('crash-conductor')) {
      if (roll < 0.06) return 'diesBefore'
      if (roll < 0.12) return 'diesAfter'
      if (roll < 0.15) return 'replyLost'
      if (roll < 0.18) return 'requestLost'
    }
    return this.#has('lease') && roll >= 0.9 ? 'frozen' : 'arrives'
  }
}
