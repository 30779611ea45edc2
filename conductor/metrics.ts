// Owns what Prometheus may know of a daemon: its registry, and the few calls by which it is fed.
import { createRequire } from 'node:module'
import type * as prom from 'prom-client'
import type { HistoryEntry } from '#fleet/ports.ts'
import { TERMINAL_PHASES } from '#fleet/rollout.ts'
import { figuresOf } from './core/figures.ts'
import {
  HISTORY_METRICS,
  type HistoryMetric,
  type MetricSpec,
  PROCESS_METRICS,
  type Sample,
  SLOT_LABELS,
  slotLabels,
  VIEW_METRICS,
} from './core/metric-table.ts'
import type { Picture } from './core/picture.ts'
import { emptyTally, tally } from './core/tally.ts'

// One by one: see docs/decisions/0013.
const load = createRequire(import.meta.url)
const Counter = load('prom-client/lib/counter.js') as typeof prom.Counter
const Gauge = load('prom-client/lib/gauge.js') as typeof prom.Gauge
const Histogram = load('prom-client/lib/histogram.js') as typeof prom.Histogram
const Registry = load('prom-client/lib/registry.js') as typeof prom.Registry

/** What is read of the daemon at each scrape. */
export interface Readings {
  /** This daemon leads the app. */
  leads(): boolean
  /** As `/readyz` says. */
  ready(): boolean
  /** Since the part of the view was answered for that was asked about longest ago; infinite before the first answer. */
  viewAgeMs(): number
  /** Clients of the event stream. */
  clients(): number
  /** The next slot of the calendar, in milliseconds since 1970; null where there is none. */
  nextSlotMs(): number | null
}

/** A finished request, as the Consul client and `measuredStore` report them. */
export interface RequestReport {
  readonly kind: string
  readonly outcome: string
  readonly ms: number
}

/**
 * The metrics of a daemon. Hand `consul` to `connectConsul` as `onRequest` and `store` to `measuredStore`; call `view` and `history` after
 * every look; serve `metrics()` with `contentType`.
 */
export interface ConductorMetrics {
  readonly contentType: string
  /** For whoever prints or checks the list of metrics. */
  readonly registry: prom.Registry
  /** The text of one scrape: all of it is of one moment. */
  metrics(): Promise<string>
  /** The newest view, which replaces the one before. */
  view(picture: Picture): void
  /**
   * Entries of the history, in the order of their numbers from call to call; those that were told before change nothing. `historyReader`
   * brings them.
   */
  history(entries: readonly HistoryEntry[]): void
  /** All of the history was told: until then nothing that is made of it is shown. */
  historyRead(): void
  consul(report: RequestReport): void
  store(report: RequestReport): void
}

const ALL_METRICS: Readonly<Record<string, MetricSpec>> = { ...VIEW_METRICS, ...HISTORY_METRICS, ...PROCESS_METRICS }

/** @param of.startedMs when the process began, in milliseconds since 1970 */
export function createConductorMetrics(of: {
  readonly app: string
  readonly startedMs: number
  readonly readings: Readings
}): ConductorMetrics {
  const { app, startedMs, readings } = of
  const registry = new Registry()
  const { put, zero, reset } = instruments(registry)
  let picture: Picture | null = null
  let known = emptyTally(app)
  let wasRead = false
  let rendering: Promise<unknown> = Promise.resolve()

  const begun = new Set<string | null>()
  /** What is made of the history begins at nothing, not with its first event: Prometheus sees no increase where there was no sample before. */
  const begin = (rings: readonly string[]): void => {
    for (const ring of [null, ...rings].filter((one) => !begun.has(one))) {
      begun.add(ring)
      beginnings(app, ring).forEach(zero)
    }
  }

  async function render(): Promise<string> {
    reset()
    if (picture !== null) figuresOf(picture).forEach(put)
    processFigures(app, startedMs, readings).forEach(put)
    if (wasRead) return await registry.metrics()
    const names = Object.keys({ ...VIEW_METRICS, ...PROCESS_METRICS })
    const texts = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)))
    return `${texts.join('\n\n')}\n`
  }

  return {
    contentType: registry.contentType,
    registry,
    metrics: () => {
      // One after the other, and a view is put into gauges only here: what a scrape is given is never of two views.
      const text = rendering.then(render)
      rendering = text.catch(() => undefined)
      return text
    },
    view(now) {
      picture = now
      begin(now.rings.map(({ ring }) => ring))
    },
    historyRead() {
      begin([])
      wasRead = true
    },
    history(entries) {
      for (const entry of entries.toSorted((a, b) => a.seq - b.seq)) {
        const { tally: next, counted } = tally(known, entry)
        begin(counted.flatMap(({ labels }) => labels.ring ?? []))
        counted.forEach(put)
        known = next
      }
      put({ name: 'conductor_history_entries', labels: { app }, value: known.seq })
    },
    consul: ({ ms, ...labels }) => put({ name: 'conductor_consul_request_seconds', labels, value: ms / 1_000 }),
    store: ({ ms, ...labels }) => put({ name: 'conductor_store_request_seconds', labels, value: ms / 1_000 }),
  }
}

