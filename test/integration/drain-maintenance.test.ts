// Owns the proof that a node leaves the load balancer before it is drained, comes back afterwards, and never lifts anybody else's maintenance.
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConsulOptions, connectConsul } from '#adapters/consul/client.ts'
import { consulMaintenance } from '#adapters/consul/maintenance.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Clock } from '#fleet/ports.ts'
import { DRAIN_DEFAULTS, type DrainConfig, type DrainKind, undrain } from '#puller/shell/drain/drain.ts'
import { type ConsulServer, type ConsulOptions as ServerOptions, startConsul } from '../support/consul.ts'
import { drainedNode, failureOf, isPending } from '../support/drained-node.ts'
import { hurried } from '../support/hurry.ts'
import { startProxy } from '../support/proxy.ts'
import { startServedApp } from '../support/served-app.ts'
import { until } from '../support/until.ts'

const OURS = 'hotcold web/production/web-1 swaps in b2, rollout r-7'

/** From one late try to lift to the next. */
const LATE_MS = 200

interface Options {
  readonly server?: ServerOptions
  readonly clock?: Clock
  readonly rollout?: string
}

/** A node whose service `web-1` is registered at a real Consul. */
async function world(t: TestContext, { server = {}, clock = systemClock }: Options = {}) {
  const [node, consul] = await Promise.all([drainedNode(t), startConsul(t, server)])
  const network = await startProxy(t, consul.url)
  await register(consul, 0)
  const maintenanceOf = (options: Partial<ConsulOptions> = {}) => {
    const client = connectConsul({ url: network.url, ...options }, { clock, log: node.world.log })
    t.after(() => client.close())
    return consulMaintenance(client, { lateMs: LATE_MS })
  }
  const at = { ...node.world, clock, maintenance: maintenanceOf(consul.token === null ? {} : { token: consul.token }) }
  const config = { maintenance: { service: 'web-1' } }
  const puller = {
    drain: (kind: DrainKind & Partial<DrainConfig> = { kind: 'none' }, signal?: AbortSignal) =>
      node.drain({ ...config, ...kind }, { world: at, ...(signal && { signal }) }),
    undrain: (rollout = 'r-7') =>
      undrain({ ...DRAIN_DEFAULTS, kind: 'none', ...config }, { root: node.root, env: { ...node.env, rollout } }, at),
  }
  const warnings = () => node.lines.filter((line) => line.level === 'warn').map((line) => line.message)
  return { node, consul, network, puller, at, maintenanceOf, warnings, reason: () => reasonOf(consul) }
}

