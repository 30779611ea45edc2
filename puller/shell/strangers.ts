// Owns finding what lies in the directories of a tree that its build does not have. Runs in a worker.
import { readdirSync } from 'node:fs'
import { type Columns, Rows } from '#fleet/manifest-columns.ts'
import { componentOf } from './directories.ts'
import { errnoOf } from './disk-faults.ts'

/**
 * How many names all these directories hold together; null when one cannot be listed by whom it belongs to.
 * @param directories paths; '' is the tree itself
 */
export function countNames(tree: string, directories: readonly string[]): number | null {
  let count = 0
  try {
    list(tree, directories, (_, names) => {
      count += names.length
    })
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error
    return null
  }
  return count
}

/** What a build has in some of its directories, by path; '' is the tree itself. */
export type Names = ReadonlyMap<string, ReadonlySet<string>>

/** What the build has in each of the directories. */
export function namesOf(columns: Columns, directories: readonly string[]): Names {
  const names = new Map(directories.map((directory) => [directory, new Set<string>()]))
  const rows = new Rows(columns)
  for (let row = 0; row < columns.count; row += 1) {
    const path = rows.path(row)
    const cut = path.lastIndexOf('/')
    names.get(cut < 0 ? '' : path.slice(0, cut))?.add(path.slice(cut + 1))
  }
  return names
}

/** The path of something in these directories that the build does not have; null when there is nothing. */
export function strangerIn(tree: string, build: Names): string | null {
  let stranger: string | null = null
  list(tree, build.keys(), (directory, names) => {
    const odd = names.find((name) => build.get(directory)?.has(name) !== true)
    if (odd !== undefined) stranger ??= directory === '' ? odd : `${directory}/${odd}`
  })
  return stranger
}

/** By path, not by handle, which would take most of the time: a directory that is no longer one shows against its row in the record. */
function list(
  tree: string,
  directories: Iterable<string>,
  each: (directory: string, names: readonly string[]) => void,
): void {
  for (const directory of directories) {
    each(directory, readdirSync(directory === '' ? tree : `${tree}/${directory}`, 'latin1').map(componentOf))
  }
}
