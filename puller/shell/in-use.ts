// Owns finding the processes that use a tree, by device and inode: cwd, root, program, open and mapped files. Runs in a worker.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { errnoOf } from './disk-faults.ts'

/** A process that uses the tree. */
export interface User {
  readonly pid: number
  readonly name: string
  /** `has its working directory in`, `maps`, … with the path as that process sees it. */
  readonly how: string
}

export interface Usage {
  readonly users: readonly User[]
  /** Processes of which not everything could be read. */
  readonly unreadable: readonly number[]
  /** /proc does not show the processes of others at all. */
  readonly hidden: boolean
}

const LINKS = [
  ['cwd', 'has its working directory in'],
  ['root', 'has its root in'],
  ['exe', 'runs'],
] as const

/**
 * Looks at every process but our own. Paths are never compared: a process may see the tree under another mount, in another namespace.
 * @param dev device of the tree
 * @param inodes of everything in the tree, its root included
 */
export function whoUses(dev: number, inodes: Float64Array): Usage {
  const wanted = new Set(inodes)
  const users: User[] = []
  const unreadable: number[] = []
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  for (const pid of pids.map(Number)) {
    if (pid === process.pid || isKernelThread(pid)) continue
    const found = inspect(pid, dev, wanted)
    // An init that hides itself even from root (a sandbox's, a container host's) was not started from a tree of ours.
    if (found === 'unreadable' && pid === 1 && process.getuid?.() === 0) continue
    if (found === 'unreadable') unreadable.push(pid)
    else if (found !== null) users.push({ pid, name: nameOf(pid), how: found })
  }
  return { users, unreadable, hidden: !pids.includes('1') }
}

/** How a process uses the tree; null when it does not, or is gone. */
function inspect(pid: number, dev: number, wanted: ReadonlySet<number>): string | 'unreadable' | null {
  let unreadable = false
  /** Runs one look; a process may end under our eyes, and some of it may be closed to us. */
  const look = (at: () => string | null): string | null => {
    try {
      return at()
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'EACCES' || errno === 'EPERM') unreadable = true
      return null
    }
  }
  const isWanted = (path: string): boolean => {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat !== undefined && stat.dev === dev && wanted.has(stat.ino)
  }
  const base = `/proc/${pid}`
  for (const [link, how] of LINKS) {
    const found = look(() => (isWanted(`${base}/${link}`) ? `${how} ${readlinkSync(`${base}/${link}`)}` : null))
    if (found !== null) return found
  }
  const open = look(() => {
    for (const fd of readdirSync(`${base}/fd`)) {
      const found = look(() => (isWanted(`${base}/fd/${fd}`) ? `holds ${readlinkSync(`${base}/fd/${fd}`)} open` : null))
      if (found !== null) return found
    }
    return null
  })
  if (open !== null) return open
  const mapped = look(() => mappedIn(base, dev, wanted))
  if (mapped !== null) return mapped
  return unreadable ? 'unreadable' : null
}

/** `address perms offset major:minor inode path`, one line per mapping. */
function mappedIn(base: string, dev: number, wanted: ReadonlySet<number>): string | null {
  for (const line of readFileSync(`${base}/maps`, 'utf8').split('\n')) {
    const match = /^([0-9a-f]+-[0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+)\s*(.*)$/.exec(line)
    if (match === null) continue
    const [, range, major = '', minor = '', inode, path = ''] = match
    if (!wanted.has(Number(inode))) continue
    if (deviceOf(Number.parseInt(major, 16), Number.parseInt(minor, 16)) === dev) return `maps ${path}`
    // btrfs and overlay show another device here than stat does: only the mapped file itself can tell.
    if (statSync(`${base}/map_files/${range}`, { throwIfNoEntry: false })?.dev === dev) return `maps ${path}`
  }
  return null
}

/** A device number as stat gives it, from its two halves (glibc's makedev). */
function deviceOf(major: number, minor: number): number {
  const low = (minor & 0xff) | ((major & 0xfff) << 8)
  return low + (minor >>> 8) * 2 ** 20
}

const PF_KTHREAD = 0x0020_0000

/** Kernel threads have no files, and nobody may read them. */
function isKernelThread(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name may hold spaces and parentheses: fields are counted after its last one; flags are the seventh of them.
    const flags = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]
    return (Number(flags) & PF_KTHREAD) !== 0
  } catch {
    return false
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
