// Owns `conduct publish`: a directory becomes a build; the id alone goes to stdout, so that scripts can read it.

import { forceIn, runningUnder } from '#conductor/core/force.ts'
import { isCommit, MOST_CONTAINED } from '#conductor/core/lineage.ts'
import { type Observation, observe } from '#conductor/shell/observe.ts'
import { type PublishProgress, publishBuild } from '#conductor/shell/publish.ts'
import { type BuildId, isBuildId } from '#fleet/build.ts'
import { formatBytes, formatDuration, formatRate } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { BuildRef } from '#fleet/rollout.ts'
import { counted } from './words.ts'
import type { Bench } from './world.ts'

export interface PublishOptions {
  readonly dir: string
  readonly build: string | null
  readonly commit: string | null
  readonly checks: readonly string[]
  /** Commits that the build contains, beside its own. */
  readonly contains: readonly string[]
  readonly dryRun: boolean
}

const STEPS: Readonly<Record<PublishProgress['step'], string>> = {
  scanning: 'Looking through the directory',
  hashing: 'Reading the files',
  uploading: 'Packing and uploading',
  deltas: 'Writing deltas for the builds that run now',
  cataloguing: 'Entering the catalog',
}
/** Redrawn no more often than this. */
const DRAW_MS = 100

export async function publish(bench: Bench, options: PublishOptions): Promise<number> {
  const { app, rings, ports, report, clock, by, signal, policy } = bench
  const { dir, commit } = options
  const build = options.build === null ? null : buildId(options.build)
  const checks = Object.fromEntries(options.checks.map(checkOf))
  const contains = commitsOf(options.contains)
  if (options.dryRun) {
    report.say(`Would publish ${dir} as ${build ?? 'a new build'} of ${app}; nothing was read or written.`)
    return 0
  }
  const store = await ports.store()
  const observed = await observe(ports, { app, rings, policy }, signal)
  const catalog = await ports.catalog.list(signal)
  const running = runningNow(observed, catalog)
  const request = { app, dir, commit, checks, contains, by, running, ...(build !== null && { build }) }
  const result = await publishBuild({ store, catalog: ports.catalog, clock }, request, progress(bench), signal)
  report.draw([])
  const { entries, rawBytes, bytes, ms, outcome } = result
  const size = `${counted(entries, 'entry', 'entries')}, ${formatBytes(rawBytes)}, ${formatBytes(bytes)} packed`
  const rate = formatRate(rawBytes, ms)
  if (report.json) report.document({ app, ...result, ms: Math.round(ms) })
  else report.result(result.build)
  report.say(
    outcome === 'published'
      ? `Published ${result.build} of ${app}: ${size}, in ${formatDuration(ms)}${rate && ` (${rate})`}.`
      : `${result.build} of ${app} is published already with this very content (${size}): nothing was changed.`,
  )
  return 0
}

/** What nodes run now, and what is ordered: whoever has one of these gets a delta. */
function runningNow({ fleet, rollout }: Observation, catalog: readonly CatalogEntry[]): readonly BuildRef[] {
  const views = Object.values(fleet.rings)
  const hot = new Set<string>(views.flatMap(({ nodes }) => nodes.flatMap(({ status }) => status.hot ?? [])))
  for (const view of views) hot.add(runningUnder(forceIn(view, rollout, catalog))?.build ?? '')
  return catalog.filter(({ build }) => hot.has(build)).map(({ build, manifest }) => ({ build, manifest }))
}

function buildId(text: string): BuildId {
  if (isBuildId(text)) return text
  const rule = 'letters, digits, dot, dash and underscore, at most 128, beginning with a letter or digit, without ".."'
  throw new FleetError('NAME_INVALID', `${JSON.stringify(text)} cannot be a build id: it is made of ${rule}`)
}

/** Words in one argument are several commits: `--contains "$(git rev-list -n 50 HEAD)"`. */
function commitsOf(given: readonly string[]): readonly string[] {
  const commits = [...new Set(given.flatMap((text) => text.split(/\s+/)).filter((word) => word !== ''))]
  const odd = commits.find((commit) => !isCommit(commit))
  if (odd !== undefined)
    throw new FleetError('USAGE', `--contains ${JSON.stringify(odd)} is no commit id of 7 to 64 digits`)
  if (commits.length <= MOST_CONTAINED) return commits
  throw new FleetError('USAGE', `--contains names ${commits.length} commits, a catalog entry holds ${MOST_CONTAINED}`)
}

function checkOf(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
  throw new FleetError('USAGE', `--check ${JSON.stringify(text)} is not name=state, like tests=passed`)
}

/** On a terminal a line that is redrawn; elsewhere one line per step. */
function progress({ report, clock }: Bench): (progress: PublishProgress) => void {
  let step: PublishProgress['step'] | null = null
  let stepMs = 0
  let drawnMs = 0
  return (now) => {
    const at = clock.monotonic()
    if (now.step !== step) {
      step = now.step
      stepMs = at
      if (!report.isLive) report.say(`${STEPS[now.step]}…`)
    } else if (at - drawnMs < DRAW_MS) return
    drawnMs = at
    const rate = formatRate(now.doneBytes, at - stepMs)
    const part =
      now.totalBytes === 0 ? '' : `  ${formatBytes(now.doneBytes)} of ${formatBytes(now.totalBytes)}  ${rate}`
    report.draw([`${STEPS[now.step]}…${part}`])
  }
}
