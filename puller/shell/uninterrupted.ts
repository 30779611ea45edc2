// Owns the moments in which a worker thread must not be terminated: Node aborts the whole process when it finds a half-made zstd context.
import { isMainThread, workerData } from 'node:worker_threads'

const FREE = 0
const TAKEN = 1

/** What a thread and whoever ends it agree by. */
export type EndLock = Int32Array<SharedArrayBuffer>

export function createEndLock(): EndLock {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
}

const own: EndLock =
  !isMainThread && workerData?.endLock instanceof Int32Array ? (workerData.endLock as EndLock) : createEndLock()

/**
 * Runs what must not be cut off in the middle. Node 26 asserts at the end of a thread that every compression context was initialised, and a
 * termination can come between making and initialising one ("close before init", src/node_zlib.cc).
 */
export function uninterrupted<result>(work: () => result): result {
  // Whoever holds it from outside ends this thread: the wait is cut off by that.
  while (Atomics.compareExchange(own, 0, FREE, TAKEN) !== FREE) Atomics.wait(own, 0, TAKEN)
  try {
    return work()
  } finally {
    Atomics.store(own, 0, FREE)
    Atomics.notify(own, 0)
  }
}

/** Resolves once the thread is outside of such a moment; it enters none any more. */
export async function holdForEnd(lock: EndLock): Promise<void> {
  while (Atomics.compareExchange(lock, 0, FREE, TAKEN) !== FREE) await Atomics.waitAsync(lock, 0, TAKEN).value
}
