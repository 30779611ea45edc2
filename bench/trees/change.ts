// Owns the honest one per cent: the next build of a tree, its changes chosen uniformly from a seed, and the very bytes that changed.
import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { choose, pick, type Random, seeded } from '#bench/kit/random.ts'
import { type Content, contentOf } from './content.ts'
import { fill, LARGE_FILE, type Node, put, secondsOf, type Tree } from './make.ts'

/** At 60,000 files; at other sizes in proportion. */
const PER_60_000 = { rewritten: 400, appended: 100, added: 50, removed: 50, retyped: 5 }
const PATCHES = 3
const PATCH_BYTES = 8 * 1024
const APPEND_BYTES = 500

/** A build that was made from another. */
export interface Change {
  readonly tree: Tree
  /** What the new build has and the old one had not, in the order of the paths: rewritten and added files, appended and patched parts. */
  readonly changedBytes: number
  readonly compressedBytes: number
  readonly counts: Readonly<Record<keyof typeof PER_60_000 | 'patches', number>>
}

/** The state of a change in work. */
interface Work {
  readonly dir: string
  readonly tree: Map<string, Node>
  readonly random: Random
  readonly content: Content
  readonly version: number
  readonly changed: Map<string, Buffer>
}

/**
 * Makes `to` from `from`: hard links for what stays, new files for what changes, so that no other build is touched.
 * @param seed chooses what changes · @param version the number of the new build, which dates what is new in it
 * @param more other counts than the size of the tree gives
 */
export async function changeTree(
  from: { readonly dir: string; readonly tree: Tree },
  to: string,
  seed: number,
  version: number,
  more: Partial<Change['counts']> = {},
): Promise<Change> {
  execFileSync('cp', ['-al', from.dir, to])
  const files = [...from.tree].filter(([, node]) => node.type === 'file').length
  const counts = { ...countsFor(files), ...more }
  const work: Work = {
    dir: to,
    tree: new Map(from.tree),
    random: seeded(seed),
    content: contentOf(seed),
    version,
    changed: new Map(),
  }
  const { rewritten, appended, removed, added, retyped } = counts
  // One draw without putting back: no file is changed twice, and the large one has its own change.
  const candidates = filesOf(work).filter((path) => path !== LARGE_FILE)
  const drawn = choose(work.random, candidates, rewritten + appended + removed)
  for (const path of drawn.slice(0, rewritten)) rewrite(work, path)
  for (const path of drawn.slice(rewritten, rewritten + appended)) append(work, path)
  for (const path of drawn.slice(rewritten + appended)) remove(work, path)
  for (let index = 0; index < added; index += 1) add(work, index)
  for (let index = 0; index < retyped; index += 1) RETYPE[index % RETYPE.length]?.(work, index)
  patch(work)
  const paths = [...work.changed.keys()].sort()
  const bytes = Buffer.concat(paths.map((path) => work.changed.get(path) ?? Buffer.alloc(0)))
  return { tree: work.tree, counts, changedBytes: bytes.byteLength, compressedBytes: await compressedBytes(bytes) }
}

function countsFor(files: number): Change['counts'] {
  const of = (count: number) => Math.max(1, Math.round((count * files) / 60_000))
  const { rewritten, appended, added, removed, retyped } = PER_60_000
  return {
    rewritten: of(rewritten),
    appended: of(appended),
    added: of(added),
    removed: of(removed),
    retyped: of(retyped),
    patches: PATCHES,
  }
}

/** Bytes of one zstd frame of all of it, at the level that publish uses. */
export async function compressedBytes(bytes: Uint8Array): Promise<number> {
  const params = { [constants.ZSTD_c_compressionLevel]: 3 }
  return (await promisify(zstdCompress)(bytes, { params })).byteLength
}

function filesOf({ tree }: Work): string[] {
  return [...tree].filter(([, node]) => node.type === 'file').map(([path]) => path)
}

function write(work: Work, path: string, node: Node, bytes: Buffer | null): void {
  const at = join(work.dir, path)
  rmSync(at, { force: true })
  mkdirSync(dirname(at), { recursive: true })
  put(at, node, bytes, work.version)
  work.tree.set(path, node)
}

