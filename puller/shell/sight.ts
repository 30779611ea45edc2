// Owns turning what a walk saw into what staging may believe: contents by the seal's record, or by hashing again.
import type { Entry } from '#fleet/manifest.ts'
import type { Present, TreeView } from '#fleet/stage-plan.ts'
import type { Owner } from './disk.ts'
import type { SealRecord } from './seal.ts'
import { FACT, STRIDE, type Walk } from './walk.ts'
import type { Workers } from './workers.ts'

/** A tree as it lies: what the plan is made from. */
export interface Sight {
  readonly walk: Walk
  readonly view: TreeView
  /** Path → index in the walk. */
  readonly indexOf: ReadonlyMap<string, number>
  /** Files that had to be hashed since the record could not vouch for them. */
  readonly hashed: number
}

/** What a seal vouches for: one row of the record for each entry. */
export interface Vouched {
  readonly entries: readonly Entry[]
  readonly record: SealRecord
}

/** Everything in a tree, its root included, to look for its users by. */
export function inodesOf(walk: Walk): Inodes {
  const inodes = new Float64Array(walk.paths.length + 1)
  for (let index = 0; index < walk.paths.length; index += 1) {
    inodes[index] = walk.facts[index * STRIDE + FACT.ino] ?? 0
  }
  inodes[walk.paths.length] = walk.rootIno
  return { dev: walk.dev, inodes, empty: walk.paths.length === 0 }
}

/** What a tree consists of: its device and inodes. */
export interface Inodes {
  readonly dev: number
  readonly inodes: Float64Array
  readonly empty: boolean
}

/**
 * Says of each path what lies there. A file's content is known when the record vouches for its inode, size and times; else it is
 * hashed if it could be what is wanted at its path; else it is unknown.
 */
export async function see(
  workers: Workers,
  tree: string,
  walk: Walk,
  wanted: readonly Entry[],
  vouched: Vouched | null,
  owner: Owner | null,
): Promise<Sight> {
  const rows = new Map(vouched?.entries.map((entry, row) => [entry.path, row]))
  const sizes = new Map(wanted.flatMap((entry) => (entry.type === 'f' ? [[entry.path, entry.size] as const] : [])))
  const indexOf = new Map<string, number>()
  const contents: (string | null)[] = []
  const doubtful: number[] = []
  for (const [index, path] of walk.paths.entries()) {
    indexOf.set(path, index)
    const content = contentOf(walk, index, rows.get(path), vouched)
    contents.push(content)
    const size = walk.facts[index * STRIDE + FACT.size]
    if (content === null && walk.types[index] === 'f' && sizes.get(path) === size) doubtful.push(index)
  }
  const sums = await hashAll(
    workers,
    tree,
    doubtful.map((index) => walk.paths[index] ?? ''),
  )
  for (const [at, index] of doubtful.entries()) contents[index] = sums[at] ?? null
  const view = new Map<string, Present>()
  for (const [index, path] of walk.paths.entries())
    view.set(path, presentAt(walk, index, contents[index] ?? null, owner))
  return { walk, view, indexOf, hashed: doubtful.length }
}

function contentOf(walk: Walk, index: number, row: number | undefined, vouched: Vouched | null): string | null {
  if (walk.types[index] === 'l') return walk.targets.get(index) ?? null
  if (walk.types[index] !== 'f' || row === undefined || vouched === null) return null
  const entry = vouched.entries[row]
  if (entry?.type !== 'f') return null
  return isAsSealed(vouched.record, row, entry, walk.facts, index) ? entry.content : null
}

/** Same inode, size and times as when the tree was sealed. Mode is compared by itself. */
function isAsSealed(record: SealRecord, row: number, entry: Entry, facts: Float64Array, index: number): boolean {
  const fact = (name: keyof typeof FACT) => facts[index * STRIDE + FACT[name]] ?? 0
  if (fact('ino') !== record.ino[row] || fact('ctimeMs') !== record.ctimeMs[row]) return false
  return fact('size') === entry.size && fact('mtimeMs') === entry.mtime * 1_000
}

function presentAt(walk: Walk, index: number, content: string | null, owner: Owner | null): Present {
  const fact = (name: keyof typeof FACT) => walk.facts[index * STRIDE + FACT[name]] ?? 0
  const type = walk.types[index]
  return {
    type: type === 'd' || type === 'f' || type === 'l' ? type : '?',
    mode: fact('mode'),
    size: fact('size'),
    mtimeMs: fact('mtimeMs'),
    nlink: fact('nlink'),
    content,
    owned: owner === null || (fact('uid') === owner.uid && fact('gid') === owner.gid),
  }
}

const BATCH = 512

/** Hashes files on all threads; null for one that cannot be read. */
export async function hashAll(
  workers: Workers,
  tree: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<(string | null)[]> {
  const batches: (string | null)[][] = []
  let next = 0
  const drive = async (thread: number): Promise<void> => {
    for (let from = next; from < paths.length; from = next) {
      signal?.throwIfAborted()
      next = from + BATCH
      batches[from / BATCH] = await workers.call(thread, 'hashFiles', [tree, paths.slice(from, from + BATCH)])
    }
  }
  await Promise.all(Array.from({ length: workers.count }, (_, thread) => drive(thread)))
  return batches.flat()
}
