// Owns a machine that tests boot: Debian 12 under its own systemd, with this repository in /opt/hotcold and a Consul agent, all in namespaces of its own.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { ended, hasEnded, mortal } from '#test/support/child.ts'
import { until } from '#test/support/until.ts'

const REPOSITORY = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')
const DEBIAN = join(REPOSITORY, '.cache/host/root')
const CONSUL = join(REPOSITORY, '.cache/consul/root/usr/bin/consul')
/** SIGRTMIN+4 asks systemd to power off: Node has no name for it. */
const POWER_OFF = '-RTMIN+4'

/** Longer than a unit of ours takes to stop. */
const POWER_OFF_MS = 20_000

const exec = promisify(execFile)

/** What a command said; its exit code is never thrown. */
export interface Said {
  readonly code: number
  readonly out: string
}

export interface Host {
  /** Runs a command as root. */
  run(...argv: readonly string[]): Promise<Said>
  /** The same; anything but exit 0 is an error that shows what was said. */
  must(...argv: readonly string[]): Promise<string>
  /** Writes a file; folders on the way are made. */
  write(path: string, content: string, mode?: number): void
  read(path: string): string
  /** One property of a unit, as `systemctl show` has it. */
  property(unit: string, name: string): Promise<string>
  journal(unit: string): Promise<string>
  /** Powers off and boots again: what is on the disk stays. */
  reboot(): Promise<void>
}

/** Boots a machine; it is gone after the test, with all that was written on it. Needs root. */
export async function bootHost(t: TestContext, name: string): Promise<Host> {
  const dir = mkdtempSync(join(tmpdir(), 'hotcold-host-'))
  const machine = `hotcold-${name}-${process.pid}`
  let running: Running | null = null
  // In one hook, since the order of the steps matters: a disk cannot be taken from under a running machine.
  t.after(async () => {
    if (running !== null) await powerOff(running)
    removeCgroups(machine)
    execFileSync('umount', ['-R', dir])
    rmdirSync(dir)
  })
  const disk = layDisk(dir)
  running = await boot(machine, disk)
  const at = (path: string): string => join(disk, path)
  const run = async (...argv: readonly string[]): Promise<Said> => await inside(running?.leader ?? 0, argv)
  const must = async (...argv: readonly string[]): Promise<string> => {
    const { code, out } = await run(...argv)
    if (code !== 0) throw new Error(`${argv.join(' ')} exits ${code}: ${out}`)
    return out
  }
  return {
    run,
    must,
    write(path, content, mode = 0o644) {
      mkdirSync(dirname(at(path)), { recursive: true })
      writeFileSync(at(path), content, { mode })
    },
    read: (path) => readFileSync(at(path), 'utf8'),
    property: async (unit, property) => (await must('systemctl', 'show', '-P', property, unit)).trim(),
    journal: (unit) => must('journalctl', '--no-pager', '-o', 'cat', '-u', unit),
    async reboot() {
      if (running !== null) await powerOff(running)
      running = await boot(machine, disk)
    },
  }
}

/** The made Debian below, what this test writes above it: nothing of it reaches the next test. */
function layDisk(dir: string): string {
  if (!existsSync(DEBIAN)) throw new Error('there is no .cache/host: run .ci/components host')
  // overlayfs may not lie on another overlayfs, which / is in many containers.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1g,mode=0755', 'tmpfs', dir])
  const [above, work, disk] = ['above', 'work', 'disk'].map((part) => join(dir, part)) as [string, string, string]
  for (const part of [above, work, disk, join(dir, 'srv')]) mkdirSync(part)
  execFileSync('mount', [
    ...['-t', 'overlay', '-o', `lowerdir=${DEBIAN},upperdir=${above},workdir=${work}`, 'overlay', disk],
  ])
  // Roots lie on one plain file system, as they do on servers: files and folders of an overlay have different devices.
  execFileSync('mount', ['--bind', join(dir, 'srv'), join(disk, 'srv')])
  const bin = join(disk, 'usr/local/bin')
  mkdirSync(bin, { recursive: true })
  execFileSync('cp', [CONSUL, bin])
  writeFileSync(join(disk, 'etc/systemd/system/consul.service'), CONSUL_UNIT)
  mkdirSync(join(disk, 'etc/systemd/system/multi-user.target.wants'), { recursive: true })
  execFileSync('ln', ['-s', '../consul.service', join(disk, 'etc/systemd/system/multi-user.target.wants')])
  return disk
}

