// Owns what Prometheus may know of a puller: names, units, and no build in a label but on `puller_info`.
import { createRequire } from 'node:module'
import type * as prom from 'prom-client'
import { type NodeStatus, PHASES } from '#fleet/node-status.ts'
import type { Clock } from '#fleet/ports.ts'
import { AT_REST, follow, MOVE_OUTCOMES } from './core/moves.ts'
import type { StageResult } from './core/trees.ts'

// One by one: the package's index also loads what pushes, summarizes and measures Node itself, and all that it takes (docs/decisions/0013).
const load = createRequire(import.meta.url)
const Counter = load('prom-client/lib/counter.js') as typeof prom.Counter
const Gauge = load('prom-client/lib/gauge.js') as typeof prom.Gauge
const Histogram = load('prom-client/lib/histogram.js') as typeof prom.Histogram
const Registry = load('prom-client/lib/registry.js') as typeof prom.Registry

export interface PullerMetrics {
  readonly contentType: string
  render(): Promise<string>
  /** @param previous what ran before hot; null when nothing did or it failed */
  status(status: NodeStatus, previous: string | null): void
  staged(result: StageResult): void
  swapped(outcome: 'swapped' | 'reverted' | 'failed'): void
  jobFinished(kind: string, ms: number, ok: boolean): void
  consul(report: RequestReport): void
  store(report: RequestReport): void
  /** For whoever prints or checks the list of metrics. */
  readonly registry: prom.Registry
}

interface RequestReport {
  readonly kind: string
  readonly outcome: string
  readonly ms: number
}

const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 70]

export function createMetrics(clock: Pick<Clock, 'now' | 'monotonic'>): PullerMetrics {
  const registry = new Registry()
  const registers = [registry]
  const info = new Gauge({ name: 'puller_info', help: 'Builds of this node', labelNames: ['hot', 'cold'], registers })
  const phase = new Gauge({
    name: 'puller_phase',
    help: '1 for the phase the node is in',
    labelNames: ['phase'],
    registers,
  })
  const generation = new Gauge({ name: 'puller_target_generation', help: 'Highest generation accepted', registers })
  const armed = new Gauge({ name: 'puller_armed', help: '1 when a rollback to cold needs no sweep', registers })
  const refused = new Gauge({
    name: 'puller_refused',
    help: '1 while the node refuses what it is asked to run',
    registers,
  })
  const trouble = new Gauge({
    name: 'puller_trouble',
    help: '1 for each trouble there is now',
    labelNames: ['code'],
    registers,
  })
  const fetched = new Counter({ name: 'puller_fetched_bytes_total', help: 'Bytes read from the store', registers })
  const kept = new Counter({ name: 'puller_kept_bytes_total', help: 'Bytes that staging found in place', registers })
  const copied = new Counter({
    name: 'puller_copied_bytes_total',
    help: 'Bytes that staging copied on this node',
    registers,
  })
  const stagings = new Counter({
    name: 'puller_stagings_total',
    help: 'Finished stagings by the way they took',
    labelNames: ['how'],
    registers,
  })
  const swaps = new Counter({
    name: 'puller_swaps_total',
    help: 'Moves of the hot link',
    labelNames: ['outcome'],
    registers,
  })
  const jobs = new Histogram({
    name: 'puller_job_seconds',
    help: 'How long each kind of job took',
    labelNames: ['job', 'outcome'],
    buckets: [0.01, 0.05, 0.25, 1, 5, 15, 60, 300],
    registers,
  })
  const consul = new Histogram({
    name: 'puller_consul_request_seconds',
    help: 'Requests to Consul, blocking queries included',
    labelNames: ['kind', 'outcome'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const store = new Histogram({
    name: 'puller_store_request_seconds',
    help: 'Requests to the store until their last byte',
    labelNames: ['kind', 'outcome'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const phases = new Counter({
    name: 'puller_phase_seconds_total',
    help: 'Time spent in each phase',
    labelNames: ['phase'],
    registers,
  })
  const movesTook = new Histogram({
    name: 'puller_move_seconds',
    help: 'From draining until the node is at rest again, by where that led',
    labelNames: ['outcome'],
    buckets: [0.25, 1, 2.5, 5, 15, 30, 60, 120, 300, 900],
    registers,
  })
  const started = new Gauge({
    name: 'puller_start_time_seconds',
    help: 'When this process began, in seconds since 1970',
    registers,
  })
  new Gauge({
    name: 'puller_resident_memory_bytes',
    help: 'Memory of this process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  started.set(clock.now() / 1_000)
  let since = { phase: 'idle', ms: clock.monotonic() }
  const spend = (phase: string): void => {
    const ms = clock.monotonic()
    phases.inc({ phase: since.phase }, (ms - since.ms) / 1_000)
    since = { phase, ms }
  }
  let moving = AT_REST
  for (const outcome of MOVE_OUTCOMES) movesTook.zero({ outcome })
  for (const phase of PHASES) phases.inc({ phase }, 0)
  for (const outcome of ['swapped', 'reverted', 'failed']) swaps.inc({ outcome }, 0)
  return {
    contentType: registry.contentType,
    registry,
    render: () => {
      spend(since.phase)
      return registry.metrics()
    },
    status(status, previous) {
      spend(status.phase)
      const step = follow(moving, status, previous, since.ms)
      moving = step.moving
      if (step.moved !== null) movesTook.observe({ outcome: step.moved.outcome }, step.moved.ms / 1_000)
      info.reset()
      info.set({ hot: status.hot ?? '', cold: status.cold ?? '' }, 1)
      for (const one of PHASES) phase.set({ phase: one }, one === status.phase ? 1 : 0)
      generation.set(status.generation)
      armed.set(status.armed ? 1 : 0)
      refused.set(status.refusal === null ? 0 : 1)
      trouble.reset()
      for (const { code } of status.troubles) trouble.set({ code }, 1)
    },
    staged(result) {
      fetched.inc(result.fetchedBytes)
      kept.inc(result.keptBytes)
      copied.inc(result.copiedBytes)
      stagings.inc({ how: result.how })
    },
    swapped: (outcome) => swaps.inc({ outcome }),
    jobFinished: (job, ms, ok) => jobs.observe({ job, outcome: ok ? 'ok' : 'failed' }, ms / 1_000),
    consul: ({ kind, outcome, ms }) => consul.observe({ kind, outcome }, ms / 1_000),
    store: ({ kind, outcome, ms }) => store.observe({ kind, outcome }, ms / 1_000),
  }
}
