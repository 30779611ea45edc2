// Owns daemons in tests: `conduct serve` in this process or in one of its own, and what it answers over HTTP.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { end, hasEnded, mortal } from './child.ts'
import type { Conducting, Running } from './conducting.ts'
import { APP } from './rollout-sim.ts'
import { until } from './until.ts'

const CONDUCT = join(import.meta.dirname, '../../conductor/conduct')

export interface Line {
  readonly msg: string
  readonly address?: string
  readonly [field: string]: unknown
}

export interface Daemon {
  /** Host and port. */
  readonly address: string
  lines(): readonly Line[]
  /** Waits until it leads. */
  leads(): Promise<void>
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  json<value>(path: string): Promise<value>
}

export interface DaemonHere extends Daemon {
  /** As by SIGTERM; the exit code. */
  stop(): Promise<number>
}

export interface DaemonProcess extends Daemon {
  readonly child: ChildProcess
  stop(signal: NodeJS.Signals): Promise<number | null>
}

/** A daemon in this process, by `conduct serve`. */
export async function serving(
  t: TestContext,
  fleet: Pick<Conducting, 'start'>,
  ...argv: readonly string[]
): Promise<DaemonHere> {
  const running: Running = fleet.start('serve', '--listen', '127.0.0.1:0', ...argv)
  let over = false
  const ended = running.end.finally(() => {
    over = true
  })
  const stop = async () => {
    running.interrupt()
    return (await ended).code
  }
  t.after(stop)
  const said = () => running.stdout()
  return {
    ...(await daemonOf(
      said,
      () => over,
      () => running.stderr(),
    )),
    stop,
  }
}

/** A daemon in a process of its own. */
export async function servingProcess(
  t: TestContext,
  of: {
    readonly dir: string
    readonly url: string
    readonly app?: string
    readonly env?: Readonly<Record<string, string>>
  },
  ...argv: readonly string[]
): Promise<DaemonProcess> {
  const { dir, url, app = APP, env = {} } = of
  const words = ['serve', '--listen', '127.0.0.1:0', '--app', app, '--consul', url, ...argv]
  const child = spawn(...mortal(CONDUCT, ...words), {
    env: { ...process.env, HOTCOLD_CONFIG: join(dir, 'hotcold.yaml'), ...env },
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => end(child, 'SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const daemon = await daemonOf(
    () => stdout,
    () => hasEnded(child),
    () => stderr,
  )
  return { ...daemon, child, stop: (signal) => end(child, signal) }
}

async function daemonOf(stdout: () => string, over: () => boolean, stderr: () => string): Promise<Daemon> {
  const lines = (): readonly Line[] =>
    stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  const find = (msg: string) => lines().find((line) => line.msg === msg)
  await until('the daemon serves', () => over() || find('serves') !== undefined)
  const address = find('serves')?.address
  assert.ok(address, `it ended: ${stdout()}${stderr()}`)
  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`http://${address}${path}`, { headers })
  return {
    address,
    lines,
    get,
    leads: () => until('it leads', () => find('leads from here on')).then(() => undefined),
    json: async <value>(path: string) => {
      const answer = await get(path)
      const text = await answer.text()
      assert.equal(answer.status, 200, `${path}: ${text}`)
      return JSON.parse(text) as value
    },
  }
}
