// Owns the rules about the order in which a puller reaches the disk, read off a trace of its system calls. Each gives what breaks it.
import { dirname } from 'node:path'
import { type Call, isChange, isRename, isSync } from './strace.ts'

/** The last of its paths: what a call made, changed or removed. */
const subject = (call: Call): string => call.paths.at(-1) ?? ''
const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`)
const isAfter = (call: Call, other: Call): boolean => call.began > other.ended

/** Renames over a path that fits, in their order. */
export function renamesTo(calls: readonly Call[], fits: (path: string) => boolean): Call[] {
  return calls.filter((call) => isRename(call) && fits(subject(call)))
}

/** The bytes of a small file are on the disk before its name is. */
export function unsyncedBefore(calls: readonly Call[], rename: Call): string[] {
  const [from = '', to] = rename.paths
  const before = calls.filter((call) => isAfter(rename, call) && subject(call) === from)
  const written = before.findLast(isChange)
  const synced = before.some((call) => isSync(call) && written !== undefined && isAfter(call, written))
  return synced ? [] : [`${to} got its name before its bytes were synced`]
}

/** A name is on the disk before anything that relies on it. @param relies a change by which the directory must have been synced */
export function unsyncedAfter(calls: readonly Call[], rename: Call, relies: (path: string) => boolean): string[] {
  const to = subject(rename)
  const next = calls.find((call) => isChange(call) && isAfter(call, rename) && relies(subject(call)))
  const synced = calls.some(
    (call) =>
      isSync(call) &&
      subject(call) === dirname(to) &&
      isAfter(call, rename) &&
      (next === undefined || isAfter(next, call)),
  )
  return synced ? [] : [`the name of ${to} was not synced before ${next === undefined ? 'the end' : subject(next)}`]
}

/** Everything that was written into a tree is on the disk, by one syncfs, before the tree is sealed. */
export function sealedTooSoon(calls: readonly Call[], tree: string): string[] {
  return renamesTo(calls, (path) => path === `${tree}.seal`).flatMap((seal) => {
    const before = calls.filter((call) => isAfter(seal, call))
    const placed = new Set(before.flatMap((call) => (isBelow(subject(call), tree) ? call.paths : [])))
    const last = before.findLast((call) => isChange(call) && placed.has(subject(call)))
    if (last === undefined) return []
    const synced = before.some((call) => call.name === 'syncfs' && isAfter(call, last))
    return synced ? [] : [`${tree} was sealed without a syncfs after ${last.name} of ${subject(last)}`]
  })
}

/** While a tree has its seal, also one that might come back after a power cut, nothing below it changes. @param sealed it had one at first */
export function changedUnderSeal(calls: readonly Call[], tree: string, sealed: boolean): string[] {
  const seal = `${tree}.seal`
  return calls
    .filter((call) => isChange(call) && call.paths.some((path) => isBelow(path, tree)))
    .flatMap((change) => {
      const sealing = renamesTo(calls, (path) => path === seal).findLast((call) => isAfter(change, call))
      if (sealing === undefined && !sealed) return []
      const gone = calls.find(
        (call) =>
          call.name.startsWith('unlink') &&
          subject(call) === seal &&
          (sealing === undefined || isAfter(call, sealing)) &&
          isAfter(change, call),
      )
      if (gone === undefined) return [`${change.name} of ${subject(change)} under the seal`]
      const synced = calls.some(
        (call) => isSync(call) && subject(call) === dirname(seal) && isAfter(call, gone) && isAfter(change, call),
      )
      return synced ? [] : [`${change.name} of ${subject(change)} before the removal of the seal was synced`]
    })
}
