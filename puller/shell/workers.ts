// Owns a few worker threads for synchronous disk work: four times faster than asynchronous calls on small files, and the event loop stays free.
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ERRORS, type ErrorCode, FleetError } from '#fleet/errors.ts'
import { stepCounters } from './failpoints.ts'
import { createEndLock, holdForEnd } from './uninterrupted.ts'
import type { CarriedError, Operations, WorkerAnswer, WorkerCall } from './worker.ts'

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** A thread does not share the program's compile cache: without one of its own it strips the types of every file anew, with 40 MiB to do it. */
function threadEnvironment(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir()
  // Node makes a folder for its own version below the one that it is given.
  return directory === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(directory) }
}

class Thread {
  readonly #worker: Worker
  readonly #endLock = createEndLock()
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #failure: Error | null = null
  #ending: Promise<void> | null = null

  constructor() {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      env: threadEnvironment(),
      workerData: { stepCounters, endLock: this.#endLock },
    })
    this.#worker.on('message', (answer: WorkerAnswer) => this.#settle(answer))
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    this.#worker.on('exit', () => this.#fail(new FleetError('SPAWN_FAILED', 'a worker thread ended')))
    this.#worker.unref()
  }

  call(operation: keyof Operations, args: readonly unknown[], transfer: readonly ArrayBuffer[]): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const id = this.#nextId++
    const call: WorkerCall = { id, operation, args }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    // A thread at rest must not keep a finished process alive; one at work must.
    this.#worker.ref()
    this.#worker.postMessage(call, [...transfer])
    return promise
  }

  /** Ends the thread wherever it is, but not where that would end the process. */
  close(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    await holdForEnd(this.#endLock)
    await this.#worker.terminate()
  }

  #settle(answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('error' in answer) waiting?.reject(revive(answer.error))
    else waiting?.resolve(answer.value)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }
}

/** Turns an error carried between threads into one of its class again. */
function revive(carried: CarriedError): Error {
  const { fleetCode, message, code, errno, stack } = carried
  if (fleetCode !== null && fleetCode in ERRORS) return new FleetError(fleetCode as ErrorCode, message)
  const error = Object.assign(new Error(message), { ...(code && { code }), ...(errno && { errno }) })
  if (stack !== undefined) error.stack = stack
  return error
}

/** The threads of one staging. Closing them and waiting for it proves that nothing is written any more (failures E16). */
export class Workers {
  readonly #threads: readonly Thread[]

  constructor(count: number) {
    this.#threads = Array.from({ length: count }, () => new Thread())
  }

  get count(): number {
    return this.#threads.length
  }

  /** Runs an operation on a thread; calls to one thread run in order. @param thread any whole number: it is taken modulo the count */
  call<name extends keyof Operations>(
    thread: number,
    operation: name,
    args: Parameters<Operations[name]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<Operations[name]>> {
    const it = this.#threads[thread % this.#threads.length]
    if (it === undefined) return Promise.reject(new RangeError('no worker threads'))
    return it.call(operation, args, transfer) as Promise<ReturnType<Operations[name]>>
  }

  /** Runs an operation on every thread. */
  async all<name extends keyof Operations>(operation: name, args: Parameters<Operations[name]>): Promise<void> {
    await Promise.all(this.#threads.map((_, thread) => this.call(thread, operation, args)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }
}
