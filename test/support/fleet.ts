// Owns a whole fleet in a test: a Consul, a store, pullers as processes, and the CLI run as a person would run it.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { end, mortal } from './child.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

const PROJECT = new URL('../..', import.meta.url).pathname

/** What a finished command said. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. The environment is this process's own plus `env`. */
export function run(
  argv: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = spawn(...mortal(...argv), { cwd: options.cwd, env: { ...process.env, NO_COLOR: '1', ...options.env } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** What `conduct status --json` promises (design section 10), as far as tests read it. */
export interface StatusView {
  readonly app: string
  readonly rings: readonly {
    readonly ring: string
    readonly target: { generation: number; build: string | null; fallback: string | null; cutoff: number } | null
    readonly counts: Record<'total' | 'converged' | 'staged' | 'working' | 'failed' | 'silent', number>
    readonly nodes: readonly {
      node: string
      phase: string
      hot: string | null
      cold: string | null
      generation: number
      refusal: { build: string; code: string; message: string } | null
      silent: boolean
    }[]
  }[]
  readonly rollout: { id: string; build: string; phase: string; because: { code: string }[] } | null
}

export interface FleetNode {
  readonly name: string
  readonly root: string
  readonly configFile: string
  readonly logFile: string
  /** The build that `hot` holds according to its seal, or null. */
  hot(): Promise<string | null>
  log(): Promise<string>
  start(env?: Record<string, string>): void
  /** Ends the puller with this signal and waits for its end; the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  readonly pid: number | undefined
}

export interface Fleet {
  readonly dir: string
  readonly configFile: string
  readonly nodes: readonly FleetNode[]
  conduct(...args: readonly string[]): Promise<Ran>
  status(): Promise<StatusView>
  /** Waits until the whole ring runs `build`. */
  converged(build: string, limitMs?: number): Promise<StatusView>
}

export interface FleetOptions {
  readonly consulUrl: string
  readonly store: Record<string, unknown> & { readonly url: string }
  readonly nodes: number
  readonly app?: string
  readonly ring?: string
  /** More or other keys of every puller's config. */
  readonly puller?: (node: { index: number; name: string; root: string }) => Record<string, unknown>
  readonly conductor?: Record<string, unknown>
  readonly env?: Record<string, string>
  /** Where a node's root lies, for volumes of a test's own; a folder of the fleet's unless told. */
  readonly rootOf?: (name: string) => string
  /** Argv before each puller's own, such as setpriv(1) to take rights away. */
  readonly under?: readonly string[]
  /** Leaves the pullers to be started by the test. */
  readonly unstarted?: boolean
}

function fleetNode(name: string, root: string, dir: string, options: FleetOptions): FleetNode {
  const { env = {}, under = [] } = options
  const configFile = join(dir, `${name}.yaml`)
  const logFile = join(dir, `${name}.log`)
  let child: ChildProcess | null = null
  const sealed = async (): Promise<string | null> => {
    const tree = await readlink(join(root, 'hot'))
    const seal: unknown = JSON.parse(await readFile(join(root, `${tree}.seal`), 'utf8'))
    return (seal as { build: string }).build
  }
  return {
    name,
    root,
    configFile,
    logFile,
    get pid() {
      return child?.pid
    },
    hot: () => sealed().catch(() => null),
    log: () => readFile(logFile, 'utf8'),
    start: (more = {}) => {
      const log = createWriteStream(logFile, { flags: 'a' })
      child = spawn(...mortal(...under, join(PROJECT, 'puller/puller'), 'run', '--config', configFile), {
        env: { ...process.env, ...env, ...more },
      })
      child.stdout?.pipe(log, { end: false })
      child.stderr?.pipe(log, { end: false })
    },
    stop: async (signal = 'SIGTERM') => {
      const running = child
      child = null
      return running === null ? null : await end(running, signal)
    },
  }
}

/** Starts a fleet, creates the app's keys, and ends every process after the test. */
export async function startFleet(t: TestContext, options: FleetOptions): Promise<Fleet> {
  const { app = 'web', ring = 'production', env = {} } = options
  const nodes: FleetNode[] = []
  // Before the directory goes: hooks run in the order they were registered.
  t.after(() => Promise.all(nodes.map((node) => node.stop('SIGKILL'))))
  const dir = await tmp(t, 'fleet')
  const consul = { url: options.consulUrl }
  const configFile = join(dir, 'hotcold.yaml')
  const plan = [{ ring }]
  await writeFile(configFile, stringify({ app, consul, store: options.store, plan, ...options.conductor }))

  for (let index = 0; index < options.nodes; index += 1) {
    const name = `node-${index + 1}`
    const root = options.rootOf?.(name) ?? join(dir, name)
    await mkdir(root, { recursive: true })
    const node = fleetNode(name, root, dir, options)
    const quick = { coldQuietSeconds: 0, bareWaveSeconds: 0, fetch: { spreadSeconds: 0 } }
    const config = {
      app,
      ring,
      node: name,
      root,
      consul,
      store: options.store,
      ...quick,
      ...options.puller?.({ index, name, root }),
    }
    await writeFile(node.configFile, stringify(config))
    nodes.push(node)
  }

  const conduct = (...args: readonly string[]) =>
    run([join(PROJECT, 'conductor/conduct'), ...args], { cwd: dir, env: { HOTCOLD_CONFIG: configFile, ...env } })
  const init = await conduct('init', '--ring', ring)
  if (init.code !== 0) throw new Error(`conduct init: ${init.stderr}`)
  if (!options.unstarted) for (const node of nodes) node.start()

  const status = async (): Promise<StatusView> => {
    const said = await conduct('status', '--json')
    if (said.stdout === '') throw new Error(`conduct status: ${said.stderr}`)
    return JSON.parse(said.stdout) as StatusView
  }
  if (!options.unstarted) {
    await until('every node reports', async () => (await status()).rings[0]?.counts.total === options.nodes, 30_000)
  }
  return {
    dir,
    configFile,
    nodes,
    conduct,
    status,
    converged: (build, limitMs = 60_000) =>
      until(
        `all of ${ring} runs ${build}`,
        async () => {
          const view = await status()
          const at = view.rings.find((entry) => entry.ring === ring)
          return at?.counts.converged === options.nodes && at.target?.build === build ? view : null
        },
        limitMs,
      ),
  }
}
