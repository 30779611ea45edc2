// Owns the small verbs: init, builds and status.

import { type Picture, pictureOf } from '#conductor/core/picture.ts'
import { type Observation, observe } from '#conductor/shell/observe.ts'
import type { Name } from '#fleet/build.ts'
import { formatBytes } from '#fleet/duration.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { openingSeen } from './calendar.ts'
import { renderPicture } from './render.ts'
import { plain } from './reporter.ts'
import { ageOf, columns, counted, listed } from './words.ts'
import type { Bench } from './world.ts'

export async function init(bench: Bench, options: { readonly dryRun: boolean }): Promise<number> {
  const { app, rings, ports, report, signal } = bench
  const view = await ports.ledger.view(rings, signal)
  const missing = rings.filter((ring) => (view.targets[ring]?.raw ?? null) === null)
  const created = options.dryRun ? missing : await ports.ledger.init(rings, signal)
  if (report.json) {
    const there = rings.filter((ring) => !created.includes(ring))
    report.document({ app, created, there, dryRun: options.dryRun })
    return 0
  }
  const verb = options.dryRun ? 'Would create' : 'Created'
  if (created.length > 0)
    report.result(
      `${verb} ${listed(
        created.map((ring) => `${app}/${ring}`),
        8,
      )}.`,
    )
  const there = rings.filter((ring) => !created.includes(ring)).map((ring) => `${app}/${ring}`)
  if (there.length > 0) {
    report.result(`${listed(there, 8)} ${there.length === 1 ? 'is' : 'are'} there already: nothing was changed.`)
  }
  return 0
}

export async function builds(bench: Bench, options: { readonly limit: number }): Promise<number> {
  const { app, ports, report, signal, clock, rings } = bench
  const all = await ports.catalog.list(signal)
  const observed = await observe(ports, bench, signal)
  const shown = all.slice(0, options.limit)
  const running = (build: string) =>
    rings.filter((ring) => observed.fleet.rings[ring]?.nodes.some(({ status }) => status.hot === build))
  if (report.json) {
    report.document({ app, builds: shown.map((entry) => ({ ...entry, running: running(entry.build) })) })
    return 0
  }
  if (all.length === 0) {
    report.result(`No build of ${app} is published yet: conduct publish DIR publishes one.`)
    return 0
  }
  const rows = shown.map((entry) => buildRow(entry, running(entry.build), clock.now()))
  const [header = '', ...lines] = columns([['BUILD', 'AGE', 'SIZE', 'COMMIT', 'BY', 'RUNS IN', 'NOTE'], ...rows])
  report.result(report.paint.dim(header))
  for (const line of lines) report.result(line)
  if (shown.length < all.length) report.result(`… and ${counted(all.length - shown.length, 'older build')}.`)
  return 0
}

function buildRow(entry: CatalogEntry, runs: readonly Name[], nowMs: number): readonly string[] {
  const { build, createdAt, artifact, commit, by, checks, good, quarantine } = entry
  const notes = [
    ...(quarantine === null ? [] : [`quarantined by ${quarantine.by}: ${quarantine.reason}`]),
    ...Object.entries(checks).map(([name, state]) => `${name} ${state}`),
    ...(Object.keys(good).length > 0 ? [`good in ${Object.keys(good).join(', ')}`] : []),
  ]
  const size = formatBytes(artifact.bytes)
  const cells = [build, ageOf(createdAt, nowMs), size, commit?.slice(0, 12) ?? '-', by, runs.join(', ') || '-']
  return [...cells, notes.join('; ')].map(plain)
}

/** Everything that `status`, `watch` and the ends of verbs show. */
export async function look(bench: Bench): Promise<{ picture: Picture; observed: Observation }> {
  const { app, rings, ports, policy, clock, signal } = bench
  const first = await observe(ports, { app, rings, policy }, signal)
  // An open rollout may be about rings that were not asked for; they are observed for its reasons, and not shown.
  const open = Object.keys(first.rollout?.fallbacks ?? {}) as Name[]
  const unseen = open.filter((ring) => !rings.includes(ring))
  const observed =
    unseen.length === 0 ? first : await observe(ports, { app, rings: [...rings, ...unseen], policy }, signal)
  const [lease, catalog] = await Promise.all([ports.locks.holder(signal), ports.catalog.list(signal)])
  const views = rings.flatMap((ring) => observed.fleet.rings[ring] ?? [])
  const { fleet, rollout } = observed
  const opening = await openingSeen(bench)
  return {
    picture: pictureOf({ app, rings: views, fleet, rollout, lease, builds: catalog, now: clock.now(), opening }),
    observed,
  }
}

export async function status(bench: Bench, options: { readonly nodes: boolean }): Promise<number> {
  const { report, clock } = bench
  const { picture } = await look(bench)
  if (report.json) report.document(picture)
  else for (const line of renderPicture(picture, report.paint, clock.now(), options)) report.result(line)
  return 0
}
