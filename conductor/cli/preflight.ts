// Owns the pre-flight of `conduct release`: asks, says what there was nothing to look at, and refuses by name.
import { EMERGENCY, type Finding, FORCEABLE, obstacles, unknownForce } from '#conductor/core/preflight.ts'
import type { Beginning } from '#conductor/core/reduce.ts'
import { type Observation, ringOf } from '#conductor/shell/observe.ts'
import { examine } from '#conductor/shell/preflight.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { BuildStore, CatalogEntry } from '#fleet/ports.ts'
import { closureOf } from './calendar.ts'
import { plain } from './reporter.ts'
import { listed } from './words.ts'
import type { Bench } from './world.ts'

/** What an operator said of going past checks. */
export interface Bypass {
  readonly force: readonly string[]
  readonly emergency: boolean
  readonly reason: string
}

/** Everything that is gone past, by name. */
export function forcedBy({ force, emergency }: Bypass): readonly string[] {
  return [...new Set([...force, ...(emergency ? EMERGENCY : [])])]
}

/** @throws FleetError `USAGE` for a name that nothing has, and without a reason */
export function checkBypass(bypass: Bypass, { evidence }: Bench): void {
  const unknown = unknownForce(bypass.force, evidence.required)
  if (unknown.length > 0) {
    const names = [...evidence.required, ...FORCEABLE].join(', ')
    throw new FleetError(
      'USAGE',
      `--force ${unknown.join(', ')}: there is no check of that name to go past, only ${names}`,
    )
  }
  if (forcedBy(bypass).length > 0 && bypass.reason.trim() === '') {
    throw new FleetError(
      'USAGE',
      `${bypass.emergency ? '--emergency' : '--force'} needs a --reason: it stays in the history`,
    )
  }
}

/** What a release of this build would meet. */
export async function lookAhead(
  bench: Bench,
  { build, fallbacks }: Pick<Beginning, 'build' | 'fallbacks'>,
  seen: { readonly observed: Observation; readonly builds: readonly CatalogEntry[] },
): Promise<readonly Finding[]> {
  const { rings, evidence, signal } = bench
  const { observed, builds } = seen
  const entry = builds.find((known) => known.build === build)
  if (entry === undefined) throw new FleetError('BUILD_UNKNOWN', `${build} is not in the catalog of ${bench.app}`)
  const views = rings.map((ring) => ringOf(observed, ring))
  const [store, closure] = await Promise.all([storeOf(bench), closureOf(bench)])
  const { required, checkout } = evidence
  const asked = { entry, fallbacks, rings: views, builds, required, checkout, store }
  return examine({ ...asked, ...(closure !== undefined && { closure }) }, signal)
}

/** Null: none is configured. */
export async function storeOf({ ports }: Pick<Bench, 'ports'>): Promise<BuildStore | null> {
  try {
    return await ports.store()
  } catch (error) {
    if (isFleetError(error, 'CONFIG_MISSING')) return null
    throw error
  }
}

/** @throws FleetError with the code of the first check that stands in the way, naming all of them */
export function refuseUnless(
  bench: Bench,
  build: string,
  findings: readonly Finding[],
  forced: readonly string[],
): void {
  const found = obstacles(findings, forced)
  const [first] = found
  if (first?.code) {
    const names = found
      .map(({ check }) => check)
      .filter((check) => FORCEABLE.includes(check) || bench.evidence.required.includes(check))
    const past =
      names.length === 0
        ? ''
        : `; conduct release ${build} ${names.map((name) => `--force ${name}`).join(' ')} --reason TEXT goes past it`
    throw new FleetError(
      first.code,
      `${found.map(({ message }) => plain(message)).join('; ')}; nothing was written${past}`,
    )
  }
}

/** What was not looked at and what is gone past, said before anything is written. */
export function sayFindings({ report }: Bench, findings: readonly Finding[], forced: readonly string[]): void {
  for (const { check, verdict, message } of findings) {
    if (verdict === 'note') report.say(report.paintAside.dim(`Note: ${plain(message)}.`))
    if (verdict === 'refuse' && forced.includes(check)) report.say(`Going past ${check}: ${plain(message)}.`)
  }
  if (forced.length > 0) report.say(`Recorded: this release goes past ${listed(forced, 9)}.`)
}

/** A line per check, for `--dry-run`. */
export function findingLines(findings: readonly Finding[], forced: readonly string[]): readonly string[] {
  const words = { pass: 'ok', note: 'note', refuse: 'in the way' } as const
  return findings.map(({ check, verdict, message }) => {
    const past = verdict === 'refuse' && forced.includes(check) ? 'gone past' : words[verdict]
    return `  ${check}: ${past}, ${plain(message)}`
  })
}