/** New content, as long as some file of the tree is. */
function create(work: Work, path: string, kind: 'text' | 'noise'): void {
  const like = work.tree.get(anyFile(work))
  const node = { type: 'file', bytes: like?.type === 'file' ? like.bytes : 0, kind } as const
  const bytes = fill(work.content, work.random, node)
  write(work, path, node, bytes)
  work.changed.set(path, bytes)
}

function rewrite(work: Work, path: string): void {
  const node = work.tree.get(path)
  create(work, path, node?.type === 'file' && node.kind === 'noise' ? 'noise' : 'text')
}

function append(work: Work, path: string): void {
  const more = work.content.text(work.random, APPEND_BYTES)
  grow(work, path, (at) => appendFileSync(at, more))
  work.changed.set(path, more)
}

/** Changes a copy of the file, so that other builds keep theirs. */
function grow(work: Work, path: string, change: (at: string) => void): void {
  const at = join(work.dir, path)
  const aside = `${at}.new`
  copyFileSync(at, aside)
  rmSync(at)
  copyFileSync(aside, at)
  rmSync(aside)
  change(at)
  const seconds = secondsOf(work.version)
  utimesSync(at, seconds, seconds)
}

function remove(work: Work, path: string): void {
  rmSync(join(work.dir, path))
  work.tree.delete(path)
}

function add(work: Work, index: number): void {
  create(work, `${dirname(anyFile(work))}/added-${work.version}-${index}.js`, 'text')
}

/** A file that this change has not touched yet. */
function anyFile(work: Work): string {
  const files = filesOf(work).filter((path) => path !== LARGE_FILE && !work.changed.has(path))
  return files[pick(work.random, files.length)] ?? ''
}

/** In turn: file to link, file to directory, link to file, directory to file, link to directory. */
const RETYPE: readonly ((work: Work, index: number) => void)[] = [
  (work) => {
    const [path, other] = [anyFile(work), anyFile(work)]
    const up = '../'.repeat(path.split('/').length - 1)
    write(work, path, { type: 'link', target: `${up}${other}` }, null)
    work.changed.set(path, Buffer.alloc(0))
  },
  (work) => {
    const path = anyFile(work)
    remove(work, path)
    create(work, `${path}/inside.js`, 'text')
  },
  (work) => create(work, anyLink(work), 'text'),
  (work) => {
    const directory = smallDirectory(work)
    for (const path of [...work.tree.keys()]) if (path.startsWith(`${directory}/`)) work.tree.delete(path)
    rmSync(join(work.dir, directory), { recursive: true })
    create(work, directory, 'text')
  },
  (work) => {
    const path = anyLink(work)
    remove(work, path)
    create(work, `${path}/inside.js`, 'text')
  },
]

/** A link that this change has not touched yet. */
function anyLink({ tree, random, changed }: Work): string {
  const links = [...tree].filter(([path, node]) => node.type === 'link' && !changed.has(path)).map(([path]) => path)
  return links[pick(random, links.length)] ?? ''
}

/** A directory with one to three files and nothing else, untouched by this change. */
function smallDirectory(work: Work): string {
  const held = new Map<string, number>()
  for (const path of work.tree.keys()) {
    for (let at = dirname(path); at !== '.'; at = dirname(at)) {
      held.set(at, (held.get(at) ?? 0) + (at === dirname(path) ? 1 : 100))
      if (work.changed.has(path)) held.set(at, 100)
    }
  }
  const small = [...held].filter(([path, count]) => count <= 3 && path.includes('/')).map(([path]) => path)
  return small[pick(work.random, small.length)] ?? ''
}

function patch(work: Work): void {
  const parts: Buffer[] = []
  grow(work, LARGE_FILE, (at) => {
    const bytes = readFileSync(at)
    for (let index = 0; index < PATCHES; index += 1) {
      const part = work.content.text(work.random, PATCH_BYTES)
      part.copy(bytes, pick(work.random, bytes.byteLength - PATCH_BYTES))
      parts.push(part)
    }
    writeFileSync(at, bytes)
  })
  work.changed.set(LARGE_FILE, Buffer.concat(parts))
}
