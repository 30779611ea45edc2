// Owns comparing a tree with a manifest byte by byte. Writes nothing.
import type { Entry } from '#fleet/manifest.ts'
import type { TreeDifference } from '../core/trees.ts'
import { printable } from './directories.ts'
import type { Owner } from './disk.ts'
import { hashAll } from './sight.ts'
import { FACT, STRIDE, type Walk } from './walk.ts'
import type { Workers } from './workers.ts'

/** Times are not compared: they are no content. @throws system errors, EIO above all (failures C8) */
export async function verifyTree(
  workers: Workers,
  tree: string,
  entries: readonly Entry[],
  owner: Owner | null,
  signal: AbortSignal,
): Promise<TreeDifference> {
  const walk = await workers.call(0, 'walk', [tree])
  const indexOf = new Map(walk.paths.map((path, index) => [path, index]))
  const files = entries.filter((entry) => entry.type === 'f' && indexOf.has(entry.path))
  const sums = await hashAll(
    workers,
    tree,
    files.map((entry) => entry.path),
    signal,
  )
  const contents = new Map(files.map((entry, index) => [entry.path, sums[index] ?? null]))
  const missing: string[] = []
  const changed: string[] = []
  for (const entry of entries) {
    const index = indexOf.get(entry.path)
    if (index === undefined) missing.push(entry.path)
    else if (!isSame(entry, walk, index, contents.get(entry.path) ?? null, owner)) changed.push(entry.path)
  }
  const wanted = new Set(entries.map((entry) => entry.path))
  const extra = walk.paths.filter((path) => !wanted.has(path))
  return { missing: missing.map(printable), extra: extra.map(printable).sort(), changed: changed.map(printable) }
}

function isSame(entry: Entry, walk: Walk, index: number, sum: string | null, owner: Owner | null): boolean {
  const fact = (name: keyof typeof FACT) => walk.facts[index * STRIDE + FACT[name]] ?? 0
  if (walk.types[index] !== entry.type) return false
  if (owner !== null && (fact('uid') !== owner.uid || fact('gid') !== owner.gid)) return false
  if (entry.type === 'l') return walk.targets.get(index) === entry.content
  if (fact('mode') !== entry.mode) return false
  return entry.type === 'd' || sum === entry.content
}
