// Owns reading the table against the source: an edit that fits nowhere, or a test that is not there, means that the guard has gone stale.
import type { Mutant } from './mutant.ts'

/** What is wrong with a row, before anything runs. @param read a file of the project as text */
export function staleness(mutant: Mutant, read: (path: string) => string): string[] {
  const { id, file, find, replace, test } = mutant
  const found = read(file).split(find).length - 1
  const titles = titlesIn(read(test[0])).filter((title) => title.test(test[1])).length
  return [
    ...(found === 1 ? [] : [`${id}: "${find}" occurs ${found} times in ${file}, not once: the guard has gone stale`]),
    ...(find === replace ? [`${id}: the edit changes nothing`] : []),
    ...(titles === 1 ? [] : [`${id}: ${test[0]} has ${titles} tests "${test[1]}", not one: the guard has gone stale`]),
  ]
}

/** The edited text of a file. @throws when the edit does not fit exactly once */
export function mutated(text: string, { id, file, find, replace }: Mutant): string {
  const parts = text.split(find)
  if (parts.length !== 2) throw new Error(`${id}: "${find}" occurs ${parts.length - 1} times in ${file}`)
  return parts.join(replace)
}

/** The names of a test file's tests, as expressions: what a template fills in may be anything. */
function titlesIn(text: string): RegExp[] {
  return [...text.matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)].map(([, , title = '']) => {
    const parts = title.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part.replaceAll(/\\(['"`])/g, '$1')))
    return new RegExp(`^${parts.join('.+')}$`)
  })
}
