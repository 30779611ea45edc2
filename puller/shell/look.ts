// Owns comparing a tree with its record, row by row, and making such a record: inode, size and times, no byte of any file. Runs in a worker.
import { lstatSync, type Stats } from 'node:fs'
import { CHARS, type Columns, Rows } from '#fleet/manifest-columns.ts'
import type { SealRecord } from './seal.ts'

/** What threads share that look at one tree together. */
export interface LookOrder {
  readonly tree: string
  readonly columns: Columns
  readonly record: SealRecord
  /** Rows that are not looked at. */
  readonly skip: Uint8Array<SharedArrayBuffer>
  /** First row that nobody has taken yet. */
  readonly next: Int32Array<SharedArrayBuffer>
}

/** Rows that are taken at once: some 10 ms of work, so that whatever else a thread is asked for waits no longer than that. */
const TAKEN = 2_048

/**
 * Looks at the next rows that nobody has taken. Every directory of the tree is a row too: what was added to one, or taken out, changed its
 * ctime. So when no row is named over all of them, the tree holds just what it held when it was sealed.
 * @returns rows that are not what the record says, among them all that it cannot vouch for
 */
export function look({ tree, columns, record, skip, next }: LookOrder): number[] {
  const rows = new Rows(columns)
  const wrong: number[] = []
  const from = Atomics.add(next, 0, TAKEN)
  const end = Math.min(from + TAKEN, columns.count)
  for (let row = from; row < end; row += 1) {
    if (skip[row] === 0 && !isUnchanged(tree, rows, record, row)) wrong.push(row)
  }
  return wrong
}

const TYPE_BITS = 0o170000
const TYPES: Readonly<Record<number, number>> = { [CHARS.d]: 0o040000, [CHARS.f]: 0o100000, [CHARS.l]: 0o120000 }

function isUnchanged(tree: string, rows: Rows, record: SealRecord, row: number): boolean {
  // Directories on the way are rows themselves: one that became a link is noticed there.
  const stat = lstatSync(`${tree}/${rows.path(row)}`, { throwIfNoEntry: false })
  if (stat === undefined || stat.ino !== record.ino[row] || stat.ctimeMs !== record.ctimeMs[row]) return false
  return isAsBuilt(stat, rows.columns, row)
}

/** Whether what lies there can be what the manifest says, content aside. */
function isAsBuilt(stat: Stats, { type, mode, size, mtime }: Columns, row: number): boolean {
  const code = type[row] ?? 0
  if ((stat.mode & TYPE_BITS) !== TYPES[code]) return false
  if (code === CHARS.l) return true
  if ((stat.mode & 0o7777) !== mode[row]) return false
  return code === CHARS.d || (stat.size === size[row] && stat.mtimeMs === (mtime[row] ?? 0) * 1_000 && stat.nlink === 1)
}

/**
 * Takes the facts of every row into the record.
 * @param freshMs rows that changed after it get a ctime of 0: look again next time
 * @returns rows that are not as the manifest says
 */
export function recordRows({ tree, columns, record, next }: Omit<LookOrder, 'skip'>, freshMs: number): number[] {
  const rows = new Rows(columns)
  const wrong: number[] = []
  for (let from = Atomics.add(next, 0, TAKEN); from < columns.count; from = Atomics.add(next, 0, TAKEN)) {
    const end = Math.min(from + TAKEN, columns.count)
    for (let row = from; row < end; row += 1) {
      const stat = lstatSync(`${tree}/${rows.path(row)}`, { throwIfNoEntry: false })
      record.ino[row] = stat?.ino ?? 0
      record.ctimeMs[row] = (stat?.ctimeMs ?? 0) > freshMs ? 0 : (stat?.ctimeMs ?? 0)
      if (stat === undefined || !isAsBuilt(stat, columns, row)) wrong.push(row)
    }
  }
  return wrong
}
