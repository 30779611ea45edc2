// Owns what the history comes to in figures: rollouts, durations and the four DORA figures, entry by entry.
import type { HistoryEntry } from '#fleet/ports.ts'
import { ROLLOUT_PHASES } from '#fleet/rollout.ts'
import { type HistoryMetric, type Sample, SLOT_LABELS, type SlotLabel, slotLabels } from './metric-table.ts'

/** What is remembered of a rollout that is under way. */
interface Journey {
  readonly build: string
  /** When its build was published; in milliseconds since 1970, like all of these, and null where that is not known. */
  readonly publishedMs: number | null
  readonly begunMs: number | null
  readonly recalledMs: number | null
  /** Goes back: nothing of it counts as a deploy. `reversal`: born on its way back; `release`: to an older build by name. */
  readonly back: 'no' | 'reversal' | 'release'
  readonly rings: Readonly<Record<string, Leg>>
}

/** A rollout in one ring. */
interface Leg {
  /** First order that put a node on the build; null while none did. */
  readonly exposedMs: number | null
  /** The same of the stage in hand. */
  readonly raisedMs: number | null
  readonly whole: boolean
}

/** The deploy that a ring runs, as far as the history tells. */
interface Standing {
  readonly build: string
  readonly exposedMs: number
  readonly reverted: boolean
}

/** What must be remembered from entry to entry: rollouts under way and what stands in each ring. */
export interface Tally {
  readonly app: string
  readonly seq: number
  readonly journeys: Readonly<Record<string, Journey>>
  readonly rings: Readonly<Record<string, Standing>>
}

export type Counted = Sample<HistoryMetric>

export function emptyTally(app: string): Tally {
  return { app, seq: 0, journeys: {}, rings: {} }
}

interface Tallied {
  readonly tally: Tally
  readonly counted: readonly Counted[]
}

/** Pure. Entries are told in the order of their numbers; one that was told before changes nothing. */
export function tally(before: Tally, entry: HistoryEntry): Tallied {
  if (entry.seq <= before.seq) return { tally: before, counted: [] }
  const { app } = before
  const seen = { ...before, seq: entry.seq }
  const event: Counted = { name: 'conductor_history_events_total', labels: { app, event: entry.event }, value: 1 }
  const { rollout: id } = entry.facts
  if (entry.event === 'slot-skipped') {
    const code = SLOT_LABELS.find((one) => one === entry.facts.code) ?? 'other'
    return { tally: seen, counted: [event, slot(seen, code)] }
  }
  if (typeof id !== 'string') return { tally: seen, counted: [event] }
  const told = HEARD[entry.event]?.({ tally: seen, id, journey: journeyIn(seen, id), entry })
  return told === undefined ? { tally: seen, counted: [event] } : { ...told, counted: [event, ...told.counted] }
}

interface Hearing {
  readonly tally: Tally
  readonly id: string
  readonly journey: Journey
  readonly entry: HistoryEntry
}

const HEARD: Readonly<Record<string, (hearing: Hearing) => Tallied>> = {
  'release-begun': begun,
  ordered,
  'stage-converged': converged,
  'stage-passed': passed,
  'rollback-begun': recalled,
  ended,
}

const UNKNOWN: Journey = { build: '', publishedMs: null, begunMs: null, recalledMs: null, back: 'no', rings: {} }
const UNTOUCHED: Leg = { exposedMs: null, raisedMs: null, whole: false }

function journeyIn({ journeys }: Tally, id: string): Journey {
  return Object.hasOwn(journeys, id) ? (journeys[id] ?? UNKNOWN) : UNKNOWN
}

function withJourney({ tally, id }: Hearing, journey: Journey, counted: readonly Counted[] = []): Tallied {
  return { tally: { ...tally, journeys: { ...tally.journeys, [id]: journey } }, counted }
}

