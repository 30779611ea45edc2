// Owns a real Prometheus in tests, on a loopback address of its own, and a real exporter that it scrapes; both gone when the test is over.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { closeSync, existsSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { end, freeze, hasEnded, mortal } from './child.ts'
import type { Said } from './exporter-main.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Where `.ci/components` puts the binary. */
const PROMETHEUS_BINARY = join(REPOSITORY, '.cache/prometheus/root/usr/bin/prometheus')
/** From the same package. */
export const PROMTOOL_BINARY = join(REPOSITORY, '.cache/prometheus/root/usr/bin/promtool')

export interface PrometheusServer {
  readonly url: string
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

/** A real Prometheus that scrapes these exporters each second. */
export async function startPrometheus(t: TestContext, exporters: readonly Exporter[]): Promise<PrometheusServer> {
  const targets = exporters.map(({ url }) => new URL(url).host)
  return await startPrometheusWith(t, { scrape_configs: [{ job_name: 'web', static_configs: [{ targets }] }] })
}

/** A real Prometheus of this config, which scrapes and evaluates each second. */
export async function startPrometheusWith(
  t: TestContext,
  more: Readonly<Record<string, unknown>>,
): Promise<PrometheusServer> {
  if (!existsSync(PROMETHEUS_BINARY)) throw new Error('there is no Prometheus yet: run .ci/components')
  const dir = await tmp(t, 'prometheus')
  const address = `127.${randomInt(64, 128)}.${randomInt(1, 255)}.${randomInt(1, 255)}:9090`
  const config = { global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }, ...more }
  // JSON is YAML.
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config))
  const flags = [
    `--config.file=${join(dir, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    '--storage.tsdb.retention.time=1h',
    `--web.listen-address=${address}`,
    '--log.level=warn',
  ]
  const out = openSync(join(dir, 'log'), 'a')
  const child = spawn(...mortal(PROMETHEUS_BINARY, ...flags), { stdio: ['ignore', out, out] })
  closeSync(out)
  t.after(() => end(child, 'SIGKILL'))
  const url = `http://${address}`
  const ready = async () => (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1_000) })).ok
  await until('Prometheus is ready', () => hasEnded(child) || ready().catch(() => false), 30_000)
  if (hasEnded(child)) throw new Error(`Prometheus did not start:\n${await readFile(join(dir, 'log'), 'utf8')}`)
  return {
    url,
    pause: () => freeze(child),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => void (await end(child, 'SIGTERM')),
  }
}

export interface Exporter {
  readonly url: string
  /** What it says of itself from now on. */
  say(said: Said): Promise<void>
}

/**
 * A process that serves `/metrics`: counters of requests and errors of each node, by the build it runs.
 * @param consulUrl where it learns which node runs what; null: only what it is told by `say`
 */
export async function startExporter(t: TestContext, consulUrl: string | null = null): Promise<Exporter> {
  const main = join(import.meta.dirname, 'exporter-main.ts')
  const child = spawn(...mortal(process.execPath, main, consulUrl ?? ''), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => end(child, 'SIGKILL'))
  const url = `http://127.0.0.1:${await firstLine(child)}`
  return {
    url,
    say: async (said) => {
      const answer = await fetch(`${url}/say`, { method: 'POST', body: JSON.stringify(said) })
      if (!answer.ok) throw new Error(`the exporter answered ${answer.status}`)
    },
  }
}

async function firstLine(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the exporter has no output')
  for await (const line of createInterface(child.stdout)) return Number(line)
  throw new Error(`the exporter ended with ${child.exitCode ?? child.signalCode}`)
}
