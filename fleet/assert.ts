// Owns the assertion that marks our own bugs: what can only be false when the code is wrong.

/** Thrown when an invariant of our own does not hold: always a bug, exit code 70, never caught to go on. */
class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** States an invariant. @throws InvariantError when it does not hold. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(`invariant broken: ${invariant}`)
}

/** For the default branch of a switch that covers every case. @throws InvariantError always. */
export function never(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`)
}
