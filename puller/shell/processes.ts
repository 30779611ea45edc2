// Owns what /proc says about processes: who lives, since when, in which group, and from which files they run.
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'

/** What /proc/<pid>/stat tells. */
export interface ProcessFacts {
  readonly pid: number
  /** One letter, as proc(5) has it; Z and X are dead. */
  readonly state: string
  readonly group: number
  /** Seconds since boot. */
  readonly startedSeconds: number
}

/** Ticks a second in /proc: a constant of Linux's interface, whatever the kernel's own timer does. */
const TICKS = 100

/** Reads one process; null when there is none. */
export function processFacts(pid: number): ProcessFacts | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, , group] = fields
  const ticks = fields[19]
  if (state === undefined || group === undefined || ticks === undefined) return null
  return { pid, state, group: Number(group), startedSeconds: Number(ticks) / TICKS }
}

/** Whether a process runs under this pid: a zombie does not run. */
export function lives(facts: ProcessFacts | null): facts is ProcessFacts {
  return facts !== null && facts.state !== 'Z' && facts.state !== 'X'
}

/** Whether any process of this group still runs. Zombies do not count: where nobody reaps them they stay for ever. */
export function groupLives(pgid: number): boolean {
  try {
    process.kill(-pgid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  return pidsSync().some((pid) => {
    const facts = processFacts(pid)
    return lives(facts) && facts.group === pgid
  })
}

function pidsSync(): number[] {
  return readdirSync('/proc').filter(isPid).map(Number)
}

function isPid(name: string): boolean {
  return /^[1-9]\d*$/.test(name)
}

/** When this machine booted by today's wall clock, in milliseconds since 1970. @param nowMs wall time */
export async function bootedAtMs(nowMs: number): Promise<number> {
  const uptime = await readFile('/proc/uptime', 'latin1')
  return nowMs - Number(uptime.split(' ')[0]) * 1_000
}

/** Who runs what: the text of a command line, the text of an executable's path, and the user's id. */
export interface ProcessFilter {
  /** Searched for in the path of the executable. */
  readonly exe?: RegExp
  /** Searched for in the command line, arguments joined by one space. */
  readonly cmdline?: RegExp
  readonly uid?: number
}

/** A process that runs from a set of files, or that cannot be looked at and so may. */
export interface ProcessHere {
  readonly pid: number
  readonly cmdline: string
  /** `exe`, `cwd` or `root`; `unreadable` when this user may not look. */
  readonly by: 'exe' | 'cwd' | 'root' | 'unreadable'
}

/** Identity of a file: the same under every name and every mount. */
export function fileKey(facts: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${facts.dev}:${facts.ino}`
}

/** Finds processes that match the filter and whose executable, directory or root is one of `files`; never this process itself. */
export async function processesOn(files: ReadonlySet<string>, filter: ProcessFilter): Promise<ProcessHere[]> {
  const found: ProcessHere[] = []
  for (const name of await readdir('/proc')) {
    if (!isPid(name) || Number(name) === process.pid) continue
    const here = await lookAt(Number(name), files, filter)
    if (here !== null) found.push(here)
  }
  return found
}

async function lookAt(pid: number, files: ReadonlySet<string>, filter: ProcessFilter): Promise<ProcessHere | null> {
  if (!lives(processFacts(pid))) return null
  const proc = `/proc/${pid}`
  const cmdline = await readFile(`${proc}/cmdline`, 'utf8').then(
    (text) => text.replace(/\0+$/, '').replaceAll('\0', ' '),
    () => '',
  )
  // Threads of the kernel have no command line and run from nowhere.
  if (cmdline === '' || (filter.cmdline !== undefined && !filter.cmdline.test(cmdline))) return null
  if (filter.uid !== undefined && (await stat(proc).catch(() => null))?.uid !== filter.uid) return null
  const exe = await readlink(`${proc}/exe`).catch(() => null)
  if (filter.exe !== undefined && exe !== null && !filter.exe.test(exe)) return null
  for (const by of ['exe', 'cwd', 'root'] as const) {
    const facts = await stat(`${proc}/${by}`, { bigint: true }).catch((error: unknown) => error)
    if (facts instanceof Error) {
      const denied = 'code' in facts && (facts.code === 'EACCES' || facts.code === 'EPERM')
      // Gone in between is gone; what we may not see may well be ours.
      if (denied && lives(processFacts(pid))) return { pid, cmdline, by: 'unreadable' }
      continue
    }
    if (isStat(facts) && files.has(fileKey(facts))) return { pid, cmdline, by }
  }
  return null
}

function isStat(facts: unknown): facts is { dev: bigint; ino: bigint } {
  return typeof facts === 'object' && facts !== null && 'dev' in facts && 'ino' in facts
}
