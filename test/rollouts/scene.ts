// Owns the setting of rollouts end to end: four rings of real pullers on a real Consul, their applications, a Prometheus, and the plan.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { end, mortal } from '#test/support/child.ts'
import { startConsul } from '#test/support/consul.ts'
import { type Fleet, type FleetNode, startFleet } from '#test/support/fleet.ts'
import { type PrometheusServer, startPrometheus } from '#test/support/prometheus.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'
import { type Poll, poll } from './poll.ts'

export const RINGS = ['staging', 'dogfood', 'canary', 'production'] as const
export type Ring = (typeof RINGS)[number]
/** How many nodes each ring has. */
export type Sizes = Readonly<Record<Ring, number>>

export const SHARES = [10, 25, 50, 75, 100]
/** Highest share of pages that may fail, and how often that is asked. */
export const GATE = { max: 0.1, intervalSeconds: 1 }
const VERIFY = { healthySeconds: 0.3, timeoutSeconds: 2, intervalMs: 100 }
const GOING_MS = 120_000

export interface Told {
  readonly event: string
  readonly at: string
  readonly facts: Readonly<Record<string, unknown>>
}

export interface Scene {
  readonly fleet: Fleet
  readonly prometheus: PrometheusServer
  readonly poll: Poll
  readonly nodesOf: (ring: Ring) => readonly FleetNode[]
  /** Publishes a small tree with this `app.json`. */
  publish(build: string, manners?: object): Promise<void>
  /** What was told of the rollouts of a build, oldest first. */
  history(build: string): Promise<readonly Told[]>
}

function ringsOf(sizes: Sizes): readonly Ring[] {
  return RINGS.flatMap((ring) => Array<Ring>(sizes[ring]).fill(ring))
}

async function startApps(t: TestContext, rings: readonly Ring[], dir: string): Promise<readonly number[]> {
  const main = join(import.meta.dirname, 'apps-main.ts')
  const words = rings.map((ring, index) => `${ring}=${join(dir, `node-${index + 1}`)}`)
  const child = spawn(...mortal(process.execPath, main, ...words), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => end(child, 'SIGKILL'))
  for await (const line of createInterface(child.stdout)) return line.split(' ').map(Number)
  throw new Error(`the applications ended with ${child.exitCode ?? child.signalCode}`)
}

function planned(prometheus: string, smoke: string): Record<string, unknown> {
  const soakSeconds = 0.5
  const labels = '{build="{{build}}",node=~"{{nodes}}"}'
  const query = `sum(rate(web_errors_total${labels}[5s])) / sum(rate(web_requests_total${labels}[5s]))`
  return {
    plan: [
      { ring: 'staging', soakSeconds, smoke: ['sh', smoke] },
      { ring: 'dogfood', soakSeconds },
      { ring: 'canary', soakSeconds },
      { ring: 'production', shares: SHARES, soakSeconds },
    ],
    gates: [{ name: 'errors', rings: ['canary', 'production'], prometheus, query, ...GATE }],
  }
}

/** All rings run `first`, everybody is polled, and the plan holds for what is released next. */
export async function begin(t: TestContext, sizes: Sizes, first: string): Promise<Scene> {
  const consul = await startConsul(t, { maxConnections: 4_000 })
  const dir = await tmp(t, 'rollouts')
  const rings = ringsOf(sizes)
  const [metrics = 0, ...ports] = await startApps(t, rings, dir)
  const exporter = { url: `http://127.0.0.1:${metrics}`, say: () => Promise.reject(new Error('it counts for itself')) }
  const prometheus = await startPrometheus(t, [exporter])
  const smoke = join(dir, 'smoke.sh')
  await writeFile(smoke, `echo "$HOTCOLD_BUILD $HOTCOLD_RING" >> ${join(dir, 'smoked')}\n`)
  const store = { url: `file://${join(dir, 'store')}` }
  await mkdir(join(dir, 'store'))
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store,
    nodes: rings.length,
    unstarted: true,
    rootOf: (name) => join(dir, name),
    conductor: planned(prometheus.url, smoke),
    puller: ({ index }) => ({
      ring: rings[index],
      verify: { http: `http://127.0.0.1:${ports[index]}/healthz`, ...VERIFY },
      rearm: { delaySeconds: 0, spreadSeconds: 0 },
    }),
  })
  for (const ring of RINGS) assert.equal((await fleet.conduct('init', '--ring', ring)).code, 0)
  for (const node of fleet.nodes) node.start()
  const total = async () => (await fleet.status()).rings.reduce((sum, { counts }) => sum + counts.total, 0)
  await until('every node reports', async () => (await total()) === rings.length, GOING_MS)

  const publish = async (build: string, manners: object = {}): Promise<void> => {
    const source = join(dir, `source-${build}`)
    await mkdir(source)
    await writeFile(join(source, 'build.txt'), `${build}\n`)
    await writeFile(join(source, 'app.json'), JSON.stringify(manners))
    const said = await fleet.conduct('publish', source, '--build', build)
    assert.equal(said.code, 0, said.stderr)
  }
  await publish(first)
  const simple = join(dir, 'simple.yaml')
  await writeFile(
    simple,
    stringify({ app: 'web', consul: { url: consul.url }, store, rings: RINGS, maxUnavailable: '100%' }),
  )
  const installed = await fleet.conduct('release', first, '--config', simple)
  assert.equal(installed.code, 0, installed.stdout + installed.stderr)

  const watched = poll(t, new Map(fleet.nodes.map(({ name }, i) => [name, `http://127.0.0.1:${ports[i]}/`])))
  await until('everybody answers', () => allAnswer(watched, first, rings.length))
  return {
    fleet,
    prometheus,
    poll: watched,
    publish,
    nodesOf: (ring) => fleet.nodes.filter((_node, index) => rings[index] === ring),
    history: async (build) => {
      const { stdout } = await fleet.conduct('history', '--json', '--limit', '500')
      const { history } = JSON.parse(stdout) as { history: Told[] }
      const began = history.find(({ event, facts }) => event === 'release-begun' && facts.build === build)
      return history.filter(({ facts }) => facts.rollout === began?.facts.rollout).toReversed()
    },
  }
}

/** Whether so many nodes answered last, all of them with this build. */
export function allAnswer({ now }: Poll, build: string, count: number): boolean {
  return now.size === count && [...now.values()].every((one) => one === build)
}
