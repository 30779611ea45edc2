// Owns `conduct check`: what somebody says of a build, set in the catalog by compare-and-set.
import { isBuildId } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

export interface CheckOptions {
  readonly build: string
  readonly name: string
  readonly state: string
  readonly reason: string
  readonly dryRun: boolean
}

/** Several may write at once (each job of a pipeline its own check): the loser looks again. */
const ATTEMPTS = 10

export async function check(bench: Bench, options: CheckOptions): Promise<number> {
  const { app, by, ports, report, clock, signal } = bench
  const { build, name, state, reason, dryRun } = options
  if (!isBuildId(build)) throw new FleetError('NAME_INVALID', `${JSON.stringify(build)} is not a build id`)
  if (!/^[A-Za-z0-9][\w.-]{0,62}$/.test(name) || !/^[\w.-]{1,63}$/.test(state)) {
    throw new FleetError('USAGE', `${JSON.stringify(`${name} ${state}`)} is not a name and a state, like: qa passed`)
  }
  for (let attempt = 0; ; attempt += 1) {
    const found = await ports.catalog.find(build, signal)
    if (found === null) throw new FleetError('BUILD_UNKNOWN', `${build} is not in the catalog of ${app}`)
    const before = found.entry.checks[name] ?? null
    const entry: CatalogEntry = {
      ...found.entry,
      checks: { ...found.entry.checks, [name]: state },
      checkedBy: { ...found.entry.checkedBy, [name]: { by, at: new Date(clock.now()).toISOString(), reason } },
    }
    try {
      if (!dryRun && before !== state) await ports.catalog.put(entry, found.index, signal)
    } catch (error) {
      if (!isFleetError(error, 'WRITE_CONFLICT') || attempt >= ATTEMPTS) throw error
      await clock.sleep(20 + 80 * clock.random(), signal)
      continue
    }
    if (report.json) report.document({ app, build, check: name, before, state, by, dryRun })
    else if (before === state) report.result(`${name} of ${build} is ${plain(state)} already: nothing was changed.`)
    else
      report.result(
        `${dryRun ? 'Would set' : 'Set'} ${name} of ${build} from ${plain(before ?? 'nothing')} to ${plain(state)}.`,
      )
    return 0
  }
}
