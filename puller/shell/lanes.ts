// Owns handing work to worker threads: in order on each thread, and never more of it in memory than the threads can soon take.

/** What waits at one thread, the part in work included: enough that it never waits, little enough to fit into memory. */
const QUEUED = 2

/** Answers are lists, of what came out wrong, and are put together. */
export class Lanes<wrong> {
  readonly #queued: number
  readonly #queues: Promise<void>[][]
  readonly #wrong: wrong[] = []
  #failure: { readonly error: unknown } | null = null

  constructor(threads: number, queued = QUEUED) {
    this.#queued = queued
    this.#queues = Array.from({ length: threads }, () => [])
  }

  /** The thread with the least to do. */
  get shortest(): number {
    let best = 0
    for (const [thread, queue] of this.#queues.entries()) {
      if (queue.length < (this.#queues[best]?.length ?? 0)) best = thread
    }
    return best
  }

  /** Takes account of a call to a thread; waits while that one has enough to do. @throws what an earlier one failed with */
  async add(thread: number, call: Promise<readonly wrong[]>): Promise<void> {
    const queue = this.#queues[thread] ?? []
    const done = call.then(
      (wrong) => void this.#wrong.push(...wrong),
      (error: unknown) => {
        this.#failure ??= { error }
      },
    )
    queue.push(done)
    void done.then(() => queue.splice(queue.indexOf(done), 1))
    if (queue.length > this.#queued) await queue[0]
    this.#check()
  }

  /** Everything done. @returns all that came out wrong @throws what failed first */
  async settled(): Promise<readonly wrong[]> {
    await Promise.all(this.#queues.flat())
    this.#check()
    return this.#wrong
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
