// Owns giving memory back to the machine, when a program has done its work for now.

/**
 * Collects garbage as for a machine that is short of memory: everything, and the freed pages are returned. Takes the thread for 20 to 150 ms.
 * Node has no call for it but this one of its inspector, which needs neither a port nor a flag.
 */
export function giveMemoryBack(): void {
  // Loaded when it is used: a program that never does work of that size never needs it.
  const { Session } = process.getBuiltinModule('node:inspector')
  const session = new Session()
  session.connect()
  session.post('HeapProfiler.collectGarbage', () => session.disconnect())
}
