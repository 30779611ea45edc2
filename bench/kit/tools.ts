// Owns the other programs that benches measure us against: where they are, and which version each is.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const CACHE = join(import.meta.dirname, '../../.cache')

/**
 * Where each may be. rsync: Debian's stable 3.2.7 first, which is several times faster here than the 3.5 that its security suite brought
 * later; whoever is compared with rsync is compared with the faster one.
 */
const PLACES = {
  rsync: [join(CACHE, 'rsync/root/usr/bin/rsync'), 'rsync'],
  casync: ['casync'],
  desync: [join(CACHE, 'desync/root/usr/bin/desync'), 'desync'],
  tar: ['tar'],
  zstd: ['zstd'],
  curl: ['curl'],
  cap: ['cap'],
  sshd: ['/usr/sbin/sshd', 'sshd'],
  git: ['git'],
  consul: [join(CACHE, 'consul/root/usr/bin/consul'), 'consul'],
} as const

export type Tool = keyof typeof PLACES

/** Absolute paths by name; what is not installed is left out. */
export type Tools = Partial<Readonly<Record<Tool, string>>>

export function findTools(without: readonly string[] = []): Tools {
  const wanted = (Object.keys(PLACES) as Tool[]).filter((tool) => !without.includes(tool))
  const found = wanted.map((tool) => [tool, find(PLACES[tool])] as const)
  return Object.fromEntries(found.filter(([, path]) => path !== null))
}

function find(places: readonly string[]): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  const paths = places.flatMap((place) =>
    place.startsWith('/') ? [place] : folders.map((folder) => join(folder, place)),
  )
  return paths.find((path) => existsSync(path)) ?? null
}

/** @throws Error that names the command that installs it */
export function need(tools: Tools, tool: Tool): string {
  const path = tools[tool]
  if (path === undefined) throw new Error(`${tool} is not installed: run .ci/components bench`)
  return path
}

const ASK: Partial<Readonly<Record<Tool, readonly string[]>>> = { consul: ['version'], sshd: ['-V'], desync: [] }

/** The first line that each says of itself; of one that tells no version, the digest of the program. */
export function versionsOf(tools: Tools): Readonly<Record<string, string>> {
  const said = Object.entries(tools).map(([tool, path]) => [tool, versionOf(path, ASK[tool as Tool] ?? ['--version'])])
  return { node: process.version, ...Object.fromEntries(said) }
}

function versionOf(path: string, args: readonly string[]): string {
  if (args.length === 0) return `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)}…`
  const { stdout, stderr } = spawnSync(path, [...args], { encoding: 'utf8' })
  const line = `${stdout}\n${stderr}`.split('\n').find((said) => /\d/.test(said)) ?? 'unknown'
  return line
    .replaceAll(/[*\s]+/g, ' ')
    .replace(/ \(x86.*/, '')
    .trim()
}
