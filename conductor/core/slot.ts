// Owns the policy at a slot: the build that it fires, or the one reason for which it fires nothing.

import type { BuildId, Name } from '#fleet/build.ts'
import { holdsOn } from '#fleet/hold.ts'
import type { CatalogEntry, HistoryEntry } from '#fleet/ports.ts'
import { closureAt, type Slot } from '#schedule/calendar.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { type ReleaseFacts, type ReleaseStart, type ReleaseWish, startRelease } from './beginning.ts'
import { goodAt } from './good.ts'
import { describeHolds } from './ownership.ts'
import { isOver } from './reduce.ts'
import { type Route, unfitRoute } from './route.ts'
import type { SlotCode } from './slot-reasons.ts'

/** What a slot is decided on. */
export interface SlotFacts extends ReleaseFacts {
  /** The last ring of the plan: what is good there is what newer builds are measured by. */
  readonly goal: Name
  /** Builds whose rollout to that ring was rolled back or aborted, as the history tells. */
  readonly takenBack: readonly string[]
  readonly route: Route
}

/** `wait`: something short stands in its way, and its grace is not over. */
export type SlotDecision =
  | { readonly kind: 'fire'; readonly start: Extract<ReleaseStart, { kind: 'begin' }> }
  | SlotSkip
  | { readonly kind: 'wait' }

export interface SlotSkip {
  readonly kind: 'skip'
  readonly code: SlotCode
  readonly reason: string
  /** What it would have released. */
  readonly build: BuildId | null
  /** The rollout that stands in its way. */
  readonly rollout: string | null
}

export function skip(
  code: SlotCode,
  reason: string,
  more: Partial<Pick<SlotSkip, 'build' | 'rollout'>> = {},
): SlotSkip {
  return { kind: 'skip', code, reason, build: null, rollout: null, ...more }
}

/**
 * Pure. The calendar is asked for the time at which it fires, not for the one at which it was planned.
 * @param wish its build is left to the slot
 */
export function decideSlot(
  slot: Slot,
  schedule: Schedule,
  wish: ReleaseWish,
  facts: SlotFacts,
  nowMs: number,
): SlotDecision {
  const stop = calendarStop(slot, schedule, nowMs)
  if (stop !== null) return stop
  const open = facts.rollout !== null && !isOver(facts.rollout) ? facts.rollout : null
  if (open !== null) {
    // One to other rings, like an automatic one to staging, is soon over.
    if (!Object.hasOwn(open.fallbacks, facts.goal) && lateMs(slot, nowMs) < schedule.graceSeconds * 1_000)
      return { kind: 'wait' }
    const reason = `rollout ${open.id} of ${open.build} is open (${open.phase})`
    return skip('rollout-open', reason, { build: open.build, rollout: open.id })
  }
  const holds = facts.rings.flatMap(({ ring }) => holdsOn(facts.line ?? [], ring, nowMs))
  if (holds.length > 0) return skip('line-held', describeHolds([...new Set(holds)]))
  const chosen = chooseNewest(facts, wish.required ?? [])
  if ('kind' in chosen) return chosen
  const { maxChangesPerDeploy: most } = schedule
  if (most !== null && chosen.changes > most) {
    const reason = `${chosen.entry.build} would bring ${chosen.changes} builds at once, and at most ${most} go without a person`
    return skip('too-many-changes', reason, { build: chosen.entry.build })
  }
  return begin({ ...wish, build: chosen.entry.build, at: new Date(nowMs).toISOString() }, facts)
}

/** Closed or missed, whatever there were to release. */
export function calendarStop(slot: Slot, schedule: Schedule, nowMs: number): SlotSkip | null {
  if (slot.closed !== null) return closedBy(slot.closed)
  const late = lateMs(slot, nowMs)
  if (late > schedule.graceSeconds * 1_000) {
    const reason = `nobody was there to fire it until ${Math.round(late / 1_000)} s later, and ${schedule.graceSeconds} s are its grace`
    return skip('missed', reason)
  }
  const closure = late === 0 ? null : closureAt(schedule, nowMs)
  return closure === null ? null : closedBy(closure)
}

/** Of several that were missed only the last may still fire. */
export function overtaken(slot: Slot, next: Slot): SlotSkip {
  if (slot.closed !== null) return closedBy(slot.closed)
  return skip('missed', `nobody was there to fire it before the next slot (${next.at}) was due`)
}

const lateMs = (slot: Slot, nowMs: number): number => Math.max(0, nowMs - slot.atMs)

