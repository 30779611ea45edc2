// Owns what must be done to a tree so that it becomes a build: a pure plan over the manifest, what lies there, and what hot has.
import type { Entry, EntryType } from './manifest.ts'

/** One path that lies in the tree now. */
export interface Present {
  /** `?` is anything that cannot be deployed: a device, a socket, a name that is no text. */
  readonly type: EntryType | '?'
  readonly mode: number
  readonly size: number
  /** Milliseconds since 1970. */
  readonly mtimeMs: number
  readonly nlink: number
  /** A file's SHA-256 where it is known for certain, a link's target; null when the content must be taken for wrong. */
  readonly content: string | null
  /** Owner and group are as the config wants them. */
  readonly owned: boolean
}

/** What lies in a tree, by path. */
export type TreeView = ReadonlyMap<string, Present>

/** Where the bytes of a file lie on this node already. */
export interface CopySource {
  readonly tree: 'hot' | 'cold'
  readonly path: string
}

/** Entries are named by their index in the manifest. Steps are carried out in the order of these fields. */
export interface StagePlan {
  /** Directories that lack a permission of their owner's which changing something below them needs. */
  readonly lift: readonly string[]
  /** Files to bring in from a tree of this node; their SHA-256 is checked on the way, and what does not match is fetched. */
  readonly copy: readonly { readonly entry: number; readonly from: CopySource }[]
  /** Files whose bytes must come from the store (or are empty). */
  readonly fetch: readonly number[]
  /** Paths that the build does not have, or has with another type; deepest first. */
  readonly remove: readonly { readonly path: string; readonly directory: boolean }[]
  /** Parents first. */
  readonly mkdir: readonly number[]
  readonly links: readonly number[]
  /** Files and links whose content stays and whose mode, time or owner does not. */
  readonly set: readonly number[]
  /** Directories that get their final mode and owner at the end, deepest first. */
  readonly directories: readonly number[]
  readonly keptBytes: number
  readonly copiedBytes: number
  readonly fetchedBytes: number
}

/** Nothing at all has to be done. */
export function isNothing(plan: StagePlan): boolean {
  const { copy, fetch, remove, mkdir, links, set, directories } = plan
  return [copy, fetch, remove, mkdir, links, set, directories].every((steps) => steps.length === 0)
}

/** The paths that a plan would create or change, for people: what has drifted, when the tree should have been the build already. */
export function pathsOf(plan: StagePlan, entries: readonly Entry[]): string[] {
  const changed = [...plan.copy.map((step) => step.entry), ...plan.fetch, ...plan.mkdir, ...plan.links, ...plan.set]
  const paths = [...changed, ...plan.directories].map((index) => entries[index]?.path ?? '')
  return [...new Set([...paths, ...plan.remove.map((step) => step.path)])].sort()
}

/**
 * Plans how `cold` becomes the entries. Contents are looked up by digest, so what was renamed is copied, never fetched.
 * @param entries of the manifest, in its order: parents stand before their children
 * @param hot SHA-256 → path in the hot tree, believed only until the copy is hashed
 */
export function stagePlan(entries: readonly Entry[], cold: TreeView, hot: ReadonlyMap<string, string>): StagePlan {
  const wanted = new Map(entries.map((entry) => [entry.path, entry]))
  const spare = sourcesIn(cold)
  const plan = {
    copy: [] as { entry: number; from: CopySource }[],
    fetch: [] as number[],
    mkdir: [] as number[],
    links: [] as number[],
    set: [] as number[],
    directories: [] as number[],
  }
  let keptBytes = 0
  let copiedBytes = 0
  let fetchedBytes = 0

  for (const [index, entry] of entries.entries()) {
    const there = cold.get(entry.path)
    const sameType = there !== undefined && there.type === entry.type
    if (entry.type === 'd') {
      if (!sameType) plan.mkdir.push(index)
      if (!sameType || there.mode !== entry.mode || !there.owned) plan.directories.push(index)
    } else if (sameType && isContentOf(entry, there)) {
      keptBytes += entry.size
      if (!isDressed(entry, there)) plan.set.push(index)
    } else if (entry.type === 'l') {
      plan.links.push(index)
    } else {
      const from = sourceOf(entry, hot, spare)
      if (from === null) plan.fetch.push(index)
      else plan.copy.push({ entry: index, from })
      if (from === null) fetchedBytes += entry.size
      else copiedBytes += entry.size
    }
  }

  const remove = [...cold]
    .filter(([path, there]) => wanted.get(path)?.type !== there.type)
    .map(([path, there]) => ({ path, directory: there.type === 'd' }))
    .sort((a, b) => depth(b.path) - depth(a.path))
  plan.directories.sort((a, b) => depth(entries[b]?.path ?? '') - depth(entries[a]?.path ?? ''))
  const steps = { ...plan, remove, keptBytes, copiedBytes, fetchedBytes }
  return withLifted({ ...steps, lift: [] }, entries, cold)
}

