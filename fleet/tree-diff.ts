// Owns what differs between two builds, path by path and row by row: turned round, put together, and as bytes for the next time.
import { type Digest, isDigest } from './build.ts'
import type { Entry } from './manifest.ts'
import { checkEntry, MOST } from './manifest-rules.ts'
import { comparePaths } from './paths.ts'

/** An entry and its place among the entries of its manifest. */
export interface Row {
  readonly row: number
  readonly entry: Entry
}

/** A run of rows that are the same in both: first row in `from`, first row in `to`, how many. */
export type Kept = readonly [from: number, to: number, count: number]

/** The difference of two manifests. What `gone` and `came` do not name has the same type, mode, size, mtime and content in both. */
export interface TreeDiff {
  readonly from: Digest
  readonly to: Digest
  /** In order; together with `gone` all rows of `from`, together with `came` all rows of `to`. */
  readonly kept: readonly Kept[]
  /** Sorted by path. A path that changed is in both lists. */
  readonly gone: readonly Row[]
  readonly came: readonly Row[]
}

/** The difference of two sorted lists of entries. */
export function diffOf(
  from: { readonly digest: Digest; readonly entries: readonly Entry[] },
  to: { readonly digest: Digest; readonly entries: readonly Entry[] },
): TreeDiff {
  const kept: [number, number, number][] = []
  const gone: Row[] = []
  const came: Row[] = []
  for (let a = 0, b = 0; a < from.entries.length || b < to.entries.length; ) {
    const old = from.entries[a]
    const now = to.entries[b]
    const order = old === undefined ? 1 : now === undefined ? -1 : comparePaths(old.path, now.path)
    if (order === 0 && old !== undefined && now !== undefined && isSame(old, now)) {
      keep(kept, a, b, 1)
    } else {
      if (order <= 0 && old !== undefined) gone.push({ row: a, entry: old })
      if (order >= 0 && now !== undefined) came.push({ row: b, entry: now })
    }
    if (order <= 0) a += 1
    if (order >= 0) b += 1
  }
  return { from: from.digest, to: to.digest, kept, gone, came }
}

function isSame(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.mode === b.mode && a.size === b.size && a.mtime === b.mtime && a.content === b.content
}

/** Appends a run, to the run before it where it goes on. */
function keep(kept: [number, number, number][], from: number, to: number, count: number): void {
  const last = kept.at(-1)
  if (last !== undefined && last[0] + last[2] === from && last[1] + last[2] === to) last[2] += count
  else kept.push([from, to, count])
}

/** The way back. */
export function inverse(diff: TreeDiff): TreeDiff {
  return {
    from: diff.to,
    to: diff.from,
    kept: diff.kept.map(([from, to, count]) => [to, from, count] as const),
    gone: diff.came,
    came: diff.gone,
  }
}

/** From the first's `from` to the second's `to`. A path that changed and changed back is in both lists, with equal entries. */
export function composed(first: TreeDiff, second: TreeDiff): TreeDiff {
  const kept: [number, number, number][] = []
  const { kept: early } = first
  const { kept: late } = second
  // Both lists run through the rows of the build in between, in order.
  for (let a = 0, b = 0; a < early.length && b < late.length; ) {
    const [from = 0, mid = 0, count = 0] = early[a] ?? []
    const [midLate = 0, to = 0, countLate = 0] = late[b] ?? []
    const begin = Math.max(mid, midLate)
    const end = Math.min(mid + count, midLate + countLate)
    if (begin < end) keep(kept, from + begin - mid, to + begin - midLate, end - begin)
    if (mid + count <= midLate + countLate) a += 1
    else b += 1
  }
  const back = lookup(inverse(first).kept)
  const forth = lookup(second.kept)
  // What the first kept and the second dropped lay in `from` already; what the first brought and the second kept is new in `to`.
  const dropped = moved(second.gone, back)
  const brought = moved(first.came, forth)
  return {
    ...{ from: first.from, to: second.to, kept },
    gone: merged(first.gone, dropped),
    came: merged(second.came, brought),
  }
}

/** The row that a row went to, or -1. Rows must be asked for in rising order. */
function lookup(kept: readonly Kept[]): (row: number) => number {
  let at = 0
  return (row) => {
    for (; at < kept.length; at += 1) {
      const [from = 0, to = 0, count = 0] = kept[at] ?? []
      if (row < from) return -1
      if (row < from + count) return to + row - from
    }
    return -1
  }
}

function moved(rows: readonly Row[], to: (row: number) => number): Row[] {
  return rows.flatMap(({ row, entry }) => {
    const there = to(row)
    return there < 0 ? [] : [{ row: there, entry }]
  })
}

function merged(a: readonly Row[], b: readonly Row[]): Row[] {
  return [...a, ...b].sort((left, right) => left.row - right.row)
}

/** How many entries `to` has. */
export function rowsOf(diff: TreeDiff): number {
  return diff.kept.reduce((sum, [, , count]) => sum + count, diff.came.length)
}

export function encodeDiff({ from, to, kept, gone, came }: TreeDiff): string {
  const rows = (list: readonly Row[]) =>
    list.map(({ row, entry: e }) => {
      return [row, [e.type, e.mode, e.size, e.mtime, e.content, e.frame, e.offset, e.path]]
    })
  return JSON.stringify({ v: 1, from, to, kept, gone: rows(gone), came: rows(came) })
}

/** Null for anything but what `encodeDiff` wrote: it is only kept to save work. */
export function decodeDiff(text: string): TreeDiff | null {
  try {
    const { v, from, to, kept, gone, came } = JSON.parse(text) as Record<string, unknown>
    if (v !== 1 || typeof from !== 'string' || typeof to !== 'string' || !isDigest(from) || !isDigest(to)) return null
    return { from, to, kept: numbersIn(kept) as unknown as readonly Kept[], gone: rowsIn(gone), came: rowsIn(came) }
  } catch {
    return null
  }
}

function listIn(value: unknown): readonly (readonly unknown[])[] {
  if (Array.isArray(value) && value.every((item) => Array.isArray(item))) return value as unknown[][]
  throw new TypeError('not a list of lists')
}

function numbersIn(value: unknown): readonly (readonly number[])[] {
  const lists = listIn(value)
  if (lists.every((list) => list.length === 3 && list.every(Number.isSafeInteger))) return lists as number[][]
  throw new TypeError('not runs')
}

function rowsIn(value: unknown): readonly Row[] {
  return listIn(value).map(([row, tuple]) => {
    if (typeof row !== 'number' || !Number.isSafeInteger(row) || row < 0) throw new TypeError('not a row')
    return { row, entry: checkEntry(tuple, row, MOST) }
  })
}
