// Owns what a bench leaves behind: its JSON in bench/results, with the machine, the versions, every sample and what follows from them.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Measured } from './rounds.ts'

/** Where committed results lie. */
export const RESULTS = join(import.meta.dirname, '../results')

/** A quotient of two medians of one run. */
export interface Ratio {
  readonly name: string
  readonly value: number
}

/** A promise of the project, and what became of it. */
export interface Promised {
  /** Orders the table of promises. */
  readonly order: number
  readonly text: string
  readonly unit: '×' | 'ms' | 'MiB' | '%'
  readonly measured: number
  readonly most: number
}

export function holds({ measured, most }: Promised): boolean {
  return measured <= most
}

/** One bench's findings. */
export interface Findings {
  readonly title: string
  /** What was compared, and how, in sentences. */
  readonly notes: readonly string[]
  readonly parameters: Readonly<Record<string, unknown>>
  readonly measured: readonly Measured[]
  readonly ratios: readonly Ratio[]
  readonly promises: readonly Promised[]
}

export interface Result extends Findings {
  readonly v: 1
  readonly bench: string
  readonly at: string
  readonly seconds: number
  readonly rounds: number
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
}

/** What must be known of a machine to read its figures. @param dir where the scratch files lay */
export function machineFacts(dir: string): Result['machine'] {
  const of = (field: string) => execFileSync('findmnt', ['-n', '-o', field, '-T', dir], { encoding: 'utf8' }).trim()
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    fileSystem: of('FSTYPE'),
    mountOptions: of('OPTIONS'),
  }
}

export function writeResult(dir: string, result: Result): void {
  mkdirSync(dir, { recursive: true })
  const rounded = (_key: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value
  // One sample a line: what differs between two runs is then easy to see.
  const text = JSON.stringify(result, rounded, 2).replace(/\{\n\s+([^{}[\]]+?)\n\s+\}/g, (_, fields: string) => {
    return `{ ${fields.replace(/\n\s+/g, ' ')} }`
  })
  writeFileSync(join(dir, `${result.bench}.json`), `${text}\n`)
}

/** All results that lie there, sorted by name; none when there is no such directory. */
export function readResults(dir: string): readonly Result[] {
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.json')) : []
  return names.toSorted().map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Result)
}

/** The quotient of two medians; the names say of what. */
export function ratio(
  measured: readonly Measured[],
  [over, overKey = 'ms']: readonly [name: string, key?: string],
  [under, underKey = 'ms']: readonly [name: string, key?: string],
): Ratio {
  const value = medianOf(measured, over, overKey) / medianOf(measured, under, underKey)
  return { name: `${over} ${overKey} ÷ ${under} ${underKey}`, value }
}

export function medianOf(measured: readonly Measured[], name: string, key: string): number {
  const value = measured.find((one) => one.name === name)?.medians[key]
  if (value === undefined) throw new RangeError(`${name} has no ${key}`)
  return value
}