async function agentAt(consul: ConsulServer, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${consul.url}/v1/${path}`, {
    ...(body && { method: 'PUT', body: JSON.stringify(body) }),
    headers: consul.token === null ? {} : { 'X-Consul-Token': consul.token },
  })
  assert.equal(answer.status, 200, path)
  return body ? null : answer.json()
}

async function register(consul: ConsulServer, port: number): Promise<void> {
  await agentAt(consul, 'agent/service/register', { Name: 'web', ID: 'web-1', Address: '127.0.0.1', Port: port })
  await until('the service is in the catalog', async () => (await inService(consul)).length === 1)
}

/** What a load balancer reads: the ports of the healthy. */
async function inService(consul: ConsulServer): Promise<readonly number[]> {
  const healthy = (await agentAt(consul, 'health/service/web?passing')) as { Service: { Port: number } }[]
  return healthy.map((one) => one.Service.Port)
}

async function reasonOf(consul: ConsulServer): Promise<string | null> {
  const checks = (await agentAt(consul, 'agent/checks')) as Record<string, { Notes: string }>
  return checks['_service_maintenance:web-1']?.Notes ?? null
}

test('a node in drain is in maintenance, with a reason that names us, the build and the rollout; undrained it is in service again', async (t: TestContext) => {
  const { consul, puller, reason } = await world(t)
  await puller.drain()
  assert.equal(await reason(), OURS)
  await until('no load balancer sees it', async () => (await inService(consul)).length === 0)
  assert.equal(await puller.undrain(), true)
  assert.equal(await reason(), null)
  await until('load balancers see it', async () => (await inService(consul)).length === 1)
})

test('draining and undraining again after a crash are harmless', async (t: TestContext) => {
  const { puller, reason, warnings } = await world(t)
  await puller.drain()
  await puller.drain()
  assert.equal(await reason(), OURS)
  assert.equal(await puller.undrain(), true)
  assert.equal(await puller.undrain(), true)
  assert.deepEqual(warnings(), [])
})

test('F15: what a puller left behind when it died is lifted by the next, also for another rollout', async (t: TestContext) => {
  const { consul, puller, reason } = await world(t)
  const left = 'hotcold web/production/web-1 swaps in b9, rollout r-6'
  await consul.cli('maint', '-enable', '-service=web-1', `-reason=${left}`)
  assert.equal(await reason(), left)
  assert.equal(await puller.undrain('r-8'), true)
  assert.equal(await reason(), null)
})

for (const [whose, left] of [
  ['an operator', 'disk swap, ask ana'],
  ['a node of a longer name', 'hotcold web/production/web-10 swaps in b2, rollout r-7'],
] as const) {
  test(`F15: the maintenance of ${whose} survives our drain and our undrain`, async (t: TestContext) => {
    const { consul, puller, reason, warnings } = await world(t)
    await consul.cli('maint', '-enable', '-service=web-1', `-reason=${left}`)
    await puller.drain()
    assert.equal(await reason(), left)
    assert.equal(await puller.undrain(), true)
    assert.equal(await reason(), left)
    assert.deepEqual(warnings(), ['maintenance is not ours', 'maintenance is not ours and stays'])
  })
}

test('a drain that is given up leaves maintenance to the undrain, which lifts it', async (t: TestContext) => {
  const { node, puller, reason } = await world(t)
  const app = await startServedApp(t, { root: node.root })
  await app.hold()
  const busy = { kind: 'http', url: `${app.url}/active`, timeoutSeconds: 0.1 } as const
  assert.equal((await failureOf(puller.drain(busy))).code, 'DRAIN_TIMEOUT')
  assert.equal(await reason(), OURS)
  await puller.undrain()
  assert.equal(await reason(), null)
})

test('F16: a load balancer that is slow to notice loses no request to the drain, and sends none after it', async (t: TestContext) => {
  const { node, consul, puller } = await world(t)
  const app = await startServedApp(t, { root: node.root })
  await register(consul, app.port)
  const LAG_MS = 300
  const balancer = await slowBalancer(t, consul, app.port, LAG_MS)
  const load = new AbortController()
  const sent = Array.from({ length: 4 }, () => balancer.sendUntil(load.signal))
  await until('requests flow', () => balancer.toNode() > 20)

  await puller.drain({ kind: 'http', url: `${app.url}/active`, propagationSeconds: (3 * LAG_MS) / 1_000 })
  const drained = balancer.toNode()
  assert.equal(await app.active(), 0)
  const others = balancer.elsewhere()
  await until('the load goes on elsewhere', () => balancer.elsewhere() > others + 20)
  assert.equal(balancer.toNode(), drained, 'requests reached a node that was drained')

  await puller.undrain()
  await until('the load balancer sends again', () => balancer.toNode() > drained)
  load.abort()
  assert.deepEqual((await Promise.all(sent)).flat(), [])
})

/** A load balancer that asks Consul who is healthy every `lagMs`, and has a second node that always is. */
async function slowBalancer(t: TestContext, consul: ConsulServer, port: number, lagMs: number) {
  let healthy = true
  let toNode = 0
  let elsewhere = 0
  const polling = setInterval(() => {
    inService(consul).then(
      (ports) => {
        healthy = ports.includes(port)
      },
      () => {},
    )
  }, lagMs)
  const server = createServer((incoming, outgoing) => {
    if (!healthy) {
      elsewhere += 1
      outgoing.end('{"build":"elsewhere"}')
      return
    }
    toNode += 1
    const onward = request({ host: '127.0.0.1', port, path: incoming.url, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.writeHead(502).end())
    onward.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    clearInterval(polling)
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/page?ms=10`
  /** One client, one request after the other; returns what went wrong. */
  const sendUntil = async (stop: AbortSignal): Promise<string[]> => {
    const failed: string[] = []
    while (!stop.aborted) {
      const answer = await fetch(url).catch(String)
      if (typeof answer === 'string' || !answer.ok)
        failed.push(typeof answer === 'string' ? answer : String(answer.status))
      else await answer.arrayBuffer()
      await delay(5)
    }
    return failed
  }
  return { toNode: () => toNode, elsewhere: () => elsewhere, sendUntil }
}