function processFigures(app: string, startedMs: number, readings: Readings): readonly Sample[] {
  const slotMs = readings.nextSlotMs()
  const figures: readonly (readonly [name: keyof typeof PROCESS_METRICS, value: number])[] = [
    ['conductor_start_time_seconds', startedMs / 1_000],
    ['conductor_ready', readings.ready() ? 1 : 0],
    ['conductor_leading', readings.leads() ? 1 : 0],
    ['conductor_view_age_seconds', readings.viewAgeMs() / 1_000],
    ['conductor_event_clients', readings.clients()],
    ...(slotMs === null ? [] : [['conductor_next_slot_time_seconds', slotMs / 1_000] as const]),
  ]
  return figures.map(([name, value]) => ({ name, labels: { app }, value }))
}

type Series = Omit<Sample<HistoryMetric>, 'value'>

/** The series of an app, or of one of its rings, that are shown before anything happened. */
function beginnings(app: string, ring: string | null): readonly Series[] {
  const labels = ring === null ? { app } : { app, ring }
  const one = (name: HistoryMetric, more: Sample['labels'] = {}): Series => ({ name, labels: { ...labels, ...more } })
  const byOutcome = (name: HistoryMetric) => TERMINAL_PHASES.map((outcome) => one(name, { outcome }))
  if (ring === null) {
    return [
      one('conductor_rollback_seconds'),
      ...byOutcome('conductor_rollouts_total'),
      ...byOutcome('conductor_rollout_seconds'),
      ...SLOT_LABELS.map((code) => one('conductor_slots_total', slotLabels(code))),
    ]
  }
  return [
    ...byOutcome('conductor_deploys_total'),
    one('conductor_reverted_deploys_total'),
    one('conductor_stage_seconds'),
    one('conductor_time_to_converge_seconds'),
    one('conductor_lead_time_seconds'),
    one('conductor_time_to_restore_seconds'),
  ]
}

interface Instruments {
  /** Sets a gauge, adds to a counter, or lets a histogram see a value. */
  readonly put: (sample: Sample) => void
  readonly zero: (series: Omit<Sample, 'value'>) => void
  /** Forgets every gauge of a view and of the process. */
  readonly reset: () => void
}

/** Every metric of the table in one registry, by name. */
function instruments(registry: prom.Registry): Instruments {
  const gauges = new Map<string, prom.Gauge>()
  const counters = new Map<string, prom.Counter>()
  const histograms = new Map<string, prom.Histogram>()
  for (const [name, { type, help, labels, buckets = [] }] of Object.entries(ALL_METRICS)) {
    const base = { name, help, labelNames: [...labels], registers: [registry] }
    if (type === 'gauge') gauges.set(name, new Gauge(base))
    else if (type === 'counter') counters.set(name, new Counter(base))
    else histograms.set(name, new Histogram({ ...base, buckets: [...buckets] }))
  }
  return {
    put({ name, labels, value }) {
      gauges.get(name)?.set(labels, value)
      counters.get(name)?.inc(labels, value)
      histograms.get(name)?.observe(labels, value)
    },
    zero({ name, labels }) {
      counters.get(name)?.inc(labels, 0)
      histograms.get(name)?.zero(labels)
    },
    reset() {
      for (const [name, gauge] of gauges) if (!Object.hasOwn(HISTORY_METRICS, name)) gauge.reset()
    },
  }
}
