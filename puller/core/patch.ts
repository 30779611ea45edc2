// Owns what a patch works out from the difference of two builds before it touches anything. Pure.
import type { Entry } from '#fleet/manifest.ts'
import { CHARS, type Columns, Rows } from '#fleet/manifest-columns.ts'
import { parentOf } from '#fleet/paths.ts'
import type { Present, StagePlan, TreeView } from '#fleet/stage-plan.ts'
import { composed, inverse, type Row, type TreeDiff } from '#fleet/tree-diff.ts'

/** What lies in a tree at the paths that change, when it is as it was sealed. */
export function viewOf(diff: TreeDiff): TreeView {
  return new Map(diff.gone.map(({ entry }) => [entry.path, presentAs(entry)]))
}

function presentAs({ type, mode, size, mtime, content }: Entry): Present {
  return { type, mode, size, mtimeMs: mtime * 1_000, nlink: 1, content: type === 'd' ? null : content, owned: true }
}

/** What hot and cold will differ in: as the delta from hot says, or by way of what they differed in before. */
export function betweenHotAnd(
  diff: TreeDiff,
  hot: TreeDiff['from'] | null,
  delta: TreeDiff | null,
  between: TreeDiff | null,
): TreeDiff | null {
  if (delta !== null && delta.from === hot) return delta
  return between && composed(inverse(between), diff)
}

/**
 * The kept directories in which something will change, as they stand in the ordered build. Null when a directory is closed to its owner: then
 * modes must be lifted, which takes a look at all of the tree.
 * @param columns of the ordered build
 */
export function touchedDirectories(columns: Columns, diff: TreeDiff): Row[] | null {
  const parents = new Set([...diff.came, ...diff.gone].map(({ entry }) => parentOf(entry.path)))
  if (diff.gone.some(({ entry }) => entry.type === 'd' && isClosed(entry.mode))) return null
  // One that stays with another mode came itself.
  const came = new Set(diff.came.map(({ row }) => row))
  const rows = new Rows(columns)
  const touched: Row[] = []
  for (let row = 0; row < columns.count; row += 1) {
    if (columns.type[row] !== CHARS.d) continue
    if (isClosed(columns.mode[row] ?? 0)) return null
    if (!came.has(row) && parents.has(rows.path(row))) touched.push({ row, entry: rows.entry(row) })
  }
  return touched
}

/** Whether something comes into the tree's own directory, or goes out of it. */
export function isRootTouched({ came, gone }: TreeDiff): boolean {
  return [...came, ...gone].some(({ entry }) => parentOf(entry.path) === '')
}

const OWNER_ALL = 0o700

function isClosed(mode: number): boolean {
  return (mode & OWNER_ALL) !== OWNER_ALL
}

/** What is brought beside the tree is lost when its fetching is interrupted for good: no more than a line brings in a minute or two. */
const MOST_ASIDE_BYTES = 256 * 1024 * 1024

/** Whether all that the plan brings is little enough to be brought beside the tree first; more is put in its place file by file, and a next try goes on from there. */
export function isLittle(plan: Pick<StagePlan, 'fetchedBytes'>): boolean {
  return plan.fetchedBytes <= MOST_ASIDE_BYTES
}
