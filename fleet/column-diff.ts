// Owns comparing manifests as columns: what differs between two, and which paths hold given contents, without an object for each path.
import type { Digest } from './build.ts'
import { CHARS, type Columns, Rows } from './manifest-columns.ts'
import type { Kept, Row, TreeDiff } from './tree-diff.ts'

/** As `diffOf`, over columns. */
export function diffOfColumns(
  from: { readonly digest: Digest; readonly columns: Columns },
  to: { readonly digest: Digest; readonly columns: Columns },
): TreeDiff {
  const old = new Side(from.columns)
  const now = new Side(to.columns)
  const kept: [number, number, number][] = []
  const gone: Row[] = []
  const came: Row[] = []
  let run: [number, number, number] | null = null
  for (let a = 0, b = 0; a < from.columns.count || b < to.columns.count; ) {
    const order = a >= from.columns.count ? 1 : b >= to.columns.count ? -1 : old.comparePath(a, now, b)
    if (order === 0 && old.isSame(a, now, b)) {
      if (run === null) {
        run = [a, b, 0]
        kept.push(run)
      }
      run[2] += 1
    } else {
      run = null
      if (order <= 0) gone.push({ row: a, entry: old.rows.entry(a) })
      if (order >= 0) came.push({ row: b, entry: now.rows.entry(b) })
    }
    if (order <= 0) a += 1
    if (order >= 0) b += 1
  }
  return { from: from.digest, to: to.digest, kept: kept as readonly Kept[], gone, came }
}

/** One path for each of the contents that some file has. @param contents SHA-256 in hexadecimal */
export function findContents(columns: Columns, contents: readonly string[]): [content: string, path: string][] {
  const rows = new Rows(columns)
  const wanted = new Set(contents)
  // Eight digits decide nearly always, and cost no text.
  const starts = new Set(contents.map((content) => Number.parseInt(content.slice(0, 8), 16)))
  const { bytes, count, type, content } = columns
  const found: [string, string][] = []
  for (let row = 0; row < count; row += 1) {
    if (type[row] !== CHARS.f || !starts.has(hex8(bytes, content[row] ?? 0))) continue
    const whole = rows.content(row)
    if (wanted.delete(whole)) found.push([whole, rows.path(row)])
  }
  return found
}

function hex8(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let digit = at; digit < at + 8; digit += 1) {
    const code = bytes[digit] ?? 0
    value = value * 16 + (code > 0x39 ? code - 0x57 : code - CHARS.zero)
  }
  return value
}

class Side {
  readonly columns: Columns
  readonly rows: Rows

  constructor(columns: Columns) {
    this.columns = columns
    this.rows = new Rows(columns)
  }

  comparePath(row: number, other: Side, otherRow: number): number {
    const { bytes, path, pathEnd } = this.columns
    const { bytes: theirs, path: theirPath, pathEnd: theirEnd } = other.columns
    const a = path[row] ?? 0
    const b = theirPath[otherRow] ?? 0
    const length = (pathEnd[row] ?? 0) - a
    const theirLength = (theirEnd[otherRow] ?? 0) - b
    const most = Math.min(length, theirLength)
    for (let at = 0; at < most; at += 1) {
      const difference = (bytes[a + at] ?? 0) - (theirs[b + at] ?? 0)
      if (difference !== 0) return difference
    }
    return length - theirLength
  }

  /** All but the place in the artifact. */
  isSame(row: number, other: Side, otherRow: number): boolean {
    const a = this.columns
    const b = other.columns
    if (a.type[row] !== b.type[otherRow] || a.mode[row] !== b.mode[otherRow] || a.size[row] !== b.size[otherRow])
      return false
    if (a.mtime[row] !== b.mtime[otherRow]) return false
    if (a.type[row] === CHARS.d) return true
    if (a.type[row] === CHARS.l) return this.rows.content(row) === other.rows.content(otherRow)
    const from = a.content[row] ?? 0
    const theirs = b.content[otherRow] ?? 0
    for (let at = 0; at < 64; at += 1) if (a.bytes[from + at] !== b.bytes[theirs + at]) return false
    return true
  }
}
