// Owns gathering the facts of one puller on this machine: its configuration, root, hooks and unit.
import { access, lstat, readFile, stat, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { PullerKept } from '#conductor/config-doctor.ts'
import { mayAccess, mountOf, type Who } from '#conductor/core/access.ts'
import type { PullerFacts, RootFacts } from '#conductor/core/doctor-node.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { runCommand } from '#conductor/shell/command.ts'
import { look } from './look.ts'
import type { Doctoring } from './ports.ts'
import { mayReach, programFacts, UNIT_PATH, whoIs } from './programs.ts'
import { credentialsOf, unitOf } from './units.ts'

const CHECK_MS = 20_000
const DISK_MS = 5_000
const PARTS = ['trees', 'trees/a', 'trees/b', '.hotcold']

/** A configuration of a puller; `kept` is null where nothing of it can be read. */
export interface PullerFile {
  /** What its unit calls it. */
  readonly name: string
  readonly file: string
  readonly kept: PullerKept | null
  /** It lies where a unit of ours reads it. */
  readonly hasUnit: boolean
}

export async function pullerFacts(
  { name, file, kept, hasUnit }: PullerFile,
  build: PullerFacts['build'],
  doctoring: Doctoring,
): Promise<PullerFacts> {
  const { signal, env } = doctoring
  const unit = hasUnit
    ? await unitOf(`hotcold-puller@${name}`, 'hotcold-puller@.service', doctoring)
    : unseen(`${file} is not where units read theirs: /etc/hotcold/puller`)
  const installed = unit.kind === 'seen' && unit.value.facts.load === 'loaded'
  const who = await whoIs(installed ? (unit.value.user ?? 'root') : null)
  const root = kept?.root
  const runs = { who, path: installed ? UNIT_PATH : (env.PATH ?? UNIT_PATH), cwd: root ?? '/' }
  const commands = commandsOf(kept)
  return {
    name,
    file,
    problem: await look(CHECK_MS, signal, () => problemOf(file, who, doctoring)),
    root: root === undefined ? null : { path: root, facts: await look(DISK_MS, signal, () => rootFacts(root, who)) },
    build,
    programs: await Promise.all(commands.map(([of, argv]) => programFacts(of, argv, runs, signal))),
    reloads: await reloadsOf(commands, who),
    unit: unit.kind === 'seen' ? { kind: 'seen', value: unit.value.facts } : unit,
    credentials: await credentialsOf(kept?.consul.tokenFile, `hotcold-${name}`, doctoring),
  }
}

/** What the puller of this installation says of its configuration; empty: it is in order. */
async function problemOf(file: string, who: Who, { home, env, clock, signal }: Doctoring): Promise<string> {
  const argv = [join(home, 'puller/puller'), 'check-config', '--config', file]
  const end = await runCommand({ argv, cwd: '/', env, timeoutMs: CHECK_MS }, clock, signal)
  if (!end.passed)
    return (
      end.output
        .trim()
        .replace(/\s*\n\s*/g, ' ')
        .replace(/\.$/, '') || end.message
    )
  const reachable = mayAccess(await stat(file), who, 'read') && (await mayReach(file, who))
  return reachable ? '' : `${who.name} may not read ${file}`
}

function commandsOf(kept: PullerKept | null): readonly (readonly [of: string, argv: readonly string[]])[] {
  const { hooks, drain, verify } = kept ?? {}
  const all = [...Object.entries(hooks ?? {}), ['drain', drain?.argv] as const, ['verify', verify?.command] as const]
  return all.flatMap(([of, argv]) => (argv === undefined ? [] : [[of, argv] as const]))
}

async function rootFacts(root: string, who: Who): Promise<RootFacts> {
  const entry = await lstat(root).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  })
  const is = entry === null ? 'nothing' : entry.isSymbolicLink() ? 'link' : entry.isDirectory() ? 'directory' : 'other'
  const mount = mountOf(root, await readFile('/proc/self/mountinfo', 'utf8'))
  if (entry === null || is !== 'directory') {
    return { is, elsewhere: [], mount, freeBytes: 0, freeInodes: null, user: who.name, writable: false }
  }
  const parts = await Promise.all(
    PARTS.map(async (part) => [part, await lstat(join(root, part)).catch(() => null)] as const),
  )
  const { bavail, bsize, files, ffree } = await statfs(root)
  const writable = ['write', 'execute'] as const
  return {
    is,
    elsewhere: parts.filter(([, one]) => one !== null && one.dev !== entry.dev).map(([part]) => join(root, part)),
    mount,
    freeBytes: bavail * bsize,
    freeInodes: files > 0 ? ffree : null,
    user: who.name,
    writable: writable.every((how) => mayAccess(entry, who, how)) && (await mayReach(root, who)),
  }
}

const RELOADS = /^(re|try-re|force-re)?(start|load|stop)/
const RULES = '/etc/polkit-1/rules.d/50-hotcold.rules'
const POLKIT = ['/usr/lib/polkit-1/polkitd', '/usr/libexec/polkitd', '/usr/lib/policykit-1/polkitd']

/** Units that hooks act on by systemctl; root needs no rule. */
async function reloadsOf(commands: ReturnType<typeof commandsOf>, who: Who): Promise<PullerFacts['reloads']> {
  const units = commands.flatMap(([, argv]) => {
    const words = argv.slice(1).filter((word) => !word.startsWith('-'))
    const acts = basename(argv[0] ?? '') === 'systemctl' && RELOADS.test(words[0] ?? '')
    return acts ? words.slice(1) : []
  })
  if (units.length === 0 || who.uid === 0) return []
  const allowed = await rules()
  return units.map((unit) => {
    const full = unit.includes('.') ? unit : `${unit}.service`
    if (allowed.kind !== 'seen') return { unit: full, allowed }
    return { unit: full, allowed: { kind: 'seen', value: allowed.value.includes(`"${full}"`) } }
  })
}

/** The text of the rules; empty where there are none, or nobody heeds them. */
async function rules(): Promise<Looked<string>> {
  const heeded = await Promise.all(
    POLKIT.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (!heeded.includes(true)) return { kind: 'seen', value: '' }
  try {
    return { kind: 'seen', value: await readFile(RULES, 'utf8') }
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? { kind: 'seen', value: '' } : unseen(`${RULES} cannot be read: run this as root`)
  }
}
