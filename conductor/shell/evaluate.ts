// Owns one evaluation of a gate by its kind: what is asked of whom, and that trouble is never an answer.

import { judgeAnswer } from '#conductor/core/answer.ts'
import { fill, oldCohort } from '#conductor/core/cohort.ts'
import { figuresOf } from '#conductor/core/gate.ts'
import type { Cohort, CommandGate, Gate, PrometheusGate, Reading } from '#conductor/core/gates.ts'
import { never } from '#fleet/assert.ts'
import { describeError, type FleetError, isFleetError } from '#fleet/errors.ts'
import type { Metrics } from '#fleet/metrics.ts'
import type { Clock } from '#fleet/ports.ts'
import { ask } from './ask.ts'
import { type Command, type CommandEnd, runCommand } from './command.ts'
import type { Evaluate, Evaluation } from './gates.ts'

/** Where commands run, and the environment that they have beside what they are told. */
export interface Place {
  readonly dir: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Node names that a command is told: an environment holds no ten thousand. */
const NODES_MOST = 500

/** Whom gates ask. */
export interface Sources {
  readonly clock: Clock
  readonly place: Place
  /** The metrics store of a gate; may be called for each reading. */
  metrics(gate: PrometheusGate): Metrics
  /** One figure of each good rollout before this one that has samples of the gate in the ring, newest first. */
  baseline(gate: PrometheusGate, cohort: Cohort, signal: AbortSignal): Promise<readonly number[]>
}

export function evaluator(sources: Sources): Evaluate {
  const lastOld: LastOld = new Map()
  return async (gate, cohort, signal) => {
    try {
      return await evaluate(gate, cohort, sources, lastOld, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!isFleetError(error)) throw error
      return { reading: troubleOf(error), baseline: [], output: '' }
    }
  }
}

function troubleOf(error: FleetError): Reading {
  const reason = error.code === 'METRICS_PARTIAL' ? 'partial' : 'no-answer'
  return { type: 'nothing', reason, message: `${error.code} ${describeError(error)}` }
}

async function evaluate(
  gate: Gate,
  cohort: Cohort,
  sources: Sources,
  lastOld: LastOld,
  signal: AbortSignal,
): Promise<Evaluation> {
  const alone = (reading: Reading, output = ''): Evaluation => ({ reading, baseline: [], output })
  if (cohort.nodes.length === 0) {
    const message = `no node runs ${cohort.build}: there is nothing to judge`
    return alone({ type: 'nothing', reason: 'no-samples', message })
  }
  switch (gate.kind) {
    case 'prometheus': {
      const baseline = gate.limit.type === 'zscore' ? await sources.baseline(gate, cohort, signal) : []
      return { reading: await query(gate, cohort, sources, lastOld, signal), baseline, output: '' }
    }
    case 'http': {
      const { headers, timeoutMs } = gate
      const url = fill(gate.url, cohort, encodeURIComponent)
      return alone(judgeAnswer(gate.expect, await ask(url, { headers, timeoutMs }, signal)))
    }
    case 'command': {
      const end = await runCommand(commandOf(gate, cohort, sources.place), sources.clock, signal)
      return alone(verdictOf(end), end.output)
    }
    default:
      return never(gate, 'gate')
  }
}

/** The variables that a command is told; what is not known is the empty string. */
function commandOf({ name, argv, timeoutMs }: CommandGate, cohort: Cohort, place: Place): Command {
  const told = {
    HOTCOLD_APP: cohort.app,
    HOTCOLD_RING: cohort.ring,
    HOTCOLD_BUILD: cohort.build,
    HOTCOLD_PREVIOUS: cohort.fallback ?? '',
    HOTCOLD_ROLLOUT: cohort.rollout,
    HOTCOLD_STAGE: String(cohort.stage + 1),
    HOTCOLD_SHARE: String(cohort.share),
    HOTCOLD_GATE: name,
    HOTCOLD_NODES: cohort.nodes.slice(0, NODES_MOST).join(' '),
  }
  return { argv, cwd: place.dir, env: { ...place.env, ...told }, timeoutMs }
}

/** Exit 0 passes, 75 and a command that was ended are no verdict, everything else fails. */
function verdictOf({ code, timedOut, passed, message }: CommandEnd): Reading {
  if (timedOut) return { type: 'nothing', reason: 'no-answer', message }
  return { type: 'answer', verdict: passed ? 'pass' : code === 75 ? 'inconclusive' : 'fail', message }
}

/** One query, or for a ratio one for each cohort. */
async function query(
  gate: PrometheusGate,
  cohort: Cohort,
  sources: Sources,
  lastOld: LastOld,
  signal: AbortSignal,
): Promise<Reading> {
  const { timeoutMs } = gate
  const metrics = sources.metrics(gate)
  const asked = metrics.instant(fill(gate.query, cohort), { atMs: null, timeoutMs }, signal)
  if (gate.limit.type !== 'ratio') return figuresOf(await asked)
  const [values, olds] = await Promise.all([asked, oldValues(gate, cohort, metrics, lastOld, signal)])
  return figuresOf(values, olds)
}

/** Rollout, ring and gate → the last samples of the old cohort. */
type LastOld = Map<string, readonly number[]>

/**
 * Samples of the old cohort. Where nobody runs the old build any more they are the last that were read while somebody did, and after a
 * take-over those of the ring right before the rollout: that is what the new build replaced.
 */
async function oldValues(
  gate: PrometheusGate,
  cohort: Cohort,
  metrics: Metrics,
  lastOld: LastOld,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const old = oldCohort(cohort)
  if (old === null) return []
  const { timeoutMs } = gate
  const key = `${cohort.rollout} ${cohort.ring} ${gate.name}`
  if (old.nodes.length > 0) {
    const values = await metrics.instant(fill(gate.query, old), { atMs: null, timeoutMs }, signal)
    if (values.length > 0 && values.every(Number.isFinite)) lastOld.set(key, values)
    return values
  }
  const before = { atMs: cohort.beganAtMs, timeoutMs }
  return lastOld.get(key) ?? (await metrics.instant(fill(gate.query, { ...old, nodes: cohort.nodes }), before, signal))
}
