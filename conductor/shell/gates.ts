// Owns reading the gates of a stage: each at most once an interval, in the background, judged in order, and forgotten with the stage.

import { FRESH, judge } from '#conductor/core/gate.ts'
import type { Cohort, Gate, GateMemory, GateReader, Judged, Reading } from '#conductor/core/gates.ts'
import { type Row, thinned } from '#fleet/gate.ts'
import type { Clock } from '#fleet/ports.ts'

/** What one evaluation of a gate brought, before it is judged. Never throws but the signal's reason. */
export type Evaluate = (gate: Gate, cohort: Cohort, signal: AbortSignal) => Promise<Evaluation>

export interface Evaluation {
  readonly reading: Reading
  /** Figures of the last good rollouts, newest first, for a z-score. */
  readonly baseline: readonly number[]
  /** Last words of a command. */
  readonly output: string
}

/** A driver that waits for a gate answers no request meanwhile: what takes longer goes on in the background. */
const PATIENCE_MS = 500

interface Watched {
  readonly gate: Gate
  memory: GateMemory
  rows: readonly Row[]
  reads: number
  /** Wall and monotonic milliseconds at which the first reading was begun. */
  firstMs: number
  dueMs: number
  last: Judged | null
  lastBegunMs: number
  running: Promise<void> | null
  /** A bug of ours, for the next who asks. */
  fault: unknown
}

/** The reader of an app's gates. A stage that it has not seen begins from nothing, and ends what was still being read of the last one. */
export function gateReader(gates: readonly Gate[], evaluate: Evaluate, clock: Clock): GateReader {
  let key = ''
  let stage = new AbortController()
  let watched: readonly Watched[] = []

  function enter(cohort: Cohort): void {
    const next = `${cohort.rollout} ${cohort.stage}`
    if (next === key) return
    key = next
    stage.abort(new Error('the stage is over'))
    stage = new AbortController()
    watched = gates.filter((gate) => counts(gate, cohort)).map((gate) => unwatched(gate, clock.monotonic()))
  }

  async function readOnce(one: Watched, cohort: Cohort, signal: AbortSignal): Promise<void> {
    const begunMs = clock.now()
    const sinceMs = clock.monotonic()
    one.dueMs = sinceMs + one.gate.intervalMs
    if (one.reads === 0) one.firstMs = begunMs
    const { reading, baseline, output } = await evaluate(one.gate, cohort, signal)
    signal.throwIfAborted()
    const { memory, ...opinion } = judge(one.gate, reading, baseline, one.memory, sinceMs)
    one.memory = memory
    one.reads += 1
    one.rows = thinned([...one.rows, rowOf(reading, begunMs - one.firstMs)])
    one.lastBegunMs = begunMs
    const { rows, reads } = one
    const at = new Date(begunMs).toISOString()
    one.last = { gate: one.gate.name, ...opinion, at, samples: rows, reads, output }
  }

  return {
    async read(cohort, signal) {
      signal.throwIfAborted()
      enter(cohort)
      const both = AbortSignal.any([signal, stage.signal])
      for (const one of watched) {
        if (one.running !== null || clock.monotonic() < one.dueMs) continue
        one.running = readOnce(one, cohort, both)
          // What it was to say is asked for by nobody any more.
          .catch((error: unknown) => {
            if (!both.aborted) one.fault = error
          })
          .finally(() => {
            one.running = null
          })
      }
      await patiently(
        watched.flatMap(({ running }) => running ?? []),
        clock,
        signal,
      )
      const broken = watched.find(({ fault }) => fault !== null)
      if (broken !== undefined) throw broken.fault
      return watched.map((one) => said(one, cohort))
    },
  }
}

/** Whether a gate has a say in this stage. */
export function counts(gate: Gate, { ring, gates }: Pick<Cohort, 'ring' | 'gates'>): boolean {
  return (gate.rings === null || gate.rings.includes(ring)) && (gates === null || gates.includes(gate.name))
}

function unwatched(gate: Gate, nowMs: number): Watched {
  const never = { last: null, lastBegunMs: Number.NEGATIVE_INFINITY, running: null, fault: null }
  return { gate, memory: FRESH, rows: [], reads: 0, firstMs: 0, dueMs: nowMs, ...never }
}

/** Resolves when all have ended, or after a while. @throws the signal's reason */
async function patiently(running: readonly Promise<void>[], clock: Clock, signal: AbortSignal): Promise<void> {
  if (running.length === 0) return
  const ended = new AbortController()
  const late = clock.sleep(PATIENCE_MS, AbortSignal.any([signal, ended.signal])).catch(() => undefined)
  try {
    await Promise.race([Promise.all(running), late])
  } finally {
    ended.abort()
  }
  signal.throwIfAborted()
}

/** The last verdict, if it is about the nodes that run the build now; a failure stands, whatever came after. */
function said(one: Watched, cohort: Cohort): Judged {
  const { last } = one
  if (last !== null && (last.verdict === 'fail' || one.lastBegunMs >= cohort.startedAtMs)) return last
  const since = last === null ? 'it has not answered yet' : 'not read yet since all nodes of the stage arrived'
  const nothing = { at: null, samples: one.rows, reads: one.reads, output: '' }
  return { gate: one.gate.name, verdict: 'inconclusive', reason: 'unread', message: since, ...nothing }
}

/** A reading as it is kept. @param sinceMs since the first of its stage */
export function rowOf(reading: Reading, sinceMs: number): Row {
  const seconds = Math.round(sinceMs / 100) / 10
  switch (reading.type) {
    case 'figures': {
      const { count, lo, hi, old } = reading
      return old === undefined ? [seconds, count, lo, hi] : [seconds, count, lo, hi, old]
    }
    case 'answer':
      return [seconds, reading.verdict]
    case 'nothing':
      return [seconds, reading.reason]
  }
}