const CONSUL_UNIT = `[Service]
ExecStart=/usr/local/bin/consul agent -server -bootstrap-expect 1 -data-dir /var/lib/consul -bind 127.0.0.1 -client 127.0.0.1 -log-level warn -hcl 'performance { raft_multiplier = 1 }'
[Install]
WantedBy=multi-user.target
`

interface Running {
  readonly nspawn: ChildProcess
  /** systemd itself, PID 1 in there. */
  readonly leader: number
}

async function boot(machine: string, disk: string): Promise<Running> {
  const script = new URL('boot', import.meta.url).pathname
  const nspawn = spawn(...mortal(script, machine, disk, REPOSITORY), { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  nspawn.stderr?.on('data', (part) => {
    complaints += String(part)
  })
  let leader = 0
  await until('systemd runs', () => {
    if (hasEnded(nspawn))
      throw new Error(`the machine did not boot: systemd-nspawn exited ${nspawn.exitCode}: ${complaints}`)
    leader = childOf(nspawn.pid ?? 0)
    // The first child of all is a short-lived one.
    return leader > 0 && readFileSync(`/proc/${leader}/comm`, 'utf8').trim() === 'systemd'
  })
  const running = { nspawn, leader }
  try {
    await upAndServing(running)
  } catch (error) {
    await powerOff(running)
    throw error
  }
  return running
}

async function upAndServing({ leader }: Running): Promise<void> {
  await until('the machine has booted', async () =>
    /running|degraded/.test((await inside(leader, ['systemctl', 'is-system-running'])).out),
  )
  const ask = ['/usr/local/bin/consul', 'info']
  await until('Consul has a leader', async () => /leader = true/.test((await inside(leader, ask)).out))
}

function childOf(pid: number): number {
  const children = `/proc/${pid}/task/${pid}/children`
  return existsSync(children) ? Number(readFileSync(children, 'utf8').split(' ')[0]) : 0
}

async function inside(leader: number, argv: readonly string[]): Promise<Said> {
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }
  const limits = { env, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 }
  return await exec('nsenter', ['-t', String(leader), '-a', '--', ...argv], limits).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout + stderr }),
    (error: { code?: unknown; stdout?: string; stderr?: string }) => ({
      code: typeof error.code === 'number' ? error.code : -1,
      out: `${error.stdout ?? ''}${error.stderr ?? ''}`,
    }),
  )
}

async function powerOff({ nspawn, leader }: Running): Promise<void> {
  if (hasEnded(nspawn)) return
  execFileSync('kill', [POWER_OFF, String(leader)])
  // The kernel ends all of a machine with its PID 1; systemd-nspawn alone would leave it running, and may not notice that it ended.
  const late = setTimeout(() => {
    if (existsSync(`/proc/${leader}`)) process.kill(leader, 'SIGKILL')
    nspawn.kill('SIGKILL')
  }, POWER_OFF_MS)
  await ended(nspawn)
  clearTimeout(late)
}

function removeCgroups(machine: string): void {
  for (const hierarchy of ['systemd', 'unified']) removeBelow(`/sys/fs/cgroup/${hierarchy}/${machine}`)
}

function removeBelow(dir: string): void {
  if (!existsSync(dir)) return
  for (const child of readdirSync(dir, { withFileTypes: true })) {
    if (child.isDirectory()) removeBelow(join(dir, child.name))
  }
  rmdirSync(dir)
}
