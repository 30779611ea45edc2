// Owns asking a git checkout whether one commit contains another.
import { execFile } from 'node:child_process'
import { type Ancestry, isCommit } from '#conductor/core/lineage.ts'

/** A checkout on a disk that does not answer must not hold up a release for ever. */
const PATIENCE_MS = 10_000

/** `git merge-base --is-ancestor`. Never throws but the signal's reason: what cannot be asked is unknown, and says why. */
export async function askCheckout(
  checkout: string,
  older: string,
  newer: string,
  signal: AbortSignal,
): Promise<Ancestry> {
  const of = { older, newer }
  const odd = [older, newer].find((commit) => !isCommit(commit))
  if (odd !== undefined) return { ...of, answer: 'unknown', message: `${JSON.stringify(odd)} is no commit id` }
  const said = await run(['-C', checkout, 'merge-base', '--is-ancestor', older, newer], signal)
  signal.throwIfAborted()
  if (said.exit === 0) return { ...of, answer: 'ancestor', message: `${checkout} says so` }
  if (said.exit === 1) return { ...of, answer: 'not-ancestor', message: `${checkout} says that it does not` }
  return { ...of, answer: 'unknown', message: `${checkout} cannot tell: ${said.words}` }
}

function run(argv: readonly string[], signal: AbortSignal): Promise<{ exit: number | null; words: string }> {
  return new Promise((resolve) => {
    execFile('git', [...argv], { timeout: PATIENCE_MS, signal }, (error, _stdout, stderr) => {
      if (error === null) return resolve({ exit: 0, words: '' })
      const exit = typeof error.code === 'number' ? error.code : null
      const words =
        stderr.trim().split('\n')[0] ||
        (error.killed ? `git did not answer in ${PATIENCE_MS / 1_000} s` : error.message)
      resolve({ exit, words })
    })
  })
}
