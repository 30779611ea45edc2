// Owns when the worker threads of a root start and end: lent for one piece of work, kept warm for the next, all ended when the root is given up.
import { availableParallelism } from 'node:os'
import type { Clock } from '#fleet/ports.ts'
import { Workers } from './workers.ts'

/** Enough for two cores to be busy; more threads only queue at the disk. */
const MOST_THREADS = 4

/** Threads cost memory while they rest, and time when they start. */
const WARM_MS = 10_000

export class Crew {
  readonly #clock: Clock
  readonly #atWork = new Set<Workers>()
  /** Threads at rest, ready for the next work. */
  #atRest: Workers | null = null
  #cooling: AbortController | null = null
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lends threads to `work`. When it fails, they are ended before this rejects: nothing can be written any more (failures E16). */
  async lend<result>(work: (workers: Workers) => Promise<result>): Promise<result> {
    const workers = this.#atRest ?? new Workers(Math.min(MOST_THREADS, availableParallelism()))
    this.#atRest = null
    this.#cooling?.abort()
    this.#atWork.add(workers)
    let whole = false
    try {
      const result = await work(workers)
      await workers.all('closeWriter', [])
      whole = true
      return result
    } finally {
      this.#atWork.delete(workers)
      if (whole && !this.#closed && this.#atRest === null) this.#rest(workers)
      else await workers.close()
    }
  }

  /** Ends all threads, those at work too, as when the program ends because of an error in the middle of a staging. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cooling?.abort()
    await Promise.all([this.#atRest, ...this.#atWork].map((workers) => workers?.close()))
  }

  /** What was staged is mostly swept or followed by another soon. */
  #rest(workers: Workers): void {
    const cooling = new AbortController()
    this.#atRest = workers
    this.#cooling = cooling
    this.#clock.sleep(WARM_MS, cooling.signal).then(
      async () => {
        if (this.#atRest !== workers) return
        this.#atRest = null
        await workers.close()
      },
      () => undefined,
    )
  }
}
