// Owns what Prometheus may know of a conductor: its registry, and the few calls by which a daemon feeds it.
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { HistoryEntry } from '#fleet/ports.ts'
import { TERMINAL_PHASES } from '#fleet/rollout.ts'
import { figuresOf } from './core/figures.ts'
import {
  HISTORY_METRICS,
  type HistoryMetric,
  type MetricSpec,
  PROCESS_METRICS,
  type Sample,
  SLOT_REASONS,
  type SlotOutcome,
  type SlotReason,
  VIEW_METRICS,
} from './core/metric-table.ts'
import type { Picture } from './core/picture.ts'
import { emptyTally, type PublishedAt, type Tally, tally } from './core/tally.ts'

/** A finished request, as the Consul client and `measuredStore` report them. */
export interface RequestReport {
  readonly kind: string
  readonly outcome: string
  readonly ms: number
}

/**
 * The metrics of a daemon. Hand `consul` to `connectConsul` as `onRequest` and `store` to `measuredStore`; call `view` and `history` after
 * every look, `leading` and `ready` when they change, `slot` and `nextSlot` from the calendar; serve `render()` with `contentType`.
 */
export interface ConductorMetrics {
  readonly contentType: string
  /** For whoever prints or checks the list of metrics. */
  readonly registry: Registry
  /** The text of one scrape: all of it is of one moment. */
  render(): Promise<string>
  /** The newest view of an app, which replaces the one before. @param seenMs milliseconds since 1970 */
  view(picture: Picture, seenMs: number): void
  /**
   * Entries of the history, in any order; those that were told before change nothing. The first call for an app must be given the whole
   * history (`ledger.history(Infinity)`), also an empty one: until then nothing that is made of it is shown.
   */
  history(app: string, entries: readonly HistoryEntry[], publishedAt: PublishedAt): void
  leading(app: string, leads: boolean): void
  ready(ready: boolean): void
  slot(app: string, outcome: SlotOutcome, reason: SlotReason): void
  /** Null: the calendar has none. In milliseconds since 1970. */
  nextSlot(app: string, atMs: number | null): void
  consul(report: RequestReport): void
  store(report: RequestReport): void
}

const ALL_METRICS: Readonly<Record<string, MetricSpec>> = { ...VIEW_METRICS, ...HISTORY_METRICS, ...PROCESS_METRICS }

/** @param startedMs when the process began, in milliseconds since 1970 */
export function createConductorMetrics(startedMs: number): ConductorMetrics {
  const registry = new Registry()
  const { add, set, observe, zero, resetView } = instruments(registry)
  const views = new Map<string, { readonly picture: Picture; readonly seenMs: number }>()
  const tallies = new Map<string, Tally>()
  const ringsSeen = new Map<string, readonly string[]>()
  let rendering: Promise<unknown> = Promise.resolve()
  let fresh = false

  const put = ({ name, labels, value }: Sample): void => {
    const { type } = ALL_METRICS[name] ?? {}
    if (type === 'gauge') set(name, labels, value)
    else if (type === 'counter') add(name, labels, value)
    else observe(name, labels, value)
  }
  const begun = new Set<string>()
  /** What is made of the history begins at nothing, not with its first event: Prometheus sees no increase where there was no sample before. */
  const begin = (app: string, rings: readonly string[]): void => {
    const fresh = [null, ...rings].filter((ring) => !begun.has(`${app}/${ring ?? ''}`))
    for (const ring of fresh) {
      begun.add(`${app}/${ring ?? ''}`)
      beginnings(app, ring).forEach(zero)
    }
  }
  set('conductor_start_time_seconds', {}, startedMs / 1_000)
  set('conductor_ready', {}, 0)

  async function render(): Promise<string> {
    if (fresh) resetView()
    fresh = false
    for (const { picture, seenMs } of views.values()) figuresOf(picture, seenMs).forEach(put)
    return await registry.metrics()
  }

  return {
    contentType: registry.contentType,
    registry,
    render: () => {
      // One after the other, and a view is put into gauges only here: what a scrape is given is never of two views.
      const text = rendering.then(render)
      rendering = text.catch(() => undefined)
      return text
    },
    view(picture, seenMs) {
      const { app } = picture
      views.set(app, { picture, seenMs })
      ringsSeen.set(
        app,
        picture.rings.map(({ ring }) => ring),
      )
      fresh = true
      if (tallies.has(app)) begin(app, ringsSeen.get(app) ?? [])
    },
    history(app, entries, publishedAt) {
      begin(app, ringsSeen.get(app) ?? [])
      let known = tallies.get(app) ?? emptyTally(app)
      for (const entry of entries.toSorted((a, b) => a.seq - b.seq)) {
        const { tally: next, counted } = tally(known, entry, publishedAt)
        begin(
          app,
          counted.flatMap(({ labels }) => labels.ring ?? []),
        )
        counted.forEach(put)
        known = next
      }
      tallies.set(app, known)
      set('conductor_history_entries', { app }, known.seq)
    },
    leading(app, leads) {
      set('conductor_leading', { app }, leads ? 1 : 0)
      for (const reason of SLOT_REASONS) add('conductor_slots_total', { app, ...slotLabels(reason) }, 0)
    },
    ready: (is) => set('conductor_ready', {}, is ? 1 : 0),
    slot: (app, outcome, reason) => add('conductor_slots_total', { app, outcome, reason }, 1),
    nextSlot(app, atMs) {
      if (atMs === null) remove(registry, 'conductor_next_slot_time_seconds', { app })
      else set('conductor_next_slot_time_seconds', { app }, atMs / 1_000)
    },
    consul: ({ ms, ...labels }) => observe('conductor_consul_request_seconds', labels, ms / 1_000),
    store: ({ ms, ...labels }) => observe('conductor_store_request_seconds', labels, ms / 1_000),
  }
}

