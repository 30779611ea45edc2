// Owns asking Prometheus for what past rollouts kept nothing of: a gate that is new, as it would have read them.

import { fill } from '#conductor/core/cohort.ts'
import { figuresOf } from '#conductor/core/gate.ts'
import type { Gate, PrometheusGate } from '#conductor/core/gates.ts'
import type { PastRollout, PastSpan, PastStage } from '#conductor/core/past.ts'
import type { Row } from '#fleet/gate.ts'
import type { MetricPoint, Metrics } from '#fleet/metrics.ts'
import { rowOf } from './gates.ts'

/** Readings of one span: beyond this they come further apart than the gate's own interval. */
const POINTS_MOST = 500

/**
 * The same rollouts, with readings in rings where the gate would have been asked and nothing is kept of it. Who ran what is not known any
 * more: `{{nodes}}` is any node.
 * @param of.limit so many of the newest are asked for
 * @throws FleetError `METRICS_*`
 */
export async function askAgain(
  gate: Gate,
  past: readonly PastRollout[],
  of: { readonly app: string; readonly limit: number },
  metricsOf: (gate: PrometheusGate) => Metrics,
  signal: AbortSignal,
): Promise<readonly PastRollout[]> {
  if (gate.kind !== 'prometheus') return past
  const asked: PastRollout[] = []
  for (const [i, rollout] of past.entries()) {
    const known = new Set(rollout.stages.filter((stage) => stage.gate === gate.name).map(({ ring }) => ring))
    const missing = rollout.spans.filter(({ ring }) => !known.has(ring) && belongs(gate, ring))
    const stages: PastStage[] = []
    for (const span of i < of.limit ? missing : []) {
      stages.push(await stageOf(gate, { app: of.app, build: rollout.build }, span, metricsOf(gate), signal))
    }
    asked.push(stages.length === 0 ? rollout : { ...rollout, stages: [...rollout.stages, ...stages] })
  }
  return asked
}

function belongs({ rings }: PrometheusGate, ring: string): boolean {
  return rings === null || rings.some((one) => one === ring)
}

async function stageOf(
  gate: PrometheusGate,
  { app, build }: { readonly app: string; readonly build: string },
  span: PastSpan,
  metrics: Metrics,
  signal: AbortSignal,
): Promise<PastStage> {
  const { ring, fallback, from, to } = span
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)]
  const stepMs = Math.max(gate.intervalMs, Math.ceil((toMs - fromMs) / POINTS_MOST))
  const ask = async (of: string) => {
    const query = fill(gate.query.replaceAll(/\{\{\s*nodes\s*\}\}/g, '.+'), { app, build: of, ring, nodes: [] })
    return byTime(await metrics.range(query, { fromMs, toMs, stepMs, timeoutMs: gate.timeoutMs }, signal))
  }
  const fresh = await ask(build)
  const old = gate.limit.type === 'ratio' ? (fallback === null ? new Map() : await ask(fallback)) : undefined
  const times = Array.from({ length: Math.floor((toMs - fromMs) / stepMs) + 1 }, (_, i) => fromMs + i * stepMs)
  const rows = times.map((atMs): Row => {
    const values = fresh.get(atMs) ?? []
    const reading = old === undefined ? figuresOf(values) : figuresOf(values, old.get(atMs) ?? [])
    return rowOf(reading, atMs - fromMs)
  })
  const kept = { verdict: null, message: 'it was not asked then', share: 100 } as const
  return { gate: gate.name, ring, stage: 0, reads: rows.length, rows, at: to, ...kept }
}

/** The values of all series at each moment. Prometheus answers at the very times of the steps. */
function byTime(series: readonly (readonly MetricPoint[])[]): ReadonlyMap<number, readonly number[]> {
  const values = new Map<number, number[]>()
  for (const { atMs, value } of series.flat()) values.set(atMs, [...(values.get(atMs) ?? []), value])
  return values
}