test('a service that the agent does not know is drained without maintenance, and that is said', async (t: TestContext) => {
  const { puller, warnings } = await world(t)
  await puller.drain({ kind: 'none', maintenance: { service: 'web-2' } })
  assert.deepEqual(warnings(), ['maintenance is not ours'])
})

test('a token that may not write the service stops the drain, unless the config says to proceed', async (t: TestContext) => {
  const { node, consul, at, maintenanceOf } = await world(t, { server: { acl: true } })
  const token = await consul.tokenFor('service_prefix "" { policy = "read" }')
  const denied = { world: { ...at, maintenance: maintenanceOf({ token }) } }
  const kind = { kind: 'none', maintenance: { service: 'web-1' } } as const
  const error = await failureOf(node.drain(kind, denied))
  assert.equal(error.code, 'CONSUL_DENIED')
  assert.equal((await node.drain({ ...kind, onTimeout: 'proceed' }, denied)).timedOut, false)

  const writer = await consul.tokenFor('service "web-1" { policy = "write" } service "web" { policy = "write" }')
  await node.drain(kind, { world: { ...at, maintenance: maintenanceOf({ token: writer }) } })
  assert.equal(await reasonOf(consul), OURS)
})

test('Consul away or mute does not stop a drain: a rollback must not wait for it', async (t: TestContext) => {
  const { network, puller, warnings } = await world(t, { clock: hurried(20) })
  const without = 'maintenance could not be put on, draining without it'
  network.set({ kind: 'mute' })
  assert.equal((await puller.drain()).timedOut, false)
  assert.deepEqual(warnings(), [without])
  network.set({ kind: 'reset' })
  assert.equal((await puller.drain()).timedOut, false)
  assert.deepEqual(warnings(), [without, without])
})

test('F15: an undrain is tried again until Consul is back', async (t: TestContext) => {
  // The longest of the jittered waits: about 14 s in all.
  const { network, puller, reason } = await world(t, { clock: { ...systemClock, random: () => 1 } })
  await puller.drain()
  network.set({ kind: 'reset' })
  const undraining = puller.undrain()
  assert.ok(await isPending(undraining), 'it gave up at once')
  network.set({ kind: 'none' })
  assert.equal(await undraining, true)
  assert.equal(await reason(), null)
})

/** The shortest of the jittered waits: an undrain gives up after 0.7 s. */
const impatient = { ...systemClock, random: () => 0 }

test('F15: an undrain that gives up says what helps, and is still done once Consul is back', async (t: TestContext) => {
  const { node, network, puller, reason } = await world(t, { clock: impatient })
  await puller.drain()
  network.set({ kind: 'reset' })
  assert.equal(await puller.undrain(), false)
  const line = node.lines.find(({ level }) => level === 'error')
  assert.equal(line?.message, 'maintenance could not be lifted')
  assert.equal(line?.facts.fix, 'consul maint -disable -service=web-1')
  const before = network.accepted
  await until('it tries on', () => network.accepted > before + 1)
  assert.equal(await reason(), OURS)
  network.set({ kind: 'none' })
  await until('maintenance is lifted', async () => (await reason()) === null)
})

test('F15: a late lift never takes a node out of maintenance that is being drained again', async (t: TestContext) => {
  const { network, puller, reason } = await world(t, { clock: impatient })
  await puller.drain()
  network.set({ kind: 'reset' })
  assert.equal(await puller.undrain(), false)
  network.set({ kind: 'none' })
  await puller.drain()
  await delay(3 * LATE_MS)
  assert.equal(await reason(), OURS)
})

test('F2: a drain whose reason is gone does not wait for a Consul that is mute', async (t: TestContext) => {
  const { network, puller } = await world(t)
  network.set({ kind: 'mute' })
  const stop = new AbortController()
  const draining = puller.drain({ kind: 'none' }, stop.signal)
  const startedMs = performance.now()
  stop.abort(new Error('recalled'))
  await assert.rejects(draining, /^Error: recalled$/)
  assert.ok(performance.now() - startedMs < 5_000)
})
