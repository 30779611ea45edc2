// Owns chance in a simulation: one stream of numbers from one seed, so that every run can be had again.

/** A small fast generator of 32 bits (sfc32): good enough to try histories with, and the same on every machine. */
export class Dice {
  #a: number
  #b = 0x9e3779b9
  #c = 0x243f6a88
  #d = 1

  constructor(seed: number) {
    this.#a = seed >>> 0
    this.#b ^= Math.floor(seed / 2 ** 32)
    for (let i = 0; i < 12; i += 1) this.next()
  }

  /** Uniform in [0, 1). */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** One of them; undefined of none. */
  pick<item>(items: readonly item[]): item | undefined {
    return items[Math.floor(this.next() * items.length)]
  }

  /** `count` different ones of them, in the order of the draw. */
  some<item>(items: readonly item[], count: number): readonly item[] {
    const left = [...items]
    const drawn: item[] = []
    while (drawn.length < count && left.length > 0) {
      drawn.push(...left.splice(Math.floor(this.next() * left.length), 1))
    }
    return drawn
  }
}
