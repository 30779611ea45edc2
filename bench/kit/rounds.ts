// Owns how things are compared: one after the other in each round, so that drift hits all alike, and by their medians.

/** What one run measured, by name with its unit: `ms`, `fetchedBytes`. */
export type Sample = Readonly<Record<string, number>>

/** One of the things that are compared. */
export interface Contestant {
  readonly name: string
  /** What it does, in one sentence. */
  readonly what: string
  /** Not timed: brings the world into the state from which the run starts. */
  prepare?(round: number): Promise<void> | void
  run(round: number): Promise<Sample>
  /** Not timed: leaves the world as the next one wants it. */
  restore?(round: number): Promise<void> | void
}

/** All that was measured of one contestant. */
export interface Measured {
  readonly name: string
  readonly what: string
  readonly samples: readonly Sample[]
  readonly medians: Sample
}

export type Say = (text: string) => void

/** Runs all of them in turn, so many rounds. @param settle called before each timed part */
export async function compare(
  contestants: readonly Contestant[],
  rounds: number,
  settle: () => Promise<void>,
  say: Say,
): Promise<readonly Measured[]> {
  const samples = new Map(contestants.map(({ name }) => [name, [] as Sample[]]))
  for (let round = 0; round < rounds; round += 1) {
    const told: string[] = []
    for (const one of contestants) {
      const sample = await turn(one, round, settle)
      samples.get(one.name)?.push(sample)
      told.push(`${one.name} ${Math.round(sample.ms ?? Number.NaN)}`)
    }
    say(`round ${round + 1} of ${rounds}, ms: ${told.join(' · ')}`)
  }
  return contestants.map(({ name, what }) => measured(name, what, samples.get(name) ?? []))
}

async function turn(one: Contestant, round: number, settle: () => Promise<void>): Promise<Sample> {
  let sample: Sample
  try {
    await one.prepare?.(round)
    await settle()
    sample = await one.run(round)
  } catch (error) {
    // What it started must not disturb whoever comes next; why it failed is what matters.
    await Promise.resolve(one.restore?.(round)).catch(() => undefined)
    throw error
  }
  await one.restore?.(round)
  return sample
}

export function measured(name: string, what: string, samples: readonly Sample[]): Measured {
  const keys = [...new Set(samples.flatMap((sample) => Object.keys(sample)))]
  const medians = keys.map((key) => [key, median(samples.flatMap((sample) => sample[key] ?? []))] as const)
  return { name, what, samples, medians: Object.fromEntries(medians) }
}

/** Latencies of one kind, in milliseconds: `ms` is the median, `p99Ms` the 99th percentile. */
export function latencies(name: string, what: string, values: readonly number[]): Measured {
  const samples = values.map((ms) => ({ ms }))
  return { name, what, samples, medians: { ms: median(values), p99Ms: percentile(values, 0.99), count: values.length } }
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** By linear interpolation between the two nearest. @param share 0.99 for the 99th percentile */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('nothing was measured')
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? 0
  const high = sorted[Math.ceil(at)] ?? 0
  return low + (high - low) * (at - Math.floor(at))
}