const closedBy = ({ code, message }: NonNullable<Slot['closed']>): SlotSkip => skip(code, message)

/** The newest build that may go and is newer than what is good, ordered or was taken back; and how many builds come with it. */
function chooseNewest(
  facts: SlotFacts,
  required: readonly string[],
): { entry: CatalogEntry; changes: number } | SlotSkip {
  const newer = newerThanGood(facts)
  if (newer.length === 0) return skip('nothing-new', nothingNew(facts))
  const at = newer.findIndex((entry) => lacks(entry, required) === null)
  const entry = newer[at]
  if (entry !== undefined) return { entry, changes: newer.length - at }
  const [newest] = newer
  const why = newer.slice(0, 3).map((one) => lacks(one, required) ?? '')
  const more = newer.length > why.length ? `; and ${newer.length - why.length} more` : ''
  return skip('none-eligible', `${why.join('; ')}${more}`, { build: newest?.build ?? null })
}

/** Newest first. What was taken back is not tried again by itself, nor is anything older than it. */
export function newerThanGood({
  builds,
  rings,
  goal,
  takenBack,
}: Pick<SlotFacts, 'builds' | 'rings' | 'goal' | 'takenBack'>): readonly CatalogEntry[] {
  const standing = rings.find(({ ring }) => ring === goal)?.standing
  const ordered = standing?.kind === 'record' ? standing.target.build : null
  const known = builds.findIndex(
    (entry) => goodAt(entry, goal) !== null || entry.build === ordered || takenBack.includes(entry.build),
  )
  return known < 0 ? builds : builds.slice(0, known)
}

function nothingNew({ builds, goal }: SlotFacts): string {
  const [newest] = builds
  return newest === undefined ? 'nothing is published yet' : `nothing newer than ${newest.build} is published (${goal})`
}

/** What keeps a build from being taken, or null. */
function lacks({ build, quarantine, checks }: CatalogEntry, required: readonly string[]): string | null {
  if (quarantine !== null) return `${build} is under quarantine by ${quarantine.by}: ${quarantine.reason}`
  const missing = required.filter((name) => checks[name] !== 'passed')
  const failed = Object.keys(checks).filter((name) => checks[name] === 'failed' && !missing.includes(name))
  const odd = [...missing, ...failed]
  return odd.length === 0 ? null : `${build} has not passed ${odd.join(', ')}`
}

function begin(wish: ReleaseWish, facts: SlotFacts): SlotDecision {
  const { build } = wish
  const start = startRelease(wish, facts)
  if (start.kind === 'refuse') return skip('refused', start.message, { build })
  if (start.kind !== 'begin') return skip('nothing-new', `${build} is there already`, { build })
  const unfit = unfitRoute(start.beginning.stages, facts.route)
  return unfit === null ? { kind: 'fire', start } : skip('refused', unfit, { build })
}

/**
 * Whether a build goes to a ring that takes every build when it is published; null: there is nothing to do now. No calendar is asked, and
 * checks that it has yet to earn there do not stop it; holds, quarantine and open rollouts do.
 */
export function decideAuto(
  wish: ReleaseWish,
  facts: SlotFacts,
  nowMs: number,
): Extract<SlotDecision, { kind: 'fire' }> | null {
  if (facts.rollout !== null && !isOver(facts.rollout)) return null
  if (holdsOn(facts.line ?? [], facts.goal, nowMs).length > 0) return null
  const entry = newerThanGood(facts).find(({ quarantine }) => quarantine === null)
  if (entry === undefined) return null
  const past = (wish.required ?? []).filter((name) => entry.checks[name] !== 'passed')
  const decision = begin(
    { ...wish, build: entry.build, at: new Date(nowMs).toISOString(), force: [...past, 'windows'] },
    facts,
  )
  return decision.kind === 'fire' ? decision : null
}

/** Builds that were on their way to a ring and were taken back or stopped. @param history newest first */
export function takenBackFrom(history: readonly HistoryEntry[], goal: Name): readonly string[] {
  const elsewhere = new Set(
    history.flatMap(({ event, facts }) => {
      const rings = typeof facts.rings === 'string' ? facts.rings.split(', ') : [goal]
      return event === 'release-begun' && !rings.includes(goal) ? [facts.rollout] : []
    }),
  )
  return history.flatMap(({ event, facts }) => {
    const back = event === 'rollback-begun' || (event === 'ended' && facts.phase === 'aborted')
    return back && typeof facts.build === 'string' && !elsewhere.has(facts.rollout) ? [facts.build] : []
  })
}