/** The series of an app, or of one of its rings, that are shown before anything happened. */
function beginnings(app: string, ring: string | null): readonly Omit<Sample<HistoryMetric>, 'value'>[] {
  if (ring === null) {
    return [
      { name: 'conductor_rollback_seconds', labels: { app } },
      ...TERMINAL_PHASES.flatMap((outcome) => [
        { name: 'conductor_rollouts_total' as const, labels: { app, outcome } },
        { name: 'conductor_rollout_seconds' as const, labels: { app, outcome } },
      ]),
    ]
  }
  const labels = { app, ring }
  return [
    ...TERMINAL_PHASES.map((outcome) => ({ name: 'conductor_deploys_total' as const, labels: { ...labels, outcome } })),
    { name: 'conductor_reverted_deploys_total', labels },
    { name: 'conductor_stage_seconds', labels },
    { name: 'conductor_time_to_converge_seconds', labels },
    { name: 'conductor_lead_time_seconds', labels },
    { name: 'conductor_time_to_restore_seconds', labels },
  ]
}

function slotLabels(reason: SlotReason): { readonly outcome: SlotOutcome; readonly reason: SlotReason } {
  if (reason === 'none') return { outcome: 'started', reason }
  return { outcome: reason === 'missed' ? 'missed' : 'skipped', reason }
}

interface Instruments {
  readonly add: Put
  readonly set: Put
  readonly observe: Put
  readonly zero: (of: { readonly name: string; readonly labels: Sample['labels'] }) => void
  readonly resetView: () => void
}

type Put = (name: string, labels: Sample['labels'], value: number) => void

/** Every metric of the table in one registry, by name. */
function instruments(registry: Registry): Instruments {
  const gauges = new Map<string, Gauge>()
  const counters = new Map<string, Counter>()
  const histograms = new Map<string, Histogram>()
  for (const [name, { type, help, labels, buckets = [] }] of Object.entries(ALL_METRICS)) {
    const base = { name, help, labelNames: [...labels], registers: [registry] }
    if (type === 'gauge') gauges.set(name, new Gauge(base))
    else if (type === 'counter') counters.set(name, new Counter(base))
    else histograms.set(name, new Histogram({ ...base, buckets: [...buckets] }))
  }
  return {
    set: (name, labels, value) => gauges.get(name)?.set(labels, value),
    add: (name, labels, value) => counters.get(name)?.inc(labels, value),
    observe: (name, labels, value) => histograms.get(name)?.observe(labels, value),
    zero: ({ name, labels }) => {
      counters.get(name)?.inc(labels, 0)
      histograms.get(name)?.zero(labels)
    },
    resetView: () => {
      for (const name of Object.keys(VIEW_METRICS)) gauges.get(name)?.reset()
    },
  }
}

function remove(registry: Registry, name: string, labels: Sample['labels']): void {
  registry.getSingleMetric(name)?.remove(labels)
}
