// Owns what Prometheus may know of a daemon: whether it leads, how old its view is, and who listens.
import { createRequire } from 'node:module'
import type * as prom from 'prom-client'

// One by one: see docs/decisions/0013.
const load = createRequire(import.meta.url)
const Gauge = load('prom-client/lib/gauge.js') as typeof prom.Gauge
const Registry = load('prom-client/lib/registry.js') as typeof prom.Registry

/** Read at each scrape. */
export interface Readings {
  leads(): boolean
  viewAgeMs(): number
  clients(): number
}

/** The registry of a daemon of `app`: further metrics register themselves in it. */
export function daemonRegistry(app: string, readings: Readings): prom.Registry {
  const registry = new Registry()
  const registers = [registry]
  const labelNames = ['app'] as const
  new Gauge({
    name: 'conductor_leading',
    help: '1 while this daemon leads the app',
    labelNames,
    registers,
    collect() {
      this.set({ app }, readings.leads() ? 1 : 0)
    },
  })
  new Gauge({
    name: 'conductor_view_age_seconds',
    help: 'Since the part of the view was answered for that was asked about longest ago',
    labelNames,
    registers,
    collect() {
      this.set({ app }, readings.viewAgeMs() / 1_000)
    },
  })
  new Gauge({
    name: 'conductor_event_clients',
    help: 'Clients of the event stream',
    registers,
    collect() {
      this.set(readings.clients())
    },
  })
  return registry
}
