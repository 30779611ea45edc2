// Owns finding what lies in the directories of a tree that its build does not have. Runs in a worker.
import { readdirSync } from 'node:fs'
import { type Columns, Rows } from '#fleet/manifest-columns.ts'
import { componentOf, Directories } from './directories.ts'

/** How many names all these directories hold together. @param directories paths; '' is the tree itself */
export function countNames(tree: string, directories: readonly string[]): number {
  let count = 0
  list(tree, directories, (_, names) => {
    count += names.length
  })
  return count
}

/**
 * The path of something that the build does not have, or null when its directories hold nothing but what is the build's.
 * @param directories paths of the directories that are listed; '' is the tree itself
 */
export function strangerIn(tree: string, columns: Columns, directories: readonly string[]): string | null {
  const known = namesOf(columns, directories)
  let stranger: string | null = null
  list(tree, directories, (directory, names) => {
    const odd = names.find((name) => known.get(directory)?.has(name) !== true)
    if (odd !== undefined) stranger ??= directory === '' ? odd : `${directory}/${odd}`
  })
  return stranger
}

/** What the build has in each of the directories. */
function namesOf(columns: Columns, directories: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map(directories.map((directory) => [directory, new Set<string>()]))
  const rows = new Rows(columns)
  for (let row = 0; row < columns.count; row += 1) {
    const path = rows.path(row)
    const cut = path.lastIndexOf('/')
    names.get(cut < 0 ? '' : path.slice(0, cut))?.add(path.slice(cut + 1))
  }
  return names
}

function list(
  tree: string,
  directories: readonly string[],
  each: (directory: string, names: readonly string[]) => void,
): void {
  const handles = new Directories(tree)
  try {
    for (const directory of directories) {
      each(directory, readdirSync(`${handles.handle(directory)}/.`, 'latin1').map(componentOf))
    }
  } finally {
    handles.close()
  }
}
