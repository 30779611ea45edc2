// Owns docs/performance.md, printed from the results that lie in bench/results.
import { holds, type Promised, type Result } from '#bench/kit/result.ts'
import { markdownTable, medianRows, plain } from '#bench/kit/table.ts'
import { HOW, REASONS, TREES, TRIED } from './prose.ts'

export const PAGE = 'docs/performance.md'

/** The whole page. */
export function performancePage(results: readonly Result[]): string {
  const promises = results.flatMap((result) => result.promises).toSorted((a, b) => a.order - b.order)
  const lines = [
    '# Performance',
    '',
    'Printed from `bench/results` by `npm run bench:doc`: do not edit.',
    '',
    '## What was promised, and what holds',
    '',
    ...promiseLines(promises),
    '## How it is measured',
    '',
    HOW,
    '',
    TREES,
    '',
    ...machineLines(results),
    ...results.flatMap(resultLines),
    '## What was tried',
    '',
    TRIED,
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

function promiseLines(promises: readonly Promised[]): readonly string[] {
  if (promises.length === 0) return ['Nothing was measured yet.', '']
  const rows = promises.map((one) => [
    one.text,
    `${plain(one.measured)} ${one.unit}`,
    `${one.most} ${one.unit}`,
    holds(one) ? 'yes' : '**no**',
  ])
  const broken = promises.filter((one) => !holds(one))
  const plainly =
    broken.length === 0 ? 'All of it holds.' : `${broken.length} of ${promises.length} do not hold on this machine.`
  return [
    ...markdownTable([['promise', 'measured', 'at most', 'holds'], ...rows]),
    '',
    plainly,
    '',
    ...broken.flatMap(({ order, text }) => {
      const reason = REASONS[order]
      return reason === undefined ? [] : [`*${text}*: ${reason}`, '']
    }),
  ]
}

function machineLines(results: readonly Result[]): readonly string[] {
  const facts = new Map<string, string[]>()
  for (const { bench, machine, versions } of results) {
    const text = [...Object.entries(machine), ...Object.entries(versions)]
      .map(([name, fact]) => `${name}: ${fact}`)
      .join(' · ')
    facts.set(text, [...(facts.get(text) ?? []), bench])
  }
  return [...facts].flatMap(([text, benches]) => [`Measured on (${benches.join(', ')}): ${text}.`, ''])
}

function resultLines({ title, bench, at, rounds, notes, measured, ratios }: Result): readonly string[] {
  const counted = measured.some(({ medians }) => medians.count !== undefined)
  const of = counted ? 'medians and 99th percentiles over `count`' : `medians of ${rounds} rounds`
  return [
    `## ${title}`,
    '',
    `\`npm run bench -- ${bench}\`, ${at.slice(0, 10)}, ${of}.`,
    '',
    ...notes.flatMap((note) => [note, '']),
    ...markdownTable(medianRows(measured)),
    '',
    ...measured.map(({ name, what }) => `- \`${name}\`: ${what}`),
    '',
    ...(ratios.length === 0
      ? []
      : [...markdownTable([['quotient', ''], ...ratios.map(({ name, value }) => [name, value.toFixed(3)])]), '']),
  ]
}
