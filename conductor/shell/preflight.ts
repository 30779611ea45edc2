// Owns gathering what a pre-flight looks at beyond Consul: the objects in the store, and what a checkout knows of the commits.
import { type Ancestry, saysContains } from '#conductor/core/lineage.ts'
import { type Finding, type ObjectAnswer, type PreflightFacts, preflight } from '#conductor/core/preflight.ts'
import { isFleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { BuildStore, CatalogEntry } from '#fleet/ports.ts'
import { askCheckout } from './ancestry.ts'

/** What a release of this build would meet, beyond what Consul tells; null in place of a store: none is configured. */
export async function examine(
  asked: {
    readonly entry: CatalogEntry
    readonly fallbacks: PreflightFacts['fallbacks']
    readonly rings: PreflightFacts['rings']
    readonly builds: readonly CatalogEntry[]
    readonly required: readonly string[]
    readonly checkout: string | null
    readonly store: BuildStore | null
    readonly closure?: PreflightFacts['closure']
  },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { entry, fallbacks, builds, checkout, store: objects, closure, ...more } = asked
  const backs = new Set(Object.values(fallbacks).map((ref) => ref?.build))
  const running = builds.filter(({ build }) => backs.has(build))
  const [store, ancestry] = await Promise.all([
    objects === null ? null : askStore(objects, entry.build, signal),
    askAncestry(checkout, entry, running, signal),
  ])
  return preflight({ entry, builds, fallbacks, store, ancestry, ...more, ...(closure !== undefined && { closure }) })
}

/** HEAD of both objects of a build; a store that does not answer is an answer too. */
async function askStore(store: BuildStore, build: string, signal: AbortSignal): Promise<PreflightFacts['store']> {
  const ask = async (name: string): Promise<ObjectAnswer> => {
    try {
      return { bytes: (await store.find(name, signal))?.bytes ?? null }
    } catch (error) {
      if (!isFleetError(error)) throw error
      return { code: error.code, message: error.message }
    }
  }
  const [artifact, manifest] = await Promise.all([ask(objectsOf.artifact(build)), ask(objectsOf.manifest(build))])
  return { artifact, manifest }
}

/** Asks the checkout about each running build that the catalog alone does not settle. */
async function askAncestry(
  checkout: string | null,
  entry: CatalogEntry,
  running: readonly CatalogEntry[],
  signal: AbortSignal,
): Promise<readonly Ancestry[]> {
  const newer = entry.commit
  if (checkout === null || newer === null) return []
  const commits = running.flatMap(({ commit }) => (commit === null || saysContains(entry, commit) ? [] : [commit]))
  return Promise.all([...new Set(commits)].map((older) => askCheckout(checkout, older, newer, signal)))
}
