// Owns what `conduct release --dry-run` says: what would begin or go on, where, and what is in the way.
import { obstacles } from '#conductor/core/preflight.ts'
import { previewRing } from '#conductor/core/preview.ts'
import { ringOf } from '#conductor/shell/observe.ts'
import type { Decided } from './deciding.ts'
import { findingLines } from './preflight.ts'
import { counted } from './words.ts'
import type { Bench } from './world.ts'

/** Returns the exit code that the release itself would begin with: 3 when it would be refused. */
export function dryRun(bench: Bench, start: Decided, forced: readonly string[]): number {
  const { report, policy } = bench
  if (start.kind === 'already') return 0
  const build = start.kind === 'begin' ? start.beginning.build : start.rollout.build
  const refused = obstacles(start.findings, forced).length > 0
  const previews = bench.rings.map((ring) => previewRing(ringOf(start.observed, ring), build, policy))
  if (report.json) {
    const begins = start.kind === 'begin'
    report.document({ app: bench.app, dryRun: true, build, begins, rings: previews, checks: start.findings, forced })
    return refused ? 3 : 0
  }
  if (refused) report.result(`Would refuse to release ${build}:`)
  else
    report.result(
      start.kind === 'begin' ? `Would release ${build}.` : `Would go on with rollout ${start.rollout.id} of ${build}.`,
    )
  for (const { ring, nodes, there, warm, download, silent, cap } of previews) {
    const parts = [`${there} run it already`, `${warm} hold it in cold`, `${download.length} must fetch it`]
    const quiet = silent > 0 ? `, ${silent} silent` : ''
    report.result(
      `  ${ring}: ${counted(nodes, 'node')} (${parts.join(', ')}${quiet}), at most ${cap} out of service at once.`,
    )
  }
  for (const line of findingLines(start.findings, forced)) report.result(line)
  return refused ? 3 : 0
}
