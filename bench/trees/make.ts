// Owns making the trees that are benched: files, sizes and depths as a web application with its dependencies has them, from a seed.
import { chmodSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { normal, pick, type Random, seeded } from '#bench/kit/random.ts'
import { type Content, contentOf } from './content.ts'

/** How large a tree is. */
export interface Size {
  readonly name: string
  readonly files: number
  readonly bytes: number
  /** One file of this length is among them. */
  readonly largeBytes: number
  /** Changes of type from build to build, where that is not in proportion to the files. */
  readonly retyped?: number
}

export const SIZES = {
  '20k': { name: '20k', files: 20_000, bytes: 200e6, largeBytes: 20e6 },
  '60k': { name: '60k', files: 60_000, bytes: 1_000e6, largeBytes: 100e6 },
  small: { name: 'small', files: 1_000, bytes: 10e6, largeBytes: 1e6 },
  tiny: { name: 'tiny', files: 300, bytes: 4e6, largeBytes: 1e6, retyped: 5 },
} as const satisfies Record<string, Size>

export type Kind = 'text' | 'noise' | 'mixed'

export type Node =
  | { readonly type: 'file'; readonly bytes: number; readonly kind: Kind }
  | { readonly type: 'link'; readonly target: string }

/** What a tree holds, by path; directories are those that the paths need. */
export type Tree = ReadonlyMap<string, Node>

export const LARGE_FILE = 'var/data/index.db'

/** Seconds since 1970 of the first build; each later one is an hour younger, so that rsync's quick check sees what changed. */
const FIRST_SECONDS = 1_767_225_600

export function secondsOf(version: number): number {
  return FIRST_SECONDS + 3_600 * version
}

const TOPS = ['app', 'config', 'lib', 'public', 'var/data', 'vendor']
const STEMS = ['index', 'view', 'model', 'route', 'test', 'util', 'form', 'page', 'icon', 'theme', 'locale', 'schema']
const TEXT_ENDS = ['js', 'js', 'js', 'ts', 'json', 'css', 'html', 'map', 'md', 'php', 'svg', 'txt']
const NOISE_ENDS = ['png', 'jpg', 'woff2', 'webp', 'gz']
const DEEPEST = 8
const FILES_PER_DIRECTORY = 8
const FILES_PER_LINK = 600
const LEAST_LINKS = 10
/** Sizes are log-normal: most files of a few KiB, a few of megabytes. */
const SPREAD = 1.6
const MEDIAN_BYTES = 3_000
const MOST_BYTES = 4e6
const NOISE_SHARE = 0.12

/** The plan of a tree. */
export function planTree(size: Size, seed: number): Tree {
  const random = seeded(seed)
  const directories = directoriesOf(random, Math.ceil(size.files / FILES_PER_DIRECTORY))
  const files = Array.from({ length: size.files - 1 }, (_, index) => {
    const noise = random() < NOISE_SHARE
    const ends = noise ? NOISE_ENDS : TEXT_ENDS
    const name = `${STEMS[pick(random, STEMS.length)]}-${index.toString(36)}.${ends[pick(random, ends.length)]}`
    // Some directories hold many files, most a few.
    const directory = directories[Math.floor(directories.length * random() ** 1.3)]
    return { path: `${directory}/${name}`, bytes: bytesOf(random), noise }
  })
  const scale = (size.bytes - size.largeBytes) / files.reduce((sum, { bytes }) => sum + bytes, 0)
  const tree = new Map<string, Node>()
  for (const { path, bytes, noise } of files) {
    tree.set(path, { type: 'file', bytes: Math.ceil(bytes * scale), kind: noise ? 'noise' : 'text' })
  }
  tree.set(LARGE_FILE, { type: 'file', bytes: size.largeBytes, kind: 'mixed' })
  for (let index = 0; index < Math.max(LEAST_LINKS, size.files / FILES_PER_LINK); index += 1) {
    const target = files[pick(random, files.length)]?.path ?? ''
    tree.set(`vendor/.bin/run-${index}`, { type: 'link', target: `../../${target}` })
  }
  return tree
}

/** A length as files have it, before the whole tree is scaled to its size. */
function bytesOf(random: Random): number {
  return Math.min(MOST_BYTES, Math.ceil(MEDIAN_BYTES * Math.exp(SPREAD * normal(random))))
}

function directoriesOf(random: Random, count: number): readonly string[] {
  const directories = [...TOPS]
  while (directories.length < count) {
    const above = directories[pick(random, directories.length)] ?? ''
    if (above.split('/').length >= DEEPEST) continue
    directories.push(`${above}/${STEMS[pick(random, STEMS.length)]}${directories.length.toString(36)}`)
  }
  return directories
}

/** Writes the first build of a tree. */
export function writeTree(dir: string, tree: Tree, seed: number): void {
  const random = seeded(seed + 1)
  const content = contentOf(seed)
  const made = new Set<string>()
  for (const [path, node] of tree) {
    const at = join(dir, path)
    const above = dirname(at)
    if (!made.has(above)) mkdirSync(above, { recursive: true })
    made.add(above)
    put(at, node, node.type === 'file' ? fill(content, random, node) : null, 0)
  }
}

export function fill(content: Content, random: Random, { kind, bytes }: { kind: Kind; bytes: number }): Buffer {
  return content[kind](random, bytes)
}

/** Writes one file or link as the build of this number has it. */
export function put(at: string, node: Node, bytes: Buffer | null, version: number): void {
  const seconds = secondsOf(version)
  if (node.type === 'link') {
    symlinkSync(node.target, at)
    lutimesSync(at, seconds, seconds)
    return
  }
  writeFileSync(at, bytes ?? '', { flag: 'wx' })
  if (at.endsWith('.php')) chmodSync(at, 0o755)
  utimesSync(at, seconds, seconds)
}
