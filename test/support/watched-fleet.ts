// Owns a fleet under the eyes of a Prometheus: real pullers that serve their metrics, and a conductor's registry fed from the same Consul.
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { connectConsul } from '#adapters/consul/client.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { pictureOf } from '#conductor/core/picture.ts'
import { createConductorMetrics } from '#conductor/metrics.ts'
import { Bell, observe } from '#conductor/shell/observe.ts'
import { historyReader } from '#conductor/shell/read-history.ts'
import type { Name } from '#fleet/build.ts'
import { readings } from './daemon-readings.ts'
import { ALERTS_FILE } from './dashboards.ts'
import { type Fleet, type FleetOptions, startFleet } from './fleet.ts'
import { listen } from './listen.ts'
import { type PrometheusServer, startPrometheusWith } from './prometheus.ts'
import { PROJECT } from './source.ts'

const POLICY = { maxUnavailable: 50, failureBudget: 10, waveMs: 60_000, allAtOnce: false }

/** Serves a conductor's metrics, fed from Consul as a daemon feeds them; it leads nothing and writes nothing. */
export async function watchingConductor(
  t: TestContext,
  of: { readonly url: string; readonly app: string; readonly rings: readonly string[] },
): Promise<{ readonly address: string }> {
  const [app, rings] = [of.app as Name, of.rings as readonly Name[]]
  let seenMs = Number.NEGATIVE_INFINITY
  // What the daemon of a team would say of itself.
  const own = { leads: () => true, ready: () => true, viewAgeMs: () => performance.now() - seenMs }
  const metrics = createConductorMetrics({ app, startedMs: Date.now(), readings: readings(own) })
  const client = connectConsul({ url: of.url }, { clock: systemClock, log: silentLogger, onRequest: metrics.consul })
  const stop = new AbortController()
  const eyes = { ledger: ledger(client, { app }), board: statusBoard(client, { app }) }
  const builds = catalog(client, { app })
  const lease = locks(client, { app })
  const bell = new Bell(eyes.board, rings, systemClock, 200, stop.signal)
  const history = historyReader(
    eyes.ledger,
    (told) => metrics.history(told),
    () => metrics.historyRead(),
  )
  const look = async (): Promise<void> => {
    const { fleet, rollout } = await observe(eyes, { app, rings, policy: POLICY }, stop.signal)
    const entries = await builds.list(stop.signal)
    const views = rings.flatMap((ring) => fleet.rings[ring] ?? [])
    const now = Date.now()
    const holder = await lease.holder(stop.signal)
    metrics.view(pictureOf({ app, rings: views, fleet, rollout, lease: holder, builds: entries, now }))
    seenMs = performance.now()
    await history.catchUp(stop.signal)
  }
  const watching = (async () => {
    while (!stop.signal.aborted) {
      // A look that failed shows in the counts of requests; the next one follows.
      await look().catch(() => undefined)
      await bell.wait(stop.signal).catch(() => undefined)
    }
  })()
  t.after(async () => {
    stop.abort()
    await watching
    client.close()
  })
  const server = createServer((_request, response) => {
    metrics.metrics().then(
      (text) => response.setHeader('content-type', metrics.contentType).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  return { address: await listen(t, server) }
}

export interface WatchedFleet {
  readonly fleet: Fleet
  readonly prometheus: PrometheusServer
  /** Where the conductor's metrics are served. */
  readonly url: string
}

/** @param octet of the loopback network that the pullers listen in: one of its own for each test file */
export async function startWatchedFleet(
  t: TestContext,
  options: FleetOptions & { readonly octet: number },
): Promise<WatchedFleet> {
  const { octet, app = 'web', ring = 'production' } = options
  const addressOf = (index: number): string => `127.${octet}.0.${index + 1}:9464`
  const puller = (node: { index: number; name: string; root: string }) => {
    return { ...options.puller?.(node), metrics: { listen: addressOf(node.index) } }
  }
  const fleet = await startFleet(t, { ...options, puller })
  const conductor = await watchingConductor(t, { url: options.consulUrl, app, rings: [ring] })
  const targets = fleet.nodes.map((_, index) => addressOf(index))
  const prometheus = await startPrometheusWith(t, {
    rule_files: [join(PROJECT, ALERTS_FILE)],
    scrape_configs: [
      { job_name: 'conductor', static_configs: [{ targets: [conductor.address] }] },
      { job_name: 'puller', static_configs: [{ targets, labels: { app, ring } }] },
    ],
  })
  return { fleet, prometheus, url: `http://${conductor.address}/metrics` }
}
