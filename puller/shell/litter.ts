// Owns collecting garbage before work that needs much memory: V8 would let what came before lie there for as long as the work takes.

type Collect = (how: { type: 'major'; execution: 'sync' }) => void

let collect: Collect | null = null

/** Collects everything in this thread. Takes some 20 ms. */
export function collectLitter(): void {
  collect ??= collector()
  collect({ type: 'major', execution: 'sync' })
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
