// Owns chance in benches: the same seed, the same choices.

/** Uniform in [0, 1). */
export type Random = () => number

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A whole number from 0 to `below` - 1. */
export function pick(random: Random, below: number): number {
  return Math.floor(random() * below)
}

/** So many different ones of the list, each as likely as any other. */
export function choose<item>(random: Random, list: readonly item[], count: number): item[] {
  const left = [...list]
  const chosen: item[] = []
  while (chosen.length < count && left.length > 0) {
    const at = pick(random, left.length)
    const last = left.pop() as item
    if (at === left.length) chosen.push(last)
    else {
      chosen.push(left[at] as item)
      left[at] = last
    }
  }
  return chosen
}

/** Normally distributed, mean 0 and deviation 1 (Box-Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
