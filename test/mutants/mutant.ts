// Owns the safeguards that must not get lost: what each is, how it is removed, and the test that fails then.

/** One safeguard, and the edit of the source that takes it away. */
export interface Mutant {
  readonly id: string
  /** The promise that stands on it, as a sentence. */
  readonly guard: string
  /** What the edit does, as the end of "without": "without the syncfs before the seal". */
  readonly without: string
  readonly file: string
  /** Occurs once in the file, and is short: what stands around it may change. */
  readonly find: string
  readonly replace: string
  /** File and full name of the test that fails by an assertion. */
  readonly test: readonly [file: string, name: string]
}
