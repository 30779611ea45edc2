// Owns what runs now, for the verbs that compare with it: in the last ring of the plan, and which rings run a build.
import { forceIn, runningUnder } from '#conductor/core/force.ts'
import { type Observation, observe, ringOf } from '#conductor/shell/observe.ts'
import type { Name } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef } from '#fleet/rollout.ts'
import type { Bench } from './world.ts'

export interface Running {
  readonly observed: Observation
  readonly builds: readonly CatalogEntry[]
  /** The last ring of the plan. */
  readonly ring: Name
  /** What it is ordered to run; null before the first release. */
  readonly last: BuildRef | null
  /** Rings with a node that runs this build. */
  readonly where: (build: string) => readonly Name[]
}

export async function whatRuns(bench: Bench): Promise<Running> {
  const { rings, ports, signal } = bench
  const observed = await observe(ports, bench, signal)
  const builds = await ports.catalog.list(signal)
  const ring = rings.at(-1) ?? ('production' as Name)
  const last = runningUnder(forceIn(ringOf(observed, ring), observed.rollout, builds))
  const where = (build: string) =>
    rings.filter((each) => observed.fleet.rings[each]?.nodes.some(({ status }) => status.hot === build))
  return { observed, builds, ring, last, where }
}
