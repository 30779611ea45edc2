// Owns lineage: whether a build contains what runs now, by the commits that are known of both.
import type { CatalogEntry } from '#fleet/ports.ts'

/** Shortest abbreviation of a commit that is believed to name one. */
const LEAST = 7

/** Most commits that a catalog entry can tell of: its record stays below 8 KiB. */
export const MOST_CONTAINED = 100

export function isCommit(text: string): boolean {
  return /^[0-9a-f]{7,64}$/i.test(text)
}

/** The same commit, however far either is abbreviated. */
export function sameCommit(a: string, b: string): boolean {
  const [short = '', long = ''] = [a.toLowerCase(), b.toLowerCase()].sort((x, y) => x.length - y.length)
  return short === long || (short.length >= LEAST && long.startsWith(short))
}

/** What the catalog alone tells: the build is of that commit, or was published as one that contains it. */
export function saysContains({ commit, contains = [] }: CatalogEntry, other: string): boolean {
  return [...(commit === null ? [] : [commit]), ...contains].some((one) => sameCommit(one, other))
}

/** What a checkout was asked and answered. `unknown` carries why. */
export interface Ancestry {
  readonly older: string
  readonly newer: string
  readonly answer: 'ancestor' | 'not-ancestor' | 'unknown'
  readonly message: string
}

export type Lineage = { readonly verdict: 'contains' | 'not' | 'nothing-to-compare'; readonly message: string }

/**
 * Whether `build` contains the commit of `running`. Without a commit on either side there is nothing to compare; with both, what nothing
 * proves is not believed: the newest must not go backwards.
 * @param running null: of a build that the catalog does not know any more
 */
export function lineageOf(build: CatalogEntry, running: CatalogEntry | null, asked: readonly Ancestry[]): Lineage {
  if (running === null) return { verdict: 'nothing-to-compare', message: 'what runs now is not in the catalog' }
  if (running.build === build.build) return { verdict: 'contains', message: `${build.build} runs already` }
  const silent = [build, running].filter(({ commit }) => commit === null).map((entry) => entry.build)
  if (running.commit === null || build.commit === null) {
    // A build without a commit may still have been published as one that contains another.
    if (running.commit !== null && saysContains(build, running.commit)) return containsIt(build, running)
    return {
      verdict: 'nothing-to-compare',
      message: `${silent.join(' and ')} ${silent.length === 1 ? 'was' : 'were'} published without a commit`,
    }
  }
  if (saysContains(build, running.commit)) return containsIt(build, running)
  const answer = asked.find(({ older, newer }) => older === running.commit && newer === build.commit)
  if (answer?.answer === 'ancestor') return containsIt(build, running)
  const fact = answer === undefined ? 'nobody said so at publish, and no checkout is configured to ask' : answer.message
  return {
    verdict: 'not',
    message: `${build.build} (${build.commit}) is not known to contain ${running.commit} of ${running.build}, which runs now: ${fact}`,
  }
}

function containsIt(build: CatalogEntry, running: CatalogEntry): Lineage {
  return { verdict: 'contains', message: `${build.build} contains ${running.commit} of ${running.build}` }
}
