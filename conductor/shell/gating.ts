// Owns the gates in a drive: reads those of the stage in hand, hands their verdicts to `plan`, and writes down what they said.

import { type Gathering, gather } from '#conductor/core/cohort.ts'
import type { GateReader, Judged } from '#conductor/core/gates.ts'
import { closingFacts, newVerdicts } from '#conductor/core/judged.ts'
import type { Action, Signals } from '#conductor/core/plan.ts'
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import type { FleetView } from '#conductor/core/standing.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { Told } from './execute.ts'

/** Changes of one gate's mind in one stage that the history tells; a gate that flaps all day must not fill it. */
const CHANGES_MOST = 20

/** What the gates say now. */
export interface Gated {
  readonly signals: Signals
  /** News for the rollout record. */
  readonly events: readonly RolloutEvent[]
  readonly judged: readonly Judged[]
  readonly gathering: Gathering | null
}

const NOTHING: Gated = { signals: { verdicts: [] }, events: [], judged: [], gathering: null }

/** Actions that end a stage, one way or the other. */
const ENDS: readonly Action['type'][] = ['nextStage', 'rollBack', 'end']

export class Gating {
  private readonly reader: GateReader
  /** Since when the stage is whole, in milliseconds since 1970; null while it is not. */
  private wholeSinceMs: number | null = null
  private stage = ''
  private changes = new Map<string, number>()

  constructor(reader: GateReader) {
    this.reader = reader
  }

  /** @param nowMs milliseconds since 1970. @throws the signal's reason */
  async look(rollout: Rollout, fleet: FleetView, nowMs: number, signal: AbortSignal): Promise<Gated> {
    const gathering = gather(rollout, fleet)
    if (gathering === null) return NOTHING
    this.enter(`${rollout.id} ${rollout.stage}`)
    this.wholeSinceMs = gathering.whole ? (this.wholeSinceMs ?? nowMs) : null
    // While nodes still arrive, the last reading is about fewer of them, and good enough to let further ones go.
    const startedAtMs = this.wholeSinceMs ?? Number.NEGATIVE_INFINITY
    const judged = await this.reader.read({ ...gathering.cohort, startedAtMs }, signal)
    const verdicts = judged.map(({ gate, verdict, message }) => ({ gate, verdict, message }))
    const at = new Date(nowMs).toISOString()
    return { signals: { verdicts }, events: newVerdicts(rollout, judged, at), judged, gathering }
  }

  private enter(stage: string): void {
    if (stage === this.stage) return
    this.stage = stage
    this.wholeSinceMs = null
    this.changes = new Map()
  }

  /** Whether the history is to tell of it: always of a failure, and of so many changes. */
  isTold(event: RolloutEvent): boolean {
    if (event.type !== 'judged') return true
    const { gate, verdict } = event.mark
    const before = this.changes.get(gate) ?? 0
    this.changes.set(gate, before + 1)
    return verdict === 'fail' || before < CHANGES_MOST
  }

  /** What the history keeps of each gate when a stage ends. */
  closing(rollout: Rollout, action: Action, { judged, gathering }: Gated, by: string, at: string): readonly Told[] {
    if (gathering === null || !ENDS.includes(action.type)) return []
    return judged.map((one) => ({ at, by, event: 'gate-judged', facts: closingFacts(rollout, gathering, one) }))
  }
}

export const UNGATED: Gated = NOTHING
