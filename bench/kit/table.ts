// Owns tables as text: on a terminal, and as Markdown.
import type { Measured } from './rounds.ts'

/** Columns as wide as they must be; the first is left-aligned, the others right. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ')
  return rows.map(line).join('\n')
}

export function markdownTable(rows: readonly (readonly string[])[]): readonly string[] {
  const [head = [], ...body] = rows
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...body.map(line)]
}

/** A row for each contestant, a column for each figure that any of them has. */
export function medianRows(measured: readonly Measured[]): readonly (readonly string[])[] {
  const keys = [...new Set(measured.flatMap(({ medians }) => Object.keys(medians)))]
  const cell = (value: number | undefined, key: string) => (value === undefined ? '' : shown(value, key))
  return [
    ['', ...keys.map(heading)],
    ...measured.map(({ name, medians }) => [name, ...keys.map((key) => cell(medians[key], key))]),
  ]
}

const UNITS: Readonly<Record<string, string>> = { Bytes: 'MB', Ms: 'ms', MiB: 'MiB', Percent: '%' }

/** `fetchedBytes` → `fetched MB`. */
export function heading(key: string): string {
  const unit = Object.keys(UNITS).find((ending) => key.endsWith(ending) && key !== ending)
  const words = unit === undefined ? key : key.slice(0, -unit.length)
  const spaced = words.replace(
    /([a-z0-9])([A-Z])/g,
    (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
  )
  return unit === undefined ? spaced : `${spaced} ${UNITS[unit]}`
}

/** A plain figure: three digits where there is a fraction. */
export function plain(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value === 0 ? '0' : value.toPrecision(value >= 1 ? 3 : 2)
}

/** A figure in the unit of its heading. */
export function shown(value: number, key: string): string {
  if (/Bytes$/.test(key)) return (value / 1e6).toFixed(2)
  return Number.isInteger(value) ? value.toLocaleString('en') : plain(value)
}
