// Owns the look from outside: every application is asked over HTTP all the time, and whichever build answered for whom is kept.
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

const EVERY_MS = 100
const LIMIT_MS = 5_000

export interface Poll {
  /** Whose application ever answered with this build, in the order in which they did. */
  met(build: string): readonly string[]
  /** The build that each answered with last. */
  readonly now: ReadonlyMap<string, string>
  readonly answers: number
}

/** Asks until the test is over. A request that fails is no answer, and says nothing. */
export function poll(t: TestContext, urls: ReadonlyMap<string, string>): Poll {
  const over = new AbortController()
  const met = new Map<string, Set<string>>()
  const now = new Map<string, string>()
  let answers = 0
  const ask = async (node: string, url: string): Promise<void> => {
    const answer = await fetch(url, { signal: AbortSignal.any([over.signal, AbortSignal.timeout(LIMIT_MS)]) })
    const build = await answer.text()
    if (answer.status === 404) return
    answers += 1
    now.set(node, build)
    met.set(build, (met.get(build) ?? new Set()).add(node))
  }
  const running = [...urls].map(async ([node, url]) => {
    while (!over.signal.aborted) {
      await ask(node, url).catch(() => {})
      await delay(EVERY_MS)
    }
  })
  t.after(() => {
    over.abort()
    return Promise.all(running)
  })
  return {
    met: (build) => [...(met.get(build) ?? [])],
    now,
    get answers() {
      return answers
    },
  }
}
