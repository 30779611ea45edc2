// Owns how the demo looks: the live lines of its nodes, and the table at the end. Text in, text out.
import { formatBytes, formatDuration } from '#fleet/duration.ts'
import { PHASES } from '#fleet/node-status.ts'
import type { Act, Arrival, Findings } from './score.ts'
import { arrivalOf } from './score.ts'
import type { LoadReport, Sighting } from './traffic.ts'

export interface NodeLine {
  readonly name: string
  /** What the node says it is doing; only for the eye, nothing is counted from it. */
  readonly phase: string
}

/** So that the columns stand still while phases change. */
const LONGEST_PHASE = Math.max(...PHASES.map((phase) => phase.length))
const COUNT = new Intl.NumberFormat('en')

/** One line a node and one of sums, as they are now. */
export function liveLines(nodes: readonly NodeLine[], load: LoadReport | null, perSecond: number): readonly string[] {
  const rows = nodes.map(({ name, phase }) => {
    const seen = load?.nodes[name]
    const waiting = seen !== undefined && seen.open > perSecond / 4 ? `${seen.open} requests on hold` : ''
    return [name, phase.padEnd(LONGEST_PHASE), shortBuild(seen?.build ?? ''), waiting]
  })
  return ['', ...columns([['node', 'phase', 'answers', ''], ...rows]), sumLine(load)]
}

function sumLine(load: LoadReport | null): string {
  if (load === null) return 'no traffic yet'
  const nodes = Object.values(load.nodes)
  const sum = (pick: (node: (typeof nodes)[number]) => number): string =>
    COUNT.format(nodes.reduce((total, node) => total + pick(node), 0))
  return `${sum((node) => node.served)} requests served, ${sum((node) => node.failed)} failed, ${sum((node) => node.mixed)} mixed two builds`
}

/** The builds that answer now and how many nodes each, as `1 ×6, 2 ×2`: for output that is no terminal. */
export function answersLine(load: LoadReport | null): string {
  const counts = new Map<string, number>()
  for (const { build } of Object.values(load?.nodes ?? {})) counts.set(build, (counts.get(build) ?? 0) + 1)
  const builds = [...counts].toSorted().map(([build, nodes]) => `${shortBuild(build)} on ${nodes}`)
  return `${builds.join(', ')}; ${sumLine(load)}`
}

/** Build ids of the demo end in their number: `20261122T160412-2` is shown as `build 2`. */
export function shortBuild(build: string): string {
  const ordinal = /-(\d)$/.exec(build)?.[1]
  return ordinal === undefined ? build : `build ${ordinal}`
}

/** The table at the end. */
export function finalTable(findings: Findings, nodes: readonly string[], seen: readonly Sighting[]): readonly string[] {
  const head = ['', 'fetched, all nodes', 'build size', 'per node', 'key to first node', 'key to last node']
  const rows = findings.acts.map((act) => actRow(act, nodes.length, arrivalFor(act, nodes, seen)))
  const { totals, reverted } = findings
  return [
    ...columns([head, ...rows]),
    '',
    ...columns([
      ['requests served', COUNT.format(totals.served)],
      ['requests failed', COUNT.format(totals.failed)],
      ['answers mixing two builds', COUNT.format(totals.mixed)],
      ['least asked node', `${totals.leastPerSecond.toFixed(1)} requests a second`],
      ['longest answer', `${formatDuration(totals.longestMs)} (held while its node was out of service)`],
      ['reverted by themselves', reverted.length === 0 ? 'none' : reverted.join(', ')],
    ]),
  ]
}

function arrivalFor(act: Act, nodes: readonly string[], seen: readonly Sighting[]): Arrival | null {
  return act.writtenAtMs === null ? null : arrivalOf(act.build, act.writtenAtMs, nodes, seen)
}

function actRow(act: Act, nodes: number, arrival: Arrival | null): readonly string[] {
  const share = act.artifactBytes === 0 ? 0 : (100 * act.fetchedBytes) / nodes / act.artifactBytes
  return [
    act.title,
    formatBytes(act.fetchedBytes),
    formatBytes(act.artifactBytes),
    `${share.toFixed(share > 0 && share < 10 ? 1 : 0)} %`,
    arrival?.firstMs == null ? '–' : formatDuration(arrival.firstMs),
    arrival?.lastMs == null ? '–' : formatDuration(arrival.lastMs),
  ]
}

/** Pads every column to its widest cell. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
