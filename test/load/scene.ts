// Owns the scene of the load proof: a real Consul, pullers and applications as processes, and HAProxy before them, all with one build in service.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Name } from '#fleet/build.ts'
import { startConsul } from '#test/support/consul.ts'
import { type Fleet, startFleet } from '#test/support/fleet.ts'
import { tmp } from '#test/support/tmp.ts'
import { type Backend, type Balancer, startBalancer } from './balancer.ts'
import { type Orders, openOrders } from './orders.ts'
import { PAGE_FILES, pageFile } from './page.ts'
import { type Load, startApp, startLoad } from './processes.ts'
import type { LoadOrder } from './tally.ts'

const RING = 'production' as Name
/** Besides the two that make the page. */
const OTHER_FILES = 48
// All on the loopback address that is this scene's alone.
const FIRST_APP_PORT = 8_101
const FIRST_METRICS_PORT = 9_464
const BALANCER_PORT = 8_080

export interface SceneOptions {
  readonly nodes: number
  /** The first is in service when the scene is open. */
  readonly builds: readonly string[]
  /**
   * True: each node leaves the balancer, drains and comes back. False is the control: the failpoint makes draining return at once and no
   * hook tells the balancer; everything else is the same.
   */
  readonly drained: boolean
}

/** `puller_swaps_total`, summed over the nodes. */
export type SwapCounts = Readonly<Record<'swapped' | 'reverted' | 'failed', number>>

export interface Scene {
  readonly fleet: Fleet
  readonly orders: Orders
  readonly balancer: Balancer
  swaps(): Promise<SwapCounts>
  startLoad(order: Pick<LoadOrder, 'perSecond' | 'workMs'>): Load
}

/** What an operator would write for an application behind HAProxy. */
function pullerConfig(node: Backend, metrics: string, socket: string, drained: boolean): Record<string, unknown> {
  const script = (name: string) => [process.execPath, join(import.meta.dirname, name), socket]
  const server = `nodes/${node.name}`
  const url = `http://${node.host}:${node.port}`
  const hooks = {
    beforeDrain: [...script('leave.ts'), server, `${url}/active`],
    afterVerify: [...script('admin.ts'), `set server ${server} state ready`],
  }
  return {
    drain: { kind: 'http', url: `${url}/active`, timeoutSeconds: 30, intervalMs: 25, onTimeout: 'abort' },
    ...(drained && { hooks }),
    verify: { http: `${url}/healthz`, healthySeconds: 0.1, intervalMs: 50, timeoutSeconds: 20 },
    rearm: { delaySeconds: 0, spreadSeconds: 0 },
    metrics: { listen: metrics },
  }
}

async function publish(fleet: Fleet, build: string): Promise<void> {
  const dir = join(fleet.dir, `source-${build}`)
  await mkdir(dir)
  for (const name of PAGE_FILES) await writeFile(join(dir, name), pageFile(name, build))
  await writeFile(join(dir, 'build'), build)
  for (let at = 0; at < OTHER_FILES; at += 1)
    await writeFile(join(dir, `file-${at}`), `the same in all builds: ${at}\n`)
  const said = await fleet.conduct('publish', dir, '--build', build)
  if (said.code !== 0) throw new Error(`conduct publish: ${said.stderr}`)
}

async function swapCounts(urls: readonly string[]): Promise<SwapCounts> {
  const texts = await Promise.all(urls.map((url) => fetch(url).then((answer) => answer.text())))
  const count = (outcome: keyof SwapCounts): number => texts.reduce((sum, text) => sum + swapsIn(text, outcome), 0)
  return { swapped: count('swapped'), reverted: count('reverted'), failed: count('failed') }
}

function swapsIn(metrics: string, outcome: string): number {
  const line = new RegExp(`^puller_swaps_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(metrics)
  if (line?.[1] === undefined) throw new Error(`the puller counts no swaps with outcome ${outcome}`)
  return Number(line[1])
}

/** Everything ends with the test. */
export async function openScene(t: TestContext, options: SceneOptions): Promise<Scene> {
  const { builds, drained } = options
  const [consul, dir, storeDir] = [await startConsul(t), await tmp(t, 'balancer'), await tmp(t, 'store')]
  const host = consul.address
  const backends: Backend[] = []
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store: { url: `file://${storeDir}` },
    nodes: options.nodes,
    unstarted: true,
    puller: ({ index, name }) => {
      const backend = { name, host, port: FIRST_APP_PORT + index }
      backends.push(backend)
      return pullerConfig(backend, `${host}:${FIRST_METRICS_PORT + index}`, join(dir, 'haproxy.sock'), drained)
    },
  })
  for (const build of builds) await publish(fleet, build)
  for (const [index, node] of fleet.nodes.entries()) {
    await startApp(t, node.root, host, FIRST_APP_PORT + index)
    node.start(drained ? {} : { HOTCOLD_FAILPOINT: 'skipDrain' })
  }
  const names = fleet.nodes.map(({ name }) => name)
  const orders = openOrders(t, consul.url, RING, names)
  // A first build is not drained for, but its hooks run: there must be a balancer to tell.
  const balancer = await startBalancer(t, { dir, host, port: BALANCER_PORT, nodes: backends }, () =>
    orders.install(builds[0] ?? ''),
  )
  const doors = names.map((_name, index) => `http://${host}:${FIRST_METRICS_PORT + index}/metrics`)
  return {
    fleet,
    orders,
    balancer,
    swaps: () => swapCounts(doors),
    startLoad: (order) => startLoad(t, { ...order, host, port: BALANCER_PORT, builds }),
  }
}