function withLeg(hearing: Hearing, ring: string, leg: Partial<Leg>, counted: readonly Counted[] = []): Tallied {
  const { journey } = hearing
  const rings = { ...journey.rings, [ring]: { ...UNTOUCHED, ...journey.rings[ring], ...leg } }
  return withJourney(hearing, { ...journey, rings }, counted)
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const momentOf = ({ entry }: Hearing): number => Date.parse(entry.at)

function begun(hearing: Hearing): Tallied {
  const { facts } = hearing.entry
  const back = facts.back === true ? 'release' : 'no'
  const fired = typeof facts.slot === 'string' ? [slot(hearing.tally, 'fired')] : []
  const published = Date.parse(text(facts.published))
  const publishedMs = Number.isNaN(published) ? null : published
  const begunMs = momentOf(hearing)
  return withJourney(hearing, { ...UNKNOWN, build: text(facts.build), publishedMs, begunMs, back }, fired)
}

function ordered(hearing: Hearing): Tallied {
  const { kind, ring, exposed } = hearing.entry.facts
  const leg = hearing.journey.rings[text(ring)] ?? UNTOUCHED
  const at = momentOf(hearing)
  const forward = (kind === 'stage' || kind === 'raise') && typeof exposed === 'number' && exposed > 0
  if (!forward) return withLeg(hearing, text(ring), {})
  return withLeg(hearing, text(ring), { exposedMs: leg.exposedMs ?? at, raisedMs: leg.raisedMs ?? at })
}

function converged(hearing: Hearing): Tallied {
  const { ring, share } = hearing.entry.facts
  const { leg, counted } = convergence(hearing, text(ring), share)
  return withLeg(hearing, text(ring), leg, counted)
}

/** A stage without a soak is passed, or ends the rollout, in the moment in which it is converged, and nothing else tells of that. */
function convergence(hearing: Hearing, ring: string, share: unknown): { leg: Leg; counted: readonly Counted[] } {
  const { journey } = hearing
  const leg = journey.rings[ring] ?? UNTOUCHED
  const at = momentOf(hearing)
  const counted: Counted[] = []
  // Once a stage: a stage that lost its convergence and found it again was converged before.
  if (leg.raisedMs !== null) {
    counted.push(observation(hearing, 'conductor_time_to_converge_seconds', { ring }, at - leg.raisedMs))
  }
  const whole = share === 100
  const fresh = journey.back === 'no' && !runsAlready(hearing.tally.rings[ring] ?? null, journey)
  if (fresh && whole && !leg.whole && leg.exposedMs !== null && journey.publishedMs !== null) {
    counted.push(observation(hearing, 'conductor_lead_time_seconds', { ring }, at - journey.publishedMs))
  }
  return { leg: { ...leg, raisedMs: null, whole: leg.whole || whole }, counted }
}

function passed(hearing: Hearing): Tallied {
  const { ring, share, seconds } = hearing.entry.facts
  const { leg, counted } = convergence(hearing, text(ring), share)
  return withLeg(hearing, text(ring), leg, [...counted, ...lasted(hearing, ring, seconds)])
}

function lasted(hearing: Hearing, ring: unknown, seconds: unknown): readonly Counted[] {
  if (typeof ring !== 'string' || typeof seconds !== 'number') return []
  return [observation(hearing, 'conductor_stage_seconds', { ring }, seconds * 1_000)]
}

function recalled(hearing: Hearing): Tallied {
  const { journey, entry } = hearing
  const build = text(entry.facts.build) || journey.build
  const back = journey === UNKNOWN ? 'reversal' : journey.back
  return withJourney(hearing, { ...journey, build, back, recalledMs: journey.recalledMs ?? momentOf(hearing) })
}

function ended(hearing: Hearing): Tallied {
  const { tally, id, journey, entry } = hearing
  const { phase, lastRing, lastShare, seconds } = entry.facts
  const outcome = ROLLOUT_PHASES.find((one) => one === phase)
  if (outcome === undefined) return { tally, counted: [] }
  const at = momentOf(hearing)
  const counted: Counted[] = [
    count(hearing, 'conductor_rollouts_total', { outcome }),
    ...lasted(hearing, lastRing, seconds),
  ]
  if (typeof lastRing === 'string') counted.push(...convergence(hearing, lastRing, lastShare).counted)
  if (journey.begunMs !== null) {
    counted.push(observation(hearing, 'conductor_rollout_seconds', { outcome }, at - journey.begunMs))
  }
  if (outcome === 'rolledBack' && journey.recalledMs !== null) {
    counted.push(observation(hearing, 'conductor_rollback_seconds', {}, at - journey.recalledMs))
  }
  const { [id]: _over, ...journeys } = tally.journeys
  let rings = tally.rings
  for (const [ring, leg] of Object.entries(journey.rings)) {
    const after = settle(hearing, ring, leg, outcome, rings[ring] ?? null)
    counted.push(...after.counted)
    if (after.standing !== null) rings = { ...rings, [ring]: after.standing }
  }
  return { tally: { ...tally, journeys, rings }, counted }
}

/** What the end of a rollout means for one of its rings. */
function settle(
  hearing: Hearing,
  ring: string,
  leg: Leg,
  outcome: string,
  stands: Standing | null,
): { readonly standing: Standing | null; readonly counted: readonly Counted[] } {
  const { journey } = hearing
  const at = momentOf(hearing)
  const restored = (sinceMs: number) =>
    observation(hearing, 'conductor_time_to_restore_seconds', { ring }, at - sinceMs)
  const revert = (sinceMs: number | null): readonly Counted[] => [
    count(hearing, 'conductor_reverted_deploys_total', { ring }),
    ...(sinceMs === null ? [] : [restored(sinceMs)]),
  ]
  if (journey.back === 'reversal') {
    if (outcome !== 'rolledBack') return { standing: stands, counted: [] }
    const known = stands !== null && stands.build === journey.build
    if (known && stands.reverted) return { standing: stands, counted: [] }
    const standing = known ? { ...stands, reverted: true } : stands
    return { standing, counted: revert(known ? stands.exposedMs : null) }
  }
  if (leg.exposedMs === null) return { standing: stands, counted: [] }
  const standing = { build: journey.build, exposedMs: leg.exposedMs, reverted: false }
  if (journey.back === 'release') {
    const left = stands !== null && !stands.reverted && stands.build !== journey.build
    if (outcome !== 'done') return { standing: stands, counted: [] }
    return { standing, counted: left ? revert(stands.exposedMs) : [] }
  }
  // The same build once more, in a plan that goes further or to start it again, is no other deploy.
  if (outcome === 'done' && runsAlready(stands, journey)) return { standing: stands, counted: [] }
  const deploy = count(hearing, 'conductor_deploys_total', { ring, outcome })
  if (outcome !== 'rolledBack') return { standing, counted: [deploy] }
  return { standing: stands, counted: [deploy, restored(leg.exposedMs)] }
}

function runsAlready(stands: Standing | null, { build }: Journey): boolean {
  return stands !== null && stands.build === build && !stands.reverted
}

function slot({ app }: Tally, code: SlotLabel): Counted {
  return { name: 'conductor_slots_total', labels: { app, ...slotLabels(code) }, value: 1 }
}

function count({ tally }: Hearing, name: HistoryMetric, labels: Counted['labels']): Counted {
  return { name, labels: { app: tally.app, ...labels }, value: 1 }
}

/** In seconds. Clocks of two conductors may differ: what would be less than nothing is nothing. */
function observation({ tally }: Hearing, name: HistoryMetric, labels: Counted['labels'], ms: number): Counted {
  return { name, labels: { app: tally.app, ...labels }, value: Math.max(0, ms / 1_000) }
}
