// Owns what is looked at before a release writes anything: each check by its name, what it found, and which of them an operator may go past.
import type { ErrorCode } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef } from '#fleet/rollout.ts'
import { type Ancestry, lineageOf } from './lineage.ts'
import type { RingView } from './standing.ts'

/** What the store said of one object of the build: its length, none, or why nobody knows. */
export type ObjectAnswer = { readonly bytes: number | null } | { readonly code: ErrorCode; readonly message: string }

export interface PreflightFacts {
  readonly entry: CatalogEntry
  /** Names of checks that the config asks for. */
  readonly required: readonly string[]
  readonly rings: readonly RingView[]
  /** Newest first. */
  readonly builds: readonly CatalogEntry[]
  /** What each ring goes back to. */
  readonly fallbacks: Readonly<Record<string, BuildRef | null>>
  /** Null: no store is configured. */
  readonly store: { readonly artifact: ObjectAnswer; readonly manifest: ObjectAnswer } | null
  readonly ancestry: readonly Ancestry[]
  /** What closes the calendar now; null: it is open; left out: none is to be asked. */
  readonly closure?: { readonly message: string } | null
}

/** `note`: there was nothing to look at, and it is said. */
export interface Finding {
  readonly check: string
  readonly verdict: 'pass' | 'note' | 'refuse'
  readonly code: ErrorCode | null
  readonly message: string
}

/** Names that `--force` takes, beside those of required checks. The last three are looked at later, while the rollout goes on. */
export const FORCEABLE: readonly string[] = ['store', 'previous', 'lineage', 'soak', 'gates', 'windows']

/** What `--emergency` goes past. */
export const EMERGENCY: readonly string[] = ['gates', 'windows']

const pass = (check: string, message: string): Finding => ({ check, verdict: 'pass', code: null, message })
const note = (check: string, message: string): Finding => ({ check, verdict: 'note', code: null, message })
const refuse = (check: string, code: ErrorCode, message: string): Finding => ({
  check,
  verdict: 'refuse',
  code,
  message,
})

/** All findings, in a fixed order; pure, and the same for `--dry-run` and for the release itself. */
export function preflight(facts: PreflightFacts): readonly Finding[] {
  return [
    quarantined(facts),
    ...facts.required.map((name) => required(facts.entry, name)),
    roster(facts),
    stored(facts),
    previous(facts),
    lineage(facts),
    ...windows(facts),
  ]
}

/** Those that stand in the way: refusals that nobody went past by name. A quarantine is lifted and a ring filled; neither is gone past. */
export function obstacles(findings: readonly Finding[], forced: readonly string[]): readonly Finding[] {
  return findings.filter(({ check, verdict }) => verdict === 'refuse' && !forced.includes(check))
}

/** Names that no check has: whoever types one believes to go past something. */
export function unknownForce(forced: readonly string[], required: readonly string[]): readonly string[] {
  return forced.filter((name) => !FORCEABLE.includes(name) && !required.includes(name))
}

function quarantined({ entry }: PreflightFacts): Finding {
  const { build, quarantine } = entry
  if (quarantine === null) return pass('quarantine', `${build} is not under quarantine`)
  return refuse(
    'quarantine',
    'BUILD_QUARANTINED',
    `${build} is under quarantine by ${quarantine.by}: ${quarantine.reason}`,
  )
}

function required({ build, checks }: CatalogEntry, name: string): Finding {
  const state = checks[name]
  if (state === 'passed') return pass(name, `${name} passed`)
  const said = state === undefined ? 'nobody has said anything of it' : `it is ${state}`
  return refuse(name, 'CHECK_NOT_PASSED', `${build} has not passed ${name}: ${said}`)
}

function roster({ rings }: PreflightFacts): Finding {
  const empty = rings.filter(({ nodes }) => nodes.length === 0).map(({ ring }) => ring)
  if (empty.length > 0) return refuse('roster', 'RING_EMPTY', `no node of ${empty.join(', ')} has ever reported`)
  const counts = rings.map(({ ring, nodes }) => `${ring} ${nodes.length}`)
  return pass('roster', `nodes: ${counts.join(', ')}`)
}

function stored({ entry, store }: PreflightFacts): Finding {
  if (store === null) return note('store', 'no store is configured here: nobody looked whether it holds the build')
  for (const [what, answer] of Object.entries(store)) {
    if ('code' in answer) return refuse('store', answer.code, `the ${what} of ${entry.build}: ${answer.message}`)
    if (answer.bytes === null)
      return refuse('store', 'STORE_INCOMPLETE', `the ${what} of ${entry.build} is not in the store`)
  }
  const { artifact } = store
  if ('bytes' in artifact && artifact.bytes !== entry.artifact.bytes) {
    const sizes = `${artifact.bytes} bytes in the store, ${entry.artifact.bytes} in the catalog`
    return refuse('store', 'STORE_INCOMPLETE', `the artifact of ${entry.build} has ${sizes}`)
  }
  return pass('store', 'artifact and manifest are in the store')
}

/** A ring that runs something which nobody can name has no way back. */
function previous({ rings, builds, fallbacks, entry }: PreflightFacts): Finding {
  const lost = rings.flatMap(({ ring, nodes }) => {
    if ((fallbacks[ring] ?? null) !== null) return []
    const unknown = nodes
      .flatMap(({ status }) => status.hot ?? [])
      .filter((hot) => hot !== entry.build && !knows(builds, hot))
    return unknown.length === 0 ? [] : [`${ring} runs ${[...new Set(unknown)].join(', ')}`]
  })
  if (lost.length > 0) return refuse('previous', 'PREVIOUS_UNKNOWN', `${lost.join('; ')}, which is not in the catalog`)
  const first = rings.filter(({ ring }) => (fallbacks[ring] ?? null) === null).map(({ ring }) => ring)
  if (first.length > 0)
    return note('previous', `nothing to go back to in ${first.join(', ')}: nothing ran there before`)
  const backs = [...new Set(Object.values(fallbacks).flatMap((ref) => ref?.build ?? []))]
  return pass('previous', `the way back leads to ${backs.join(', ')}`)
}

/** The calendar is asked for now, not for when the release was planned. */
function windows({ closure }: PreflightFacts): readonly Finding[] {
  if (closure === undefined) return []
  return [closure === null ? pass('windows', 'deploy hours') : refuse('windows', 'WINDOW_CLOSED', closure.message)]
}

function knows(builds: readonly CatalogEntry[], build: string): boolean {
  return builds.some((entry) => entry.build === build)
}

function lineage({ entry, builds, fallbacks, ancestry }: PreflightFacts): Finding {
  const running = [...new Set(Object.values(fallbacks).flatMap((ref) => ref?.build ?? []))]
  const found = running.map((build) =>
    lineageOf(entry, builds.find((known) => known.build === build) ?? null, ancestry),
  )
  const broken = found.find(({ verdict }) => verdict === 'not')
  if (broken !== undefined) return refuse('lineage', 'LINEAGE_BROKEN', broken.message)
  const silent = found.find(({ verdict }) => verdict === 'nothing-to-compare')
  if (silent !== undefined) return note('lineage', `nothing to compare: ${silent.message}`)
  if (found.length === 0) return pass('lineage', 'nothing ran before')
  return pass('lineage', [...new Set(found.map(({ message }) => message))].join('; '))
}
