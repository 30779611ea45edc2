// Owns docs/machine.md, printed from the puller's table: `npm run docs` writes it, a test tells when it is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PHASES } from '#fleet/node-status.ts'
import { TABLE, type Table } from '#puller/core/table.ts'
import { PROJECT } from './source.ts'

export const MACHINE_DOC = 'docs/machine.md'

/** The whole page: a diagram of the phases and every edge in a table. */
export function machineDoc(): string {
  const table: Table = TABLE
  const edges = PHASES.flatMap((from) =>
    Object.entries(table[from]).map(([edge, [to, begin]]) => ({ from, edge, to, begin })),
  )
  const arrows = new Map<string, string[]>()
  for (const { from, edge, to } of edges) {
    if (from === to) continue
    const arrow = `${from} --> ${to}`
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), edge])
  }
  return [
    '# What a node may do',
    '',
    'Printed from `puller/core/table.ts` by `npm run docs`: do not edit.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    '    [*] --> idle',
    ...[...arrows].map(([arrow, names]) => `    ${arrow}: ${names.join(', ')}`),
    '```',
    '',
    '| phase | edge | leads to | begins |',
    '| --- | --- | --- | --- |',
    ...edges.map(({ from, edge, to, begin }) => `| ${from} | ${edge} | ${to} | ${begin} |`),
    '',
  ].join('\n')
}

if (import.meta.main) writeFileSync(join(PROJECT, MACHINE_DOC), machineDoc())
