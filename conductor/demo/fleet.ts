// Owns the demo's fleet: for each node a root, its web app and its puller, both processes of their own.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '#fleet/assert.ts'
import { isName, type Name } from '#fleet/build.ts'
import type { Clock } from '#fleet/ports.ts'
import { type Children, firstMessage, PROJECT } from './children.ts'
import { freePorts } from './consul.ts'

export const DEMO = { app: named('demo'), ring: named('demo') }

function named(text: string): Name {
  assert(isName(text), 'the demo gives itself good names')
  return text
}

export interface DemoNode {
  readonly name: string
  readonly root: string
  /** The web app, for the load and for people. */
  readonly appUrl: string
  readonly metricsUrl: string
  readonly configFile: string
}

export interface Place {
  /** Everything of one demo lies below it. */
  readonly dir: string
  readonly consulUrl: string
  /** The folder behind `file://`. */
  readonly storeDir: string
}

/** Starts every node's app and writes its puller's config; the pullers themselves are started by `startPullers`. */
export async function prepareNodes(
  count: number,
  place: Place,
  running: Children,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly DemoNode[]> {
  const metricsPorts = await freePorts(count)
  return Promise.all(
    metricsPorts.map(async (metricsPort, index) => {
      const name = `node-${index + 1}`
      const root = join(place.dir, name)
      mkdirSync(root)
      const argv = [process.execPath, join(PROJECT, 'conductor/demo/app.ts'), root]
      const app = running.start(argv, { env, logFile: join(place.dir, `${name}.app.log`), ipc: true })
      const { port } = await firstMessage(app, `the app of ${name}`, isPort)
      const node = {
        name,
        root,
        appUrl: `http://127.0.0.1:${port}`,
        metricsUrl: `http://127.0.0.1:${metricsPort}`,
        configFile: join(place.dir, `${name}.yaml`),
      }
      writeFileSync(node.configFile, `${JSON.stringify(pullerConfig(node, place), null, 2)}\n`)
      return node
    }),
  )
}

function isPort(message: unknown): message is { port: number } {
  return typeof message === 'object' && message !== null && 'port' in message && typeof message.port === 'number'
}

export function startPullers(
  nodes: readonly DemoNode[],
  place: Place,
  running: Children,
  env: Readonly<Record<string, string | undefined>>,
): void {
  for (const { name, configFile } of nodes) {
    const argv = [join(PROJECT, 'puller/puller'), 'run', '--config', configFile]
    running.start(argv, { env, logFile: join(place.dir, `${name}.puller.log`) })
  }
}

/**
 * As an operator would write it, but for the pauses, which are cut short so that the demo ends soon. JSON is YAML too.
 * The app holds new requests from the drain's first question until the maintenance file is removed: when the new build, or after a failure
 * the old one, has proved itself.
 */
function pullerConfig(node: DemoNode, place: Place): object {
  const maintenance = join(node.root, 'maintenance')
  return {
    ...DEMO,
    node: node.name,
    root: node.root,
    consul: { url: place.consulUrl },
    store: { url: `file://${place.storeDir}` },
    hooks: { afterVerify: ['rm', '-f', maintenance] },
    drain: { kind: 'http', url: `${node.appUrl}/drain`, intervalMs: 20, timeoutSeconds: 10 },
    verify: { http: `${node.appUrl}/healthz`, intervalMs: 100, healthySeconds: 0.3, timeoutSeconds: 3 },
    metrics: { listen: new URL(node.metricsUrl).host },
    coldQuietSeconds: 0,
    fetch: { spreadSeconds: 0 },
    rearm: { delaySeconds: 5, spreadSeconds: 1 },
  }
}

export function conductConfig(place: Place): object {
  return {
    app: DEMO.app,
    consul: { url: place.consulUrl },
    store: { url: `file://${place.storeDir}` },
    plan: [{ ring: DEMO.ring }],
    // Half the ring at a time and two failures let pass: several nodes meet the broken build and take themselves back.
    maxUnavailable: '50%',
    failureBudget: '25%',
  }
}

/** Bytes that the nodes have fetched from the store since they started, by their own counters. */
export async function fetchedBytes(nodes: readonly DemoNode[]): Promise<number> {
  const counts = await Promise.all(nodes.map((node) => readCounter(node, 'puller_fetched_bytes_total')))
  return counts.reduce((total, count) => total + count, 0)
}

async function readCounter({ name, metricsUrl }: DemoNode, counter: string): Promise<number> {
  const answer = await fetch(`${metricsUrl}/metrics`)
  const text = await answer.text()
  const samples = text.split('\n').filter((line) => line.startsWith(counter))
  if (samples.length === 0) throw new Error(`${name} does not show ${counter}`)
  return samples.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
}

/** Waits until a condition holds. @throws naming `what` when `limitMs` is over */
export async function waitFor(
  what: string,
  clock: Clock,
  signal: AbortSignal,
  limitMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = clock.monotonic() + limitMs
  while (!(await holds())) {
    signal.throwIfAborted()
    if (clock.monotonic() > end) throw new Error(`waited ${limitMs / 1_000} s in vain: ${what}`)
    await clock.sleep(50, signal)
  }
}
