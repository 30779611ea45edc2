// Owns work that goes on side by side: handed to worker threads in order, never more of it in memory than they can soon take; and stopped
// together when one part fails.

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

/**
 * Runs `lane` so many times side by side. When one fails, the signal that all were given aborts, and once they have ended the first
 * reason is thrown.
 */
export async function sideBySide(
  count: number,
  signal: AbortSignal,
  lane: (index: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  await Promise.all(
    Array.from({ length: count }, (_, index) => lane(index, either).catch((error: unknown) => failed.abort(error))),
  )
  signal.throwIfAborted()
  if (failed.signal.aborted) throw failed.signal.reason
}
