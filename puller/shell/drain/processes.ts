// Owns the drain kind `processes`: nobody who matches a filter still runs from the hot tree.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError } from '#fleet/errors.ts'
import { fileKey, type ProcessFilter, type ProcessHere, processesOn } from '../processes.ts'
import type { Gauge, GaugeContext, GaugeWorld } from './gauge.ts'

/** Which processes must be gone; all that is given must fit, and nothing given fits every process. */
export interface ProcessMatch {
  /** Regular expression, searched for in the path of the executable. */
  readonly exe?: string | undefined
  /** Regular expression, searched for in the command line, arguments joined by one space. */
  readonly cmdline?: string | undefined
  /** Name or id of the user. */
  readonly user?: string | undefined
}

/**
 * Idle once no matching process has its executable, working directory or root in the hot tree, told by device and inode, so under whatever
 * mount it sees the tree. A process that this user may not look at is busy unless its command line or user rule it out: a puller that is
 * not root needs a filter by one of these, and cannot drain by this kind what another user runs.
 */
export function processesGauge(config: { readonly match: ProcessMatch }, ctx: GaugeContext, world: GaugeWorld): Gauge {
  let prepared: Promise<{ files: ReadonlySet<string>; filter: ProcessFilter }> | undefined
  return {
    async read() {
      try {
        prepared ??= prepare(config.match, join(ctx.root, 'hot'))
        const { files, filter } = await prepared
        const here = await processesOn(files, filter)
        return here.length === 0 ? null : describe(here)
      } catch (error) {
        prepared = undefined
        return `the processes cannot be read: ${describeError(error)}`
      }
    },
    pause: (ms, signal) => world.clock.sleep(ms, signal),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function prepare(
  match: ProcessMatch,
  hot: string,
): Promise<{ files: ReadonlySet<string>; filter: ProcessFilter }> {
  const filter: ProcessFilter = {
    ...(match.exe !== undefined && { exe: new RegExp(match.exe) }),
    ...(match.cmdline !== undefined && { cmdline: new RegExp(match.cmdline) }),
    ...(match.user !== undefined && { uid: await uidOf(match.user) }),
  }
  return { files: await filesOf(hot), filter }
}

/** Every directory and file that somebody can run from. Nobody writes into the hot tree, so once is enough. */
async function filesOf(hot: string): Promise<ReadonlySet<string>> {
  const files = new Set([fileKey(await stat(hot, { bigint: true }))])
  for (const entry of await readdir(hot, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory() && !entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const facts = await stat(path, { bigint: true }).catch(() => null)
    if (facts !== null && (facts.isDirectory() || (facts.mode & 0o111n) !== 0n)) files.add(fileKey(facts))
  }
  return files
}

async function uidOf(user: string): Promise<number> {
  if (/^\d+$/.test(user)) return Number(user)
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith(`${user}:`))
  const uid = line?.split(':')[2]
  if (uid === undefined) throw new Error(`there is no user ${user} in /etc/passwd`)
  return Number(uid)
}

function describe(here: readonly ProcessHere[]): string {
  const [first] = here
  if (first === undefined) return ''
  const who = `pid ${first.pid} (${first.cmdline.slice(0, 80)})`
  const how =
    first.by === 'unreadable'
      ? 'may: this user may not look; narrow the match by cmdline or user'
      : `by its ${first.by}`
  const what = here.length === 1 ? 'a process still runs' : `${here.length} processes still run`
  return `${what} from the hot tree, ${who} ${how}`
}
