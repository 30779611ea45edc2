// Owns handing frames to worker threads: in order on each thread, and never more of them in memory than the threads can soon take.
import type { FilePiece, WrongFile } from './tree-writer.ts'
import type { Workers } from './workers.ts'

/** Frames that wait at one thread, the one in work included: enough that it never waits, few enough to fit into memory. */
const QUEUED = 2

export class Lanes {
  readonly #workers: Workers
  readonly #queues: Promise<void>[][]
  readonly #wrong: WrongFile[] = []
  #failure: { readonly error: unknown } | null = null

  constructor(workers: Workers) {
    this.#workers = workers
    this.#queues = Array.from({ length: workers.count }, () => [])
  }

  /** The thread with the least to do. */
  get shortest(): number {
    let best = 0
    for (const [thread, queue] of this.#queues.entries()) {
      if (queue.length < (this.#queues[best]?.length ?? 0)) best = thread
    }
    return best
  }

  /** Hands a frame over, its memory included; waits while the thread has enough. @throws what a frame before failed with */
  async write(
    thread: number,
    frame: Uint8Array<ArrayBuffer>,
    rawBytes: number,
    pieces: readonly FilePiece[],
    place: boolean,
  ): Promise<void> {
    const queue = this.#queues[thread] ?? []
    const written = this.#workers.call(thread, 'writeFrame', [frame, rawBytes, pieces, place], [frame.buffer]).then(
      (wrong) => void this.#wrong.push(...wrong),
      (error: unknown) => {
        this.#failure ??= { error }
      },
    )
    queue.push(written)
    void written.then(() => queue.splice(queue.indexOf(written), 1))
    if (queue.length > QUEUED) await queue[0]
    this.#check()
  }

  /** Everything written. @returns the files that came out wrong @throws what a frame failed with */
  async settled(): Promise<readonly WrongFile[]> {
    await Promise.all(this.#queues.flat())
    this.#check()
    return this.#wrong
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
