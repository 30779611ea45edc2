// Owns what changes between two builds for a person: files added, removed and changed, their bytes, and where to read the commits.
import type { Entry } from '#fleet/manifest.ts'
import { comparePaths } from '#fleet/paths.ts'
import type { CatalogEntry } from '#fleet/ports.ts'

export interface FileChange {
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  readonly type: Entry['type']
  /** Bytes before and after; null where there is none. */
  readonly fromBytes: number | null
  readonly toBytes: number | null
  /** Only its mode changed, or its type; null else. */
  readonly note: string | null
}

export interface Comparison {
  readonly changes: readonly FileChange[]
  readonly counts: Readonly<Record<FileChange['kind'] | 'same', number>>
  /** Bytes of added and changed files as they are now: what at most travels to a node. */
  readonly toBytes: number
}

/** Two sorted lists of entries. Modification times are no difference; a directory is one only by its mode or by being there. */
export function compareEntries(from: readonly Entry[], to: readonly Entry[]): Comparison {
  const changes: FileChange[] = []
  let same = 0
  for (let a = 0, b = 0; a < from.length || b < to.length; ) {
    const old = from[a]
    const now = to[b]
    const order = old === undefined ? 1 : now === undefined ? -1 : comparePaths(old.path, now.path)
    const change = order < 0 ? changeOf(old, undefined) : order > 0 ? changeOf(undefined, now) : changeOf(old, now)
    if (change === null) same += 1
    else changes.push(change)
    if (order <= 0) a += 1
    if (order >= 0) b += 1
  }
  const of = (kind: FileChange['kind']) => changes.filter((change) => change.kind === kind).length
  return {
    changes,
    counts: { added: of('added'), removed: of('removed'), changed: of('changed'), same },
    toBytes: changes.reduce((sum, { toBytes, note }) => sum + (note === null ? (toBytes ?? 0) : 0), 0),
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0')
const bytesOf = (entry: Entry | undefined): number | null => (entry?.type === 'f' ? entry.size : null)

function changeOf(old: Entry | undefined, now: Entry | undefined): FileChange | null {
  const either = now ?? old
  if (either === undefined) return null
  const base = { path: either.path, type: either.type, fromBytes: bytesOf(old), toBytes: bytesOf(now) }
  if (old === undefined) return { ...base, kind: 'added', note: null }
  if (now === undefined) return { ...base, kind: 'removed', note: null }
  if (old.type !== now.type) return { ...base, kind: 'changed', note: null }
  if (old.content !== now.content) return { ...base, kind: 'changed', note: null }
  return old.mode === now.mode
    ? null
    : { ...base, kind: 'changed', note: `mode ${octal(old.mode)} to ${octal(now.mode)}` }
}

/** `3f2a9c1..9be01d2` and the page that shows it; null with the fact that there is none. */
export interface CommitRange {
  readonly from: string | null
  readonly to: string | null
  readonly link: string | null
}

/** @param template with `{{from}}` and `{{to}}`, of the config; commits are put in as a URL wants them */
export function commitRange(from: CatalogEntry, to: CatalogEntry, template: string | null): CommitRange {
  const ends = { from: from.commit, to: to.commit }
  if (template === null || ends.from === null || ends.to === null) return { ...ends, link: null }
  const link = template
    .replaceAll('{{from}}', encodeURIComponent(ends.from))
    .replaceAll('{{to}}', encodeURIComponent(ends.to))
  return { ...ends, link }
}
