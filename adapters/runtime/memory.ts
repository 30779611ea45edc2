// Owns giving memory back to the machine, when a program has done its work for now.

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/**
 * Collects garbage as for a machine that is short of memory: everything, and the freed pages are returned. Takes the thread for 20 to 150 ms.
 * Node hands the collector out only under a flag, which V8 reads whenever a context is made, and which is not taken back: it is one for all
 * threads, and another may be about to make its context. The inspector's collectGarbage would be the tidier call, but a process that ever had a session hangs in its exit (Node 26.10, three of three).
 */
export function giveMemoryBack(): void {
  // Loaded when they are used: a program that never does work of that size never needs them.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8')
  const { runInNewContext } = process.getBuiltinModule('node:vm')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as Collect
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
