// Owns finding the programs that configs name, and who may run them: the same user as their unit, on the same path.
import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { mayAccess, userIn, type Who } from '#conductor/core/access.ts'
import type { ProgramFacts } from '#conductor/core/doctor-config.ts'
import { look } from './look.ts'

/** What systemd gives a unit that sets none. */
export const UNIT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Runs {
  readonly who: Who
  /** Where names without a slash are looked for. */
  readonly path: string
  /** Where names with a slash begin. */
  readonly cwd: string
}

const LIMIT_MS = 5_000

/** The program of an argv as whoever runs it would find it; on a volume that does not answer it is not to be found. */
export async function programFacts(
  of: string,
  argv: readonly string[],
  runs: Runs,
  signal: AbortSignal,
): Promise<ProgramFacts> {
  const looked = await look(LIMIT_MS, signal, () => findProgram(of, argv, runs))
  return looked.kind === 'seen' ? looked.value : { of, program: argv[0] ?? '', found: null, executable: false }
}

async function findProgram(of: string, argv: readonly string[], { who, path, cwd }: Runs): Promise<ProgramFacts> {
  const [program = ''] = argv
  const places = program.includes('/') ? [resolve(cwd, program)] : path.split(':').map((dir) => join(dir, program))
  let found: string | null = null
  for (const place of places.filter((one) => isAbsolute(one))) {
    const file = await stat(place).catch(() => null)
    if (!file?.isFile()) continue
    if (mayAccess(file, who, 'execute') && (await mayReach(place, who))) {
      return { of, program, found: place, executable: true }
    }
    found ??= place
  }
  return { of, program, found, executable: false }
}

/** Whether every folder above a path lets the user through. */
export async function mayReach(path: string, who: Who): Promise<boolean> {
  for (let at = dirname(path); ; at = dirname(at)) {
    const folder = await stat(at).catch(() => null)
    if (folder === null || !mayAccess(folder, who, 'execute')) return false
    if (at === dirname(at)) return true
  }
}

/** By name; whoever asks when it is null, or when there is no such user. */
export async function whoIs(name: string | null): Promise<Who> {
  if (name === null) {
    return {
      name: 'whoever asks',
      uid: process.geteuid?.() ?? 0,
      gids: [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
    }
  }
  const [passwd, group] = await Promise.all(
    ['/etc/passwd', '/etc/group'].map((file) => readFile(file, 'utf8').catch(() => '')),
  )
  return userIn(name, passwd ?? '', group ?? '') ?? (await whoIs(null))
}
