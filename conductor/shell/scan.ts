// Owns reading a directory that is to be published: what is in it, and what of it cannot be deployed.
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { join, resolve } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import type { EntryType, Limits } from '#fleet/manifest.ts'
import { shownPath } from '#fleet/manifest-rules.ts'
import { comparePaths, FollowedLinks, foldOf, linkFault, pathFault } from '#fleet/paths.ts'
import type { Clock } from '#fleet/ports.ts'
import { Breather } from './breather.ts'

/** One path of the directory, as it was when it was looked at. */
export interface Scanned {
  readonly path: string
  readonly type: EntryType
  /** Masked with 0755, 0 for links: set-uid bits and write permission for others are never deployed (failures E6). */
  readonly mode: number
  readonly size: number
  /** A link's target, else "". */
  readonly target: string
  /** Tells cheaply whether the file was touched since. */
  readonly stamp: string
}

/** What must stay the same while a file is published. */
export function stampOf(stat: Stats): string {
  return `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeMs}.${stat.ctimeMs}`
}

const NAMED_IN_FULL = 10

/**
 * Everything below `dir`, sorted by path.
 * @throws FleetError `USAGE` no such directory · `BUILD_EMPTY` · `LIMITS_EXCEEDED` · `ENTRY_REFUSED`, which names what cannot be deployed
 */
export async function scanTree(
  dir: string,
  limits: Limits,
  foldAllowed: boolean,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Scanned[]> {
  const refusals: string[] = []
  const found = await walk(resolve(dir), limits, refusals, new Breather(clock, signal))
  found.sort((a, b) => comparePaths(a.path, b.path))
  refuseLinks(found, refusals)
  if (!foldAllowed) refuseClashes(found, refusals)
  if (refusals.length > 0) {
    const rest = refusals.length - NAMED_IN_FULL
    const more = rest > 0 ? ` and ${rest} more` : ''
    throw new FleetError(
      'ENTRY_REFUSED',
      `nothing was published: ${refusals.slice(0, NAMED_IN_FULL).join('; ')}${more}`,
    )
  }
  if (found.length === 0) throw new FleetError('BUILD_EMPTY', `${dir} is empty`)
  const bytes = found.reduce((sum, entry) => sum + entry.size, 0)
  if (bytes > limits.bytes) {
    throw new FleetError('LIMITS_EXCEEDED', `${dir} holds ${bytes} bytes of files, the limit is ${limits.bytes}`)
  }
  return found
}

async function walk(root: string, limits: Limits, refusals: string[], breather: Breather): Promise<Scanned[]> {
  const found: Scanned[] = []
  const ahead = ['']
  for (let at = ahead.pop(); at !== undefined; at = ahead.pop()) {
    for (const name of listDirectory(root, at, refusals)) {
      await breather.breathe()
      const path = at === '' ? name : `${at}/${name}`
      const fault = pathFault(path, limits)
      const entry = fault === null ? look(root, path) : fault
      if (typeof entry === 'string') {
        refusals.push(`${shownPath(path)} ${entry}`)
        continue
      }
      found.push(entry)
      if (entry.type === 'd') ahead.push(path)
      if (found.length > limits.entries) {
        throw new FleetError('LIMITS_EXCEEDED', `${root} holds more than ${limits.entries} entries`)
      }
    }
  }
  return found
}

function listDirectory(root: string, path: string, refusals: string[]): readonly string[] {
  try {
    return readdirSync(join(root, path))
  } catch (cause) {
    const code = codeOf(cause)
    if (path !== '') {
      refusals.push(`${shownPath(path)} cannot be read (${code})`)
      return []
    }
    throw new FleetError('USAGE', `${root} is not a directory that can be read (${code})`, { cause })
  }
}

/** The entry at a path, or why it cannot be deployed. */
function look(root: string, path: string): Scanned | string {
  try {
    const stat = lstatSync(join(root, path))
    const shape = { path, mode: stat.mode & 0o755, size: 0, target: '', stamp: stampOf(stat) }
    if (stat.isDirectory()) return { ...shape, type: 'd' }
    if (stat.isFile()) return { ...shape, type: 'f', size: stat.size }
    if (stat.isSymbolicLink()) return { ...shape, type: 'l', mode: 0, target: readlinkSync(join(root, path)) }
    return `is a ${kindOf(stat)}`
  } catch (error) {
    return `cannot be read (${codeOf(error)})`
  }
}

function kindOf(stat: Stats): string {
  if (stat.isFIFO()) return 'named pipe'
  if (stat.isSocket()) return 'socket'
  if (stat.isBlockDevice() || stat.isCharacterDevice()) return 'device'
  return 'thing that is neither file, directory nor link'
}

function refuseLinks(found: readonly Scanned[], refusals: string[]): void {
  const links = new Map(found.filter(({ type }) => type === 'l').map(({ path, target }) => [path, target]))
  const followed = new FollowedLinks((at) => links.get(at))
  for (const [path, target] of links) {
    const fault = linkFault(path, target, followed)
    if (fault !== null) refusals.push(`${shownPath(path)} ${fault}`)
  }
}

function refuseClashes(found: readonly Scanned[], refusals: string[]): void {
  const seen = new Map<string, string>()
  for (const { path } of found) {
    const fold = foldOf(path)
    const other = seen.get(fold)
    if (other === undefined) seen.set(fold, path)
    else refusals.push(`${shownPath(path)} differs from ${shownPath(other)} only in case or composition`)
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
