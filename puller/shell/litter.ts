// Owns collecting garbage while much passes through: buffers lie outside of the heap, and V8 lets tens of MiB of them wait in every thread.

type Collect = (how: { type: 'minor' | 'major'; execution: 'sync' }) => void

/** Bytes that may wait to be collected. A collection of the young takes a fraction of a millisecond. */
const MOST_BYTES = 4 * 1024 * 1024

/** Buffers of one thread that may be held beyond those that were still in use at the last collection of all. That one takes some milliseconds. */
const MOST_OLD_BYTES = 12 * 1024 * 1024

let collect: Collect | null = null
let waitingBytes = 0
let leastBytes = 0

/** Says that buffers of so many bytes are in use and will soon be left. One account for each thread. */
export function litter(bytes: number): void {
  waitingBytes += bytes
}

/** Collects what is young when that is due: to be called where nothing of what was littered is still in use. @returns whether it did */
export function tidyYoung(): boolean {
  if (waitingBytes < MOST_BYTES) return false
  waitingBytes = 0
  collect ??= collector()
  collect({ type: 'minor', execution: 'sync' })
  return true
}

/** The same, and what has come to count as old by then: for threads with a small heap, where that costs little. */
export function tidy(): void {
  if (tidyYoung() && process.memoryUsage().arrayBuffers > leastBytes + MOST_OLD_BYTES) tidyAll()
}

/** Collects everything, before work that needs much memory. Takes some 20 ms. */
export function tidyAll(): void {
  waitingBytes = 0
  collect ??= collector()
  collect({ type: 'major', execution: 'sync' })
  leastBytes = process.memoryUsage().arrayBuffers
}

/**
 * Node hands the collector out only under a flag, which V8 reads whenever a context is made. It is not taken back: it is one for all threads, and
 * another may be about to make its context.
 */
function collector(): Collect {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8')
  const { runInNewContext } = process.getBuiltinModule('node:vm')
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}
