// Owns hosts to push to: each an ssh server of its own on loopback, in a mount namespace where one path is its own disk. Needs root.
import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '#bench/kit/free-port.ts'
import type { Scope } from '#bench/kit/scope.ts'
import { end, mortal } from '#test/support/child.ts'
import { until } from '#test/support/until.ts'

export interface Hosts {
  /** For `ssh -F`: knows host-1, host-2, … */
  readonly config: string
  readonly key: string
  readonly names: readonly string[]
  /** The same path on every host, each with content of its own. */
  readonly place: string
  /** Where that content lies as seen from here. */
  inside(name: string): string
}

/** Starts so many hosts. */
export async function startHosts(scope: Scope, sshd: string, count: number): Promise<Hosts> {
  const dir = scope.directory('hosts')
  const place = join(dir, 'place')
  for (const path of [place, '/run/sshd']) mkdirSync(path, { recursive: true })
  for (const key of ['host', 'id']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, key)])
  }
  copyFileSync(join(dir, 'id.pub'), join(dir, 'authorized_keys'))
  const names = Array.from({ length: count }, (_, index) => `host-${index + 1}`)
  const blocks: string[] = []
  for (const name of names) {
    const port = await freePort()
    mkdirSync(join(dir, name))
    const config = join(dir, `${name}.sshd`)
    writeFileSync(config, `${serverConfig(dir, port).join('\n')}\n`)
    const line = `mount --bind ${join(dir, name)} ${place} && exec ${sshd} -D -e -f ${config}`
    const child = spawn(...mortal('unshare', '--mount', 'sh', '-c', line), { stdio: 'ignore' })
    scope.after(() => end(child, 'SIGKILL'))
    await until(`${name} listens`, () => listens(port), 10_000)
    blocks.push(...clientConfig(dir, name, port))
  }
  const config = join(dir, 'ssh_config')
  writeFileSync(config, `${blocks.join('\n')}\n`)
  return { config, key: join(dir, 'id'), names, place, inside: (name) => join(dir, name) }
}

function serverConfig(dir: string, port: number): readonly string[] {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(dir, 'host')}`,
    'PidFile none',
    `AuthorizedKeysFile ${join(dir, 'authorized_keys')}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'MaxStartups 200:30:400',
    'MaxSessions 100',
  ]
}

function clientConfig(dir: string, name: string, port: number): readonly string[] {
  return [
    `Host ${name}`,
    '  HostName 127.0.0.1',
    `  Port ${port}`,
    '  User root',
    `  IdentityFile ${join(dir, 'id')}`,
    '  IdentitiesOnly yes',
    '  StrictHostKeyChecking no',
    '  UserKnownHostsFile /dev/null',
    '  LogLevel ERROR',
  ]
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })
}
