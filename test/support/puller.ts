// Owns one puller in a test: a Consul, a store with real builds, targets written by hand, and the puller as a process.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { catalog } from '#adapters/consul/catalog.ts'
import { connectConsul } from '#adapters/consul/client.ts'
import { fileStore } from '#adapters/file/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { publishBuild } from '#conductor/shell/publish.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { readStatus, writeTarget } from '#fleet/wire.ts'
import { end, ended, mortal } from './child.ts'
import { type ConsulServer, startConsul } from './consul.ts'
import { type Ran, run } from './fleet.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

const PROJECT = new URL('../..', import.meta.url).pathname
const APP = 'web' as Name
const RING = 'production' as Name
const NODE = 'node-1' as Name
export const TARGET_KEY = `hotcold/v1/${APP}/${RING}/target`

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [fact: string]: unknown
}

export interface OneNode {
  readonly dir: string
  readonly root: string
  readonly storeDir: string
  readonly consul: ConsulServer
  /** Publishes a small tree; every build differs from any other in one file of twenty. */
  publish(build: string, files?: Readonly<Record<string, string>>): Promise<{ build: BuildId; manifest: Digest }>
  /** Writes a target: `build` over `fallback`, all places below the cutoff unless told. */
  order(generation: number, build: string, fallback: string | null, more?: Partial<Target>): Promise<void>
  put(value: string): Promise<void>
  /** The newest status in Consul, null when there is none. */
  status(): Promise<NodeStatus | null>
  /** Waits until the status in Consul fits. */
  reports(what: string, fits: (status: NodeStatus) => boolean, limitMs?: number): Promise<NodeStatus>
  /** The text of a file below `hot`. */
  hotFile(path: string): Promise<string | null>
  log(): Promise<readonly LogLine[]>
  /** Waits for a log line. */
  logged(what: string, fits: (line: LogLine) => boolean, limitMs?: number): Promise<LogLine>
  start(env?: Readonly<Record<string, string>>): void
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Waits for the puller's own end. */
  exited(): Promise<number | null>
  /** Runs `puller <verb>`. */
  puller(...args: readonly string[]): Promise<Ran>
  configure(more: Readonly<Record<string, unknown>>): Promise<void>
  readonly pid: number | undefined
}

/** A node that is not started yet; everything it starts ends with the test. */
export async function oneNode(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<OneNode> {
  let child: ChildProcess | null = null
  // Before the directory goes: hooks run in the order they were registered.
  t.after(() => node?.stop('SIGKILL'))
  let node: OneNode | null = null
  const dir = await tmp(t, 'node')
  const root = join(dir, 'root')
  const storeDir = join(dir, 'store')
  await mkdir(root)
  await mkdir(storeDir)
  const consul = await startConsul(t)
  const client = connectConsul({ url: consul.url }, { clock: systemClock, log: silentLogger })
  t.after(() => client.close())
  const ports = { store: fileStore(storeDir), catalog: catalog(client, { app: APP }), clock: systemClock }
  const builds = new Map<string, Digest>()
  const configPath = join(dir, 'puller.yaml')
  const logPath = join(dir, 'puller.log')

  async function configure(extra: Readonly<Record<string, unknown>>): Promise<void> {
    const base = {
      app: APP,
      ring: RING,
      node: NODE,
      root,
      consul: { url: consul.url },
      store: { url: `file://${storeDir}` },
    }
    const quick = {
      coldQuietSeconds: 0,
      bareWaveSeconds: 0,
      fetch: { spreadSeconds: 0 },
      rearm: { delaySeconds: 0, spreadSeconds: 0 },
      log: { level: 'debug' },
    }
    await writeFile(configPath, stringify({ ...base, ...quick, ...extra }))
  }
  await configure(more)

  const status = async (): Promise<NodeStatus | null> => {
    const raw = await consul.kv.get(`hotcold/v1/${APP}/${RING}/nodes/${NODE}`)
    return raw === null ? null : readStatus(new TextEncoder().encode(raw))
  }
  const log = async (): Promise<readonly LogLine[]> => {
    const text = await readFile(logPath, 'utf8').catch(() => '')
    return text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
  }
  const one: OneNode = {
    dir,
    root,
    storeDir,
    consul,
    configure,
    status,
    log,
    async publish(build, files = {}) {
      const source = join(dir, `source-${build}`)
      await mkdir(join(source, 'lib'), { recursive: true })
      for (let at = 0; at < 20; at += 1) await writeFile(join(source, 'lib', `file-${at}`), `content ${at}\n`)
      for (const [path, text] of Object.entries({ BUILD: build, ...files })) await writeFile(join(source, path), text)
      const running = [...builds].map(([id, manifest]) => ({ build: id as BuildId, manifest }))
      const request = { app: APP, dir: source, build: build as BuildId, by: 'test', running }
      const { manifest } = await publishBuild(ports, request, () => {}, new AbortController().signal)
      builds.set(build, manifest)
      return { build: build as BuildId, manifest }
    },
    async order(generation, build, fallback, extra = {}) {
      const target: Target = {
        app: APP,
        ring: RING,
        generation,
        build: build as BuildId,
        manifest: builds.get(build) ?? null,
        fallback: fallback as BuildId | null,
        fallbackManifest: fallback === null ? null : (builds.get(fallback) ?? null),
        cutoff: ALL,
        salt: 'r-1',
        rollout: 'r-1',
        by: 'test',
        reason: '',
        at: '2026-11-22T16:00:00.000Z',
        recall: false,
        attempt: 1,
        activation: null,
        ...extra,
      }
      await consul.kv.put(TARGET_KEY, new TextDecoder().decode(writeTarget(target)))
    },
    put: (value) => consul.kv.put(TARGET_KEY, value),
    reports: (what, fits, limitMs = 60_000) =>
      until(
        what,
        async () => {
          const now = await status()
          return now !== null && fits(now) ? now : null
        },
        limitMs,
      ).catch(async (error: unknown) => {
        const said = (await log()).filter(({ level }) => level !== 'debug').slice(-12)
        throw new Error(
          `${what}: ${JSON.stringify(await status())}\n${said.map((line) => JSON.stringify(line)).join('\n')}`,
          { cause: error },
        )
      }),
    hotFile: (path) => readFile(join(root, 'hot', path), 'utf8').catch(() => null),
    logged: (what, fits, limitMs = 60_000) => until(what, async () => (await log()).find(fits), limitMs),
    start(env = {}) {
      const sink = createWriteStream(logPath, { flags: 'a' })
      child = spawn(...mortal(join(PROJECT, 'puller/puller'), 'run', '--config', configPath), {
        env: { ...process.env, ...env },
      })
      child.stdout?.pipe(sink, { end: false })
      child.stderr?.pipe(sink, { end: false })
    },
    async stop(signal = 'SIGTERM') {
      const running = child
      child = null
      return running === null ? null : await end(running, signal)
    },
    exited: async () => (child === null ? null : await ended(child)),
    puller: (...args) => run([join(PROJECT, 'puller/puller'), ...args, '--config', configPath]),
    get pid() {
      return child?.pid
    },
  }
  node = one
  return one
}

/** Which tree `hot` leads to. */
export async function hotTree(node: OneNode): Promise<string | null> {
  return await readlink(join(node.root, 'hot')).catch(() => null)
}
