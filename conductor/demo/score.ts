// Owns what the demo proves: how fast the key reached the nodes, what it cost, and the sentences for which it exits 1.
import type { LoadReport, NodeLoad, Sighting } from './traffic.ts'

/** The least that every node must have been asked, as the demo promises. */
const PROMISED_PER_SECOND = 50

/** One act of the demo, as it was measured from outside. */
export interface Act {
  readonly title: string
  /** Build that the act wanted on every node. */
  readonly build: string
  /** Wall time of the first write of the key in this act; null when it wrote nothing. */
  readonly writtenAtMs: number | null
  /** What all nodes together fetched in it. */
  readonly fetchedBytes: number
  /** Size of the published artifact. */
  readonly artifactBytes: number
}

export interface Arrival {
  /** Milliseconds from the write of the key to the first and the last node whose answers showed the build; null when none or not all did. */
  readonly firstMs: number | null
  readonly lastMs: number | null
  readonly missing: readonly string[]
}

/** When the nodes' answers changed to `build` after `sinceMs`, by what they answered and nothing else. */
export function arrivalOf(
  build: string,
  sinceMs: number,
  nodes: readonly string[],
  seen: readonly Sighting[],
): Arrival {
  const times = new Map<string, number>()
  for (const { node, build: answered, atMs } of seen) {
    if (answered === build && atMs >= sinceMs && !times.has(node)) times.set(node, atMs - sinceMs)
  }
  const missing = nodes.filter((node) => !times.has(node))
  const taken = [...times.values()]
  return {
    firstMs: taken.length === 0 ? null : Math.min(...taken),
    lastMs: taken.length === 0 || missing.length > 0 ? null : Math.max(...taken),
    missing,
  }
}

export interface Totals {
  readonly sent: number
  readonly served: number
  readonly failed: number
  readonly mixed: number
  readonly longestMs: number
  /** Requests a second to the node that was asked least. */
  readonly leastPerSecond: number
  /** A few reasons, with the node that gave them. */
  readonly why: { readonly failed: readonly string[]; readonly mixed: readonly string[] }
}

export function totalsOf(report: LoadReport, elapsedMs: number): Totals {
  const nodes = Object.entries(report.nodes)
  const sum = (of: (load: NodeLoad) => number): number => nodes.reduce((total, [, load]) => total + of(load), 0)
  const reasons = (of: 'failed' | 'mixed'): readonly string[] =>
    nodes.flatMap(([node, load]) => load.why[of].map((why) => `${node}: ${why}`)).slice(0, 2)
  return {
    sent: sum((load) => load.sent),
    served: sum((load) => load.served),
    failed: sum((load) => load.failed),
    mixed: sum((load) => load.mixed),
    longestMs: Math.max(0, ...nodes.map(([, load]) => load.longestMs)),
    leastPerSecond: elapsedMs <= 0 ? 0 : Math.min(...nodes.map(([, load]) => (load.sent * 1_000) / elapsedMs)),
    why: { failed: reasons('failed'), mixed: reasons('mixed') },
  }
}

/** Everything the demo found out, from outside: HTTP answers, the key, the pullers' byte counters. */
export interface Findings {
  readonly totals: Totals
  readonly acts: readonly Act[]
  readonly reverted: readonly string[]
  readonly rollback: { readonly fetchedBytes: number; readonly keyBuild: string | null; readonly previous: string }
  /** What did not go as the story goes, in sentences. */
  readonly surprises: readonly string[]
}

/** The reasons to exit 1, in sentences; none when the demo kept its promises. */
export function broken(findings: Findings): readonly string[] {
  const { totals, rollback, reverted, surprises } = findings
  const said: string[] = [...surprises]
  if (totals.failed > 0) said.push(`${totals.failed} requests failed (${totals.why.failed.join('; ')})`)
  if (totals.mixed > 0) said.push(`${totals.mixed} answers mixed two builds (${totals.why.mixed.join('; ')})`)
  if (totals.served === 0) said.push('no request was served')
  if (totals.sent !== totals.served + totals.failed + totals.mixed) said.push('some requests were never answered')
  if (totals.leastPerSecond < PROMISED_PER_SECOND) {
    said.push(`a node was asked only ${totals.leastPerSecond.toFixed(1)} times a second`)
  }
  if (reverted.length === 0) said.push('no node reverted the broken build by itself')
  if (rollback.fetchedBytes > 0) said.push(`the rollback fetched ${rollback.fetchedBytes} bytes`)
  if (rollback.keyBuild !== rollback.previous) {
    said.push(`the key names ${rollback.keyBuild ?? 'no build'}, not the previous one, ${rollback.previous}`)
  }
  return said
}
