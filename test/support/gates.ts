// Owns gates, readings and a reader in tests: each with everything a test does not care about.
import type { Cohort, Gate, Judged, Limit, PrometheusGate, Reading } from '#conductor/core/gates.ts'
import { A, APP, B, RING } from './rollout-sim.ts'

export function metricGate(limit: Limit, more: Partial<PrometheusGate> = {}): PrometheusGate {
  return {
    kind: 'prometheus',
    name: 'errors',
    rings: null,
    forMs: 0,
    intervalMs: 1_000,
    timeoutMs: 1_000,
    url: 'http://127.0.0.1:9090',
    headers: {},
    query: 'errors{build="{{build}}"}',
    limit,
    samples: 1,
    onNoData: 'hold',
    ...more,
  }
}

export const atMost = (max: number): Limit => ({ type: 'max', max })

export function figures(...values: readonly number[]): Reading {
  return { type: 'figures', count: values.length, lo: Math.min(...values), hi: Math.max(...values) }
}

export const COHORT: Cohort = {
  app: APP,
  rollout: 'r-now',
  build: B,
  fallback: A,
  ring: RING,
  share: 100,
  stage: 0,
  nodes: ['node-0', 'node-1'],
  oldNodes: ['node-2'],
  beganAtMs: 1_000,
  startedAtMs: Number.NEGATIVE_INFINITY,
  gates: null,
}

export function judged(more: Partial<Judged> = {}): Judged {
  const reason = more.verdict === 'fail' ? 'beyond' : 'within'
  return { gate: 'errors', verdict: 'pass', reason, message: '', at: '', samples: [], reads: 1, output: '', ...more }
}

export const named = (gate: Gate, name: string): Gate => ({ ...gate, name })
