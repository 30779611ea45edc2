// Owns a real `puller run` in a bench: its config, its process, its orders, and what the kernel says of it.
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { freePort } from '#bench/kit/free-port.ts'
import type { BuildRef } from '#bench/staging/stager.ts'
import type { Name } from '#fleet/build.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { writeTarget } from '#fleet/wire.ts'
import { end, hasEnded, mortal } from '#test/support/child.ts'
import type { ConsulServer } from '#test/support/consul.ts'

const PROJECT = join(import.meta.dirname, '../..')
const APP = 'web' as Name
const RING = 'production' as Name
export const TARGET_KEY = `hotcold/v1/${APP}/${RING}/target`

/** A target for the bench's one ring, as text of its key. Without a build nodes do nothing. */
export function order(
  generation: number,
  build: BuildRef | null,
  fallback: BuildRef | null,
  more: Partial<Target> = {},
): string {
  const target: Target = {
    app: APP,
    ring: RING,
    generation,
    build: build?.build ?? null,
    manifest: build?.manifest ?? null,
    fallback: fallback?.build ?? null,
    fallbackManifest: fallback?.manifest ?? null,
    cutoff: ALL,
    salt: 'r-1',
    rollout: `r-${generation}`,
    by: 'bench',
    reason: '',
    at: '2026-11-22T16:00:00.000Z',
    recall: false,
    attempt: 1,
    activation: null,
    ...more,
  }
  return new TextDecoder().decode(writeTarget(target))
}

/** What /healthz says of a node that is ready. */
export interface Health {
  readonly phase: string
  readonly hot: string | null
  readonly generation: number
}

export interface PullerProcess {
  readonly pid: number
  /** Milliseconds from spawning it to its first 200 of /healthz. */
  readonly readyMs: number
  health(): Promise<Health | null>
  /** The most that it ever had resident, threads included. */
  peakMiB(): number
  /** Resolves with `performance.now()` when a line with this message comes out of it next. */
  logged(message: string): Promise<number>
  /** User and system time that it has used, in milliseconds. */
  cpuMs(): number
  residentMiB(): number
  /** A metric of its own, without labels. */
  metric(name: string): Promise<number>
  /** Waits until it is at rest and has taken this order. */
  atRest(generation: number): Promise<void>
  stop(): Promise<void>
}

export interface PullerOptions {
  readonly dir: string
  readonly root: string
  readonly consul: Pick<ConsulServer, 'url'>
  readonly storeUrl: string
  readonly node?: string
  /** Further keys of puller.yaml. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
}

/** Starts `puller run` and waits until it is ready. The caller stops it. */
export async function startPuller(options: PullerOptions): Promise<PullerProcess> {
  const { dir, root, consul, storeUrl, node = 'node-1', config = {}, env = {} } = options
  const configFile = join(dir, `${node}.yaml`)
  const port = await freePort()
  writeFileSync(
    configFile,
    stringify({
      app: APP,
      ring: RING,
      node,
      root,
      consul: { url: consul.url },
      store: { url: storeUrl },
      coldQuietSeconds: 0,
      bareWaveSeconds: 0,
      fetch: { spreadSeconds: 0 },
      rearm: { delaySeconds: 0, spreadSeconds: 0 },
      metrics: { listen: `127.0.0.1:${port}` },
      ...config,
    }),
  )
  const logFile = join(dir, `${node}.log`)
  const waiting = new Map<string, (at: number) => void>()
  const heard = (bytes: Buffer): void => {
    const at = performance.now()
    appendFileSync(logFile, bytes)
    for (const [message, resolve] of waiting) {
      if (!bytes.includes(`"msg":"${message}"`)) continue
      waiting.delete(message)
      resolve(at)
    }
  }
  const began = performance.now()
  const child = spawn(...mortal(join(PROJECT, 'puller/puller'), 'run', '--config', configFile), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.on('data', heard)
  child.stderr.on('data', heard)
  const health = async (): Promise<Health | null> => {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null)
    return answer?.status === 200 ? ((await answer.json()) as Health) : null
  }
  await until(child, 'it is ready', dir, node, health, 2)
  const readyMs = performance.now() - began
  return {
    pid: child.pid ?? 0,
    readyMs,
    health,
    peakMiB: () => kibOf(child.pid, 'VmHWM') / 1024,
    residentMiB: () => kibOf(child.pid, 'VmRSS') / 1024,
    cpuMs: () => cpuMsOf(child.pid),
    logged: (message) => new Promise((resolve) => waiting.set(message, resolve)),
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
    },
    atRest: (generation) =>
      until(child, `it rests at generation ${generation}`, dir, node, async () => {
        const now = await health()
        return now?.phase === 'idle' && now.generation >= generation
      }),
    stop: async () => void (await end(child, 'SIGTERM')),
  }
}

/** A field of /proc/<pid>/status in KiB. */
export function kibOf(pid: number | undefined, field: 'VmHWM' | 'VmRSS'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1])
}

/** The kernel counts in hundredths of a second on every machine that Linux runs on today. */
const TICK_MS = 10

function cpuMsOf(pid: number | undefined): number {
  // The second field is a name that may hold anything, in brackets; utime and stime are the 14th and 15th of all.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

async function until(
  child: ChildProcess,
  what: string,
  dir: string,
  node: string,
  holds: () => Promise<unknown>,
  everyMs = 5,
): Promise<void> {
  for (const end = performance.now() + 120_000; !(await holds()); await delay(everyMs)) {
    if (!hasEnded(child) && performance.now() < end) continue
    const log = existsSync(join(dir, `${node}.log`)) ? readFileSync(join(dir, `${node}.log`), 'utf8') : ''
    throw new Error(`the puller does not: ${what}\n${log.slice(-3_000)}`)
  }
}

/** Inode and time of a file, or "" when there is none: what tells that it was replaced. */
export function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.ino}.${stat.ctimeMs}`
}
