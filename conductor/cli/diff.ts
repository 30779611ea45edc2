// Owns `conduct diff`: what a build changes against another, from their manifests, and where to read the commits between them.
import { type Comparison, commitRange, compareEntries, type FileChange } from '#conductor/core/compare.ts'
import { readManifest } from '#conductor/shell/read-manifest.ts'
import { formatBytes } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Manifest } from '#fleet/manifest.ts'
import type { BuildStore, CatalogEntry } from '#fleet/ports.ts'
import { plain } from './reporter.ts'
import { whatRuns } from './running.ts'
import { columns, counted } from './words.ts'
import type { Bench } from './world.ts'

/** Files that are printed without `--all`. */
const SHOWN = 40

const SIGNS: Readonly<Record<FileChange['kind'], string>> = { added: '+', removed: '-', changed: '~' }

/** @param options.base the build to compare with; null: what runs in the last ring */
export async function diff(
  bench: Bench,
  options: { readonly build: string; readonly base: string | null; readonly all: boolean },
): Promise<number> {
  const { app, ports, report, evidence, signal } = bench
  const { builds, ring, last } = await whatRuns(bench)
  const base = options.base ?? last?.build ?? null
  if (base === null) {
    throw new FleetError('USAGE', `nothing runs in ${ring} yet: name the build to compare ${options.build} with`)
  }
  const [from, to] = [entryOf(bench, builds, base), entryOf(bench, builds, options.build)]
  const store = await ports.store()
  const [before, after] = await Promise.all([manifestOf(store, from, bench), manifestOf(store, to, bench)])
  signal.throwIfAborted()
  const compared = compareEntries(before.entries, after.entries)
  const commits = commitRange(from, to, evidence.compare)
  if (report.json) {
    report.document({ app, from: from.build, to: to.build, commits, ...compared })
    return 0
  }
  const where = options.base === null ? `, which runs in ${ring}` : ''
  report.result(`${to.build} against ${from.build}${where}: ${summary(compared)}.`)
  for (const line of lines(compared, options.all ? Number.POSITIVE_INFINITY : SHOWN)) report.result(`  ${line}`)
  const [first, second] = [commits.from ?? 'no commit', commits.to ?? 'no commit']
  const range =
    commits.from !== null && commits.from === commits.to ? `${first}, the same in both` : `${first}..${second}`
  report.result(`Commits: ${plain(range)}${commits.link === null ? '' : `  ${plain(commits.link)}`}`)
  return 0
}

function entryOf({ app }: Bench, builds: readonly CatalogEntry[], build: string): CatalogEntry {
  const entry = builds.find((known) => known.build === build)
  if (entry === undefined) throw new FleetError('BUILD_UNKNOWN', `${build} is not in the catalog of ${app}`)
  return entry
}

async function manifestOf(store: BuildStore, entry: CatalogEntry, { app, signal }: Bench): Promise<Manifest> {
  const published = await readManifest(store, { app, build: entry.build, digest: entry.manifest }, signal)
  if (published === null) throw new FleetError('STORE_MISSING', `the manifest of ${entry.build} is not in the store`)
  return published.manifest
}

function summary({ counts, toBytes }: Comparison): string {
  const { added, removed, changed, same } = counts
  if (added + removed + changed === 0) return `no difference in ${counted(same, 'entry', 'entries')}`
  return `${added} added, ${removed} removed, ${changed} changed (${formatBytes(toBytes)}), ${same} the same`
}

function lines({ changes }: Comparison, most: number): readonly string[] {
  const rows = changes.slice(0, most).map(({ kind, path, type, fromBytes, toBytes, note }) => {
    const sizes = [fromBytes, toBytes].flatMap((bytes) => (bytes === null ? [] : [formatBytes(bytes)]))
    const size = type === 'd' ? 'directory' : type === 'l' ? 'link' : [...new Set(sizes)].join(' to ')
    return [SIGNS[kind], plain(path), note ?? size]
  })
  const hidden = changes.length - rows.length
  return hidden > 0 ? [...columns(rows), `… and ${counted(hidden, 'more')}: --all lists them`] : columns(rows)
}
