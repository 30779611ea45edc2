// Owns the threads of a publish: compressing is most of its work, and Node's own pool spends as much on the way to its threads and back.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/** Beyond these the one thread that reads and hashes cannot keep up. */
const MOST_THREADS = 4

type Waiting = PromiseWithResolvers<readonly Uint8Array[]>

/** One thread, whose answers come in the order of what it was given. */
class Compressor {
  // Without the flags of this process: one of them may name what it runs.
  readonly #worker = new Worker(new URL('./compress-worker.ts', import.meta.url), { execArgv: [] })
  readonly #waiting: Waiting[] = []
  #failure: Error | null = null

  constructor() {
    this.#worker.on('message', (packed: readonly Uint8Array[]) => this.#waiting.shift()?.resolve(packed))
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    this.#worker.on('exit', () => this.#fail(new Error('a thread that compresses ended')))
  }

  get queued(): number {
    return this.#waiting.length
  }

  compress(raw: readonly Uint8Array<ArrayBuffer>[]): Promise<readonly Uint8Array[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const waiting = Promise.withResolvers<readonly Uint8Array[]>()
    this.#waiting.push(waiting)
    this.#worker.postMessage(
      raw,
      raw.map(({ buffer }) => buffer),
    )
    return waiting.promise
  }

  /** Ends the thread once it is at rest: ended in the middle of making a context of zstd it would take the process with it (Node 26). */
  async close(): Promise<void> {
    await Promise.allSettled(this.#waiting.map(({ promise }) => promise))
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}

/** Threads are started for what they are given first, and ended by `close`. */
export class Compressors {
  readonly #threads: Compressor[] = []
  readonly #most = Math.min(MOST_THREADS, availableParallelism())

  /** A zstd frame of each of `raw`, whose memory is handed over: nobody else may use it any more. */
  compress(raw: readonly Uint8Array<ArrayBuffer>[]): Promise<readonly Uint8Array[]> {
    const idle = this.#threads.find(({ queued }) => queued === 0)
    if (idle !== undefined) return idle.compress(raw)
    if (this.#threads.length < this.#most) this.#threads.push(new Compressor())
    const [first, ...others] = this.#threads
    if (first === undefined) return Promise.reject(new RangeError('no thread'))
    return others.reduce((least, thread) => (thread.queued < least.queued ? thread : least), first).compress(raw)
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.close()))
  }
}
