// Owns running many hostile cases: seeded, counted by what became of them, watched for memory and time, and told so that a failure can be replayed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'

export interface Run {
  readonly count: number
  readonly seed: number
  /** fast-check's path of one failing case, to replay it alone. */
  readonly path?: string
  /** Goes on after a case that fails, counts it by its error, and fails at the end: for looking at many at once. */
  readonly goOn?: boolean
  /** Told after every 100 cases. */
  readonly onProgress?: (done: number) => void
}

export interface Told {
  /** Errors of cases that a run with `goOn` went past. */
  readonly failures: readonly string[]
  readonly verdicts: Readonly<Record<string, number>>
  readonly ms: number
  readonly slowestMs: number
  /** Highest resident memory that a sample after a case saw, and the kernel's own peak of the whole process. */
  readonly sampledMiB: number
  readonly peakMiB: number
}

/** What a run of any length may take at its peak, lies of its own included. */
const MOST_MIB = 1_024

/** No case may take longer: this is for what hangs, on whatever machine. */
const CASE_LIMIT_MS = 60_000

function peakMiB(): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return Math.round(Number(kib ?? 0) / 1_024)
}

/** Runs a case for each value of `arbitrary`. @param check gives the words that the case is counted under @throws with seed, path and the shrunk case */
export async function runCases<value>(
  run: Run,
  arbitrary: fc.Arbitrary<value>,
  check: (value: value) => Promise<string | readonly string[]>,
): Promise<Told> {
  const verdicts: Record<string, number> = {}
  const began = performance.now()
  let slowestMs = 0
  let sampledMiB = 0
  let done = 0
  const failures = new Set<string>()
  const judge = async (value: value): Promise<readonly string[]> => {
    try {
      return [await check(value)].flat()
    } catch (error) {
      if (!run.goOn) throw error
      const said = `FAILED: ${String(error).split('\n', 3).join(' ').slice(0, 200)}`
      if (!failures.has(said))
        process.stdout.write(`${said}\n${fc.stringify(value)}\n${error instanceof Error ? error.stack : ''}\n`)
      failures.add(said)
      return [said]
    }
  }
  const property = fc.asyncProperty(arbitrary, async (value) => {
    const from = performance.now()
    for (const verdict of await judge(value)) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
    slowestMs = Math.max(slowestMs, performance.now() - from)
    done += 1
    if (run.onProgress !== undefined && done % 100 === 0) run.onProgress(done)
    sampledMiB = Math.max(sampledMiB, process.memoryUsage().rss / 2 ** 20)
  })
  const { count, seed, path } = run
  const replay = path === undefined ? {} : { path }
  const parameters = { numRuns: count, seed, ...replay, timeout: CASE_LIMIT_MS, includeErrorInReport: true }
  await fc.assert(property.beforeEach(assertUnpolluted), parameters)
  assertUnpolluted()
  assert.ok(sampledMiB < MOST_MIB, `${Math.round(sampledMiB)} MiB after a case`)
  return {
    failures: [...failures],
    verdicts,
    ms: performance.now() - began,
    slowestMs: Math.round(slowestMs),
    sampledMiB: Math.round(sampledMiB),
    peakMiB: peakMiB(),
  }
}

const prototypeKeys = [Object.prototype, Array.prototype, Function.prototype].map((it) => Reflect.ownKeys(it).length)

/** Nothing has put a key on what every object inherits from. */
export function assertUnpolluted(): void {
  const now = [Object.prototype, Array.prototype, Function.prototype].map((it) => Reflect.ownKeys(it).length)
  assert.deepEqual(now, prototypeKeys, 'a prototype was polluted')
  assert.equal('polluted' in {}, false)
}