/** A digest alone is not enough: a manifest may name another size beside it, and what is kept must be all that it says. */
function isContentOf(entry: Entry, there: Present): boolean {
  if (there.content !== entry.content) return false
  return entry.type === 'l' || (there.nlink === 1 && there.size === entry.size)
}

function isDressed(entry: Entry, there: Present): boolean {
  return there.mtimeMs === entry.mtime * 1_000 && there.owned && (entry.type === 'l' || there.mode === entry.mode)
}

/** Contents of files, each with a path that has it. */
export function contentsOf(entries: readonly Entry[]): ReadonlyMap<string, string> {
  return new Map(entries.flatMap(({ type, content, path }) => (type === 'f' ? [[content, path] as const] : [])))
}

function sourcesIn(cold: TreeView): ReadonlyMap<string, string> {
  const sources = new Map<string, string>()
  for (const [path, there] of cold) if (there.type === 'f' && there.content !== null) sources.set(there.content, path)
  return sources
}

function sourceOf(
  entry: Entry,
  hot: ReadonlyMap<string, string>,
  cold: ReadonlyMap<string, string>,
): CopySource | null {
  // Nothing needs to be read for an empty file.
  if (entry.size === 0) return null
  const hotPath = hot.get(entry.content)
  if (hotPath !== undefined) return { tree: 'hot', path: hotPath }
  const coldPath = cold.get(entry.content)
  return coldPath === undefined ? null : { tree: 'cold', path: coldPath }
}

const OWNER_ALL = 0o700

/** Adds the directories that must be opened up first, and sees to it that those which stay get their mode back. */
function withLifted(plan: StagePlan, entries: readonly Entry[], cold: TreeView): StagePlan {
  if (isNothing(plan)) return plan
  const closed = [...cold].filter(([, there]) => there.type === 'd' && (there.mode & OWNER_ALL) !== OWNER_ALL)
  if (closed.length === 0) return plan
  const lift = closed.map(([path]) => path).sort((a, b) => depth(a) - depth(b))
  const lifted = new Set(lift)
  const again = entries.flatMap((entry, index) => (entry.type === 'd' && lifted.has(entry.path) ? [index] : []))
  const directories = [...new Set([...plan.directories, ...again])]
  directories.sort((a, b) => depth(entries[b]?.path ?? '') - depth(entries[a]?.path ?? ''))
  return { ...plan, lift, directories }
}

function depth(path: string): number {
  let count = 1
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) count += 1
  return count
}

/**
 * The most bytes of the volume that the plan needs beyond what is free when it begins: what is removed first, and each file that is
 * replaced, gives its own back. `copiesFirst` are held beside the tree until everything else is ready.
 */
export function peakOf(
  plan: StagePlan,
  entries: readonly Entry[],
  cold: TreeView,
  allFirst: boolean,
): { bytes: number; inodes: number } {
  const blocks = (bytes: number) => Math.ceil(bytes / 4_096) * 4_096
  const writes = [...plan.copy.map((step) => step.entry), ...plan.fetch].flatMap((index) => entries[index] ?? [])
  const made = plan.mkdir.length + plan.links.length
  if (allFirst) {
    return { bytes: writes.reduce((sum, entry) => sum + blocks(entry.size), 0), inodes: writes.length + made }
  }
  // What is copied within cold is set aside before anything is removed.
  const aside = plan.copy.filter((step) => step.from.tree === 'cold').flatMap((step) => entries[step.entry] ?? [])
  const asideBytes = aside.reduce((sum, entry) => sum + blocks(entry.size), 0)
  let bytes = asideBytes
  let inodes = aside.length
  let peakBytes = bytes
  let peakInodes = inodes
  for (const { path } of plan.remove) {
    bytes -= blocks(cold.get(path)?.size ?? 0)
    inodes -= 1
  }
  bytes += plan.mkdir.length * 4_096
  inodes += made
  const setAside = new Set(aside)
  for (const entry of writes) {
    if (!setAside.has(entry)) {
      bytes += blocks(entry.size)
      inodes += 1
    }
    peakBytes = Math.max(peakBytes, bytes)
    peakInodes = Math.max(peakInodes, inodes)
    const old = cold.get(entry.path)
    if (old?.type === 'f') {
      bytes -= blocks(old.size)
      inodes -= 1
    }
  }
  return { bytes: Math.max(peakBytes, bytes, 0), inodes: Math.max(peakInodes, inodes, 0) }
}
