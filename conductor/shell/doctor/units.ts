// Owns what systemd says of our units, and where their files and secrets lie.
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { UnitFacts } from '#conductor/core/doctor-node.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { runCommand } from '#conductor/shell/command.ts'
import { FleetError } from '#fleet/errors.ts'
import { look } from './look.ts'
import type { Doctoring } from './ports.ts'

const ASK_MS = 5_000
const CREDENTIALS = '/etc/credstore'
/** What the unit files that are shipped call the installation. */
const SHIPPED_HOME = '/opt/hotcold'
const PROPERTIES = 'LoadState,ActiveState,UnitFileState,NRestarts,Result,FragmentPath,User'

export interface Unit {
  readonly facts: UnitFacts
  /** The user that it runs as; null where it is not installed, or runs as root without saying so. */
  readonly user: string | null
}

export async function hasSystemd(): Promise<boolean> {
  return access('/run/systemd/system').then(
    () => true,
    () => false,
  )
}

/** @param unit like `hotcold-puller@web` @param shipped its file in `systemd/` */
export async function unitOf(unit: string, shipped: string, doctoring: Doctoring): Promise<Looked<Unit>> {
  if (!(await hasSystemd())) return unseen('systemd does not run here')
  return look(ASK_MS, doctoring.signal, async () => {
    const said = await ask(['systemctl', 'show', unit, '-p', PROPERTIES], doctoring)
    const rows = new Map(
      said.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    const of = (name: string) => rows.get(name) ?? ''
    const facts: UnitFacts = {
      unit,
      load: of('LoadState'),
      active: of('ActiveState'),
      enabled: of('UnitFileState'),
      restarts: Number(of('NRestarts')) || 0,
      result: of('Result'),
      differs: await differs(of('FragmentPath'), shipped, doctoring.home),
    }
    return { facts, user: of('User') || null }
  })
}

async function differs(installed: string, shipped: string, home: string): Promise<boolean | null> {
  const texts = await Promise.all(
    [installed, join(home, 'systemd', shipped)].map((file) => readFile(file, 'utf8').catch(() => null)),
  )
  const [there, ours] = texts
  return typeof there === 'string' && typeof ours === 'string' ? there !== ours.replaceAll(SHIPPED_HOME, home) : null
}

/** `timedatectl` of a systemd that runs. */
export async function synchronised(doctoring: Doctoring): Promise<Looked<boolean>> {
  if (!(await hasSystemd())) return unseen('systemd does not run here')
  return look(ASK_MS, doctoring.signal, async () => {
    const said = await ask(['timedatectl', 'show', '-p', 'NTPSynchronized', '--value'], doctoring)
    return said.trim() === 'yes'
  })
}

/** The secret of `/etc/credstore` that a token file below `/run/credentials` is made of; null where it is not made of any. */
function secretOf(tokenFile: string | undefined, prefix: string): string | null {
  if (!tokenFile?.startsWith('/run/credentials/')) return null
  return `${CREDENTIALS}/${prefix}.${tokenFile.slice(tokenFile.lastIndexOf('/') + 1)}`
}

/** Where a secret must lie, and whether it does. @param prefix what its unit calls its secrets, like `hotcold-web` */
export async function credentialsOf(
  tokenFile: string | undefined,
  prefix: string,
  { signal }: Doctoring,
): Promise<readonly { readonly file: string; readonly there: Looked<boolean> }[]> {
  const file = secretOf(tokenFile, prefix)
  if (file === null) return []
  const there = await look(ASK_MS, signal, () => isThere(file))
  return [{ file, there: there.kind === 'failed' ? unseen(`${file} cannot be looked for: run this as root`) : there }]
}

/** The token file to ask with: a unit that does not run has no credentials, so the secret that it will get is taken. */
export async function tokenFileOf(tokenFile: string | undefined, prefix: string): Promise<string | undefined> {
  const secret = secretOf(tokenFile, prefix)
  if (tokenFile === undefined || secret === null) return tokenFile
  return (await isThere(tokenFile).catch(() => true)) ? tokenFile : secret
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

/** What a command prints. @throws FleetError `SPAWN_FAILED`, also where it does not end well */
export async function ask(argv: readonly string[], { clock, signal, env }: Doctoring): Promise<string> {
  const end = await runCommand({ argv, cwd: '/', env, timeoutMs: ASK_MS }, clock, signal)
  if (!end.passed) throw new FleetError('SPAWN_FAILED', `${argv.join(' ')}: ${end.message}`)
  return end.output
}
