// Owns running named tests of one file in a copy of the project, and telling how each ended.
import { run } from 'node:test'

/** `failed`: by an assertion of its own. `broken`: by anything else, which proves nothing: a syntax error, a wait in vain, a crash. */
export type Ending = { readonly how: 'passed' | 'failed' | 'broken' | 'missing'; readonly why: string }

const LIMIT_MS = 120_000

/** How each of the tests ended; `missing` for one that did not run. @param names full names of tests of that file */
export async function endings(
  dir: string,
  file: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, Ending>> {
  const found = new Map<string, Ending>(names.map((name) => [name, { how: 'missing', why: 'it did not run' }]))
  let loading = ''
  const events = run({
    cwd: dir,
    files: [file],
    concurrency: 1,
    execArgv: ['--import', './test/support/mortal.ts'],
    testNamePatterns: names.map((name) => new RegExp(`^${RegExp.escape(name)}$`)),
    timeout: LIMIT_MS,
  })
  for await (const { type, data } of events) {
    if (type === 'test:stderr') loading = (loading + data.message).slice(-2_000)
    if ((type !== 'test:pass' && type !== 'test:fail') || !found.has(data.name)) continue
    found.set(data.name, type === 'test:pass' ? { how: 'passed', why: '' } : failure(data.details.error))
  }
  for (const [name, { how, why }] of found) {
    if (how === 'missing' && loading !== '') found.set(name, { how: 'broken', why: `${why}: ${errorLine(loading)}` })
  }
  return found
}

function failure(error: Error & { readonly failureType?: unknown }): Ending {
  const chain: Error[] = []
  for (let at: unknown = error.cause; at instanceof Error && chain.length < 8; at = at.cause) chain.push(at)
  const deepest = chain.at(-1)
  const why = (deepest?.message ?? error.message).split('\n', 1)[0] ?? ''
  // A property that fails carries its assertion as a cause, and so does a wait that ended in vain, which takes its time.
  const asserted = deepest !== undefined && 'code' in deepest && deepest.code === 'ERR_ASSERTION'
  return { how: asserted && error.failureType === 'testCodeFailure' ? 'failed' : 'broken', why }
}

function errorLine(text: string): string {
  return text.split('\n').find((line) => /\b\w*Error\b/.test(line)) ?? text.split('\n')[0] ?? ''
}
