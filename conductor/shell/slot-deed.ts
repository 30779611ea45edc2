// Owns one slot's decision and its transaction: looks, asks the policy and the pre-flight, and writes what came of it.
import { obstacles } from '#conductor/core/preflight.ts'
import { prestageOf, stagesOf } from '#conductor/core/route.ts'
import {
  decideAuto,
  decideSlot,
  overtaken,
  type SlotDecision,
  type SlotFacts,
  type SlotSkip,
  skip,
} from '#conductor/core/slot.ts'
import type { Name } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { writeSlot } from '#fleet/wire.ts'
import { localText, type Slot } from '#schedule/calendar.ts'
import { commanderFor } from '#schedule/rota.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { beginDeed } from './begin.ts'
import { execute } from './execute.ts'
import { type Observation, observe, ringOf } from './observe.ts'
import { examine } from './preflight.ts'
import type { SlotWorld } from './slots.ts'
import { takenBackOf } from './taken-back.ts'

const ATTEMPTS = 8

/** Decides one slot and writes it. Decided by somebody else meanwhile is fine. @param next a later one that is due too */
export async function settle(
  world: SlotWorld,
  schedule: Schedule,
  slot: Slot,
  next: Slot | null,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const observed = await observe(world, world, signal)
    const decision = next === null ? await decide(world, schedule, slot, observed, signal) : overtaken(slot, next)
    if (decision.kind === 'wait') return
    try {
      return await write(world, schedule, slot, observed, decision, signal)
    } catch (error) {
      if (!isFleetError(error, 'WRITE_CONFLICT')) throw error
      if ((await world.ledger.peek({ kind: 'slot', slot: slot.at }, signal)).raw !== null) return
      if (attempt >= ATTEMPTS) throw error
      await world.clock.sleep(20 + 80 * world.clock.random(), signal)
    }
  }
}

async function decide(
  world: SlotWorld,
  schedule: Schedule,
  slot: Slot,
  observed: Observation,
  signal: AbortSignal,
): Promise<SlotDecision> {
  const { rings, by, clock } = world
  const goal = rings.at(-1)
  if (goal === undefined) return skip('refused', 'the plan names no ring')
  const builds = await world.catalog.list(signal)
  const known = factsOf(world, observed, builds, rings, goal)
  const facts = { ...known, takenBack: await takenBackOf(world.ledger, known, signal) }
  const reason = `slot ${localText(schedule, slot.atMs)} ${schedule.timezone}`
  const wish = wishOf(world, rings, commanderFor(schedule, slot) ?? by, reason)
  const decision = decideSlot(slot, schedule, wish, facts, clock.now())
  return decision.kind === 'fire' ? await checked(world, decision, observed, builds, signal) : decision
}

function wishOf({ app, route, evidence, newId }: SlotWorld, rings: readonly Name[], by: string, reason: string) {
  const way = { stages: stagesOf(route, rings), prestage: prestageOf(route, rings) }
  const plain = { build: null, adopt: false, restart: false, retry: false, at: '' }
  const { required, afterRollout } = evidence
  return { app, by, reason, id: newId(), ...plain, ...way, required, afterRollout: afterRollout !== null }
}

function factsOf(
  { route }: SlotWorld,
  observed: Observation,
  builds: readonly CatalogEntry[],
  rings: readonly Name[],
  goal: Name,
): SlotFacts {
  const views = rings.map((ring) => ringOf(observed, ring))
  const line = observed.fleet.line ?? []
  return { rings: views, rollout: observed.rollout, builds, line, goal, takenBack: [], route }
}

/** The pre-flight of a release by hand; what stands in its way there stands in the way of a slot. */
async function checked(
  world: SlotWorld,
  decision: Extract<SlotDecision, { kind: 'fire' }>,
  observed: Observation,
  builds: readonly CatalogEntry[],
  signal: AbortSignal,
): Promise<Extract<SlotDecision, { kind: 'fire' | 'skip' }>> {
  const { build, fallbacks, stages, forced = [] } = decision.start.beginning
  const entry = builds.find((known) => known.build === build)
  if (entry === undefined) return skip('refused', `${build} is not in the catalog`, { build })
  const rings = [...new Set(stages.map(({ ring }) => ring))].map((ring) => ringOf(observed, ring))
  const { required, checkout } = world.evidence
  const asked = { entry, fallbacks, rings, builds, required, checkout, store: await world.store() }
  const found = obstacles(await examine(asked, signal), forced)
  return found.length === 0 ? decision : skip('preflight', found.map(({ message }) => message).join('; '), { build })
}

async function write(
  world: SlotWorld,
  schedule: Schedule,
  slot: Slot,
  observed: Observation,
  decision: SlotSkip | Extract<SlotDecision, { kind: 'fire' }>,
  signal: AbortSignal,
): Promise<void> {
  const { by, clock, ledger, lease } = world
  const record = recordOf(world, schedule, slot, decision)
  const aside = [{ key: { kind: 'slot', slot: slot.at } as const, raw: writeSlot(record), index: 0 }]
  if (decision.kind === 'fire') {
    const { commander } = record
    const deed = beginDeed(decision.start, by, { slot: slot.at, ...(commander !== null && { commander }) })
    const rollout = await execute({ ledger, lease }, observed.ledger, { ...deed, aside }, signal)
    return world.onDecided({ record, rollout })
  }
  const { code, reason, build } = decision
  const facts = { slot: slot.at, code, reason, ...(build !== null && { build }) }
  const told = [{ at: new Date(clock.now()).toISOString(), by, event: 'slot-skipped', facts }]
  // Orders that others write meanwhile do not matter to what begins nothing.
  const seen = { ...observed.ledger, targets: {} }
  await execute({ ledger, lease }, seen, { rollout: null, events: [], told, answered: [], aside }, signal)
  world.onDecided({ record, rollout: null })
}

/** A record has room for a few sentences. */
const MAX_REASON = 1_000

function recordOf(
  { app, by, clock, zoneTables }: SlotWorld,
  schedule: Schedule,
  slot: Slot,
  decision: SlotSkip | Extract<SlotDecision, { kind: 'fire' }>,
): SlotRecord {
  const { timezone } = schedule
  const at = new Date(clock.now()).toISOString()
  const own = { app, slot: slot.at, commander: commanderFor(schedule, slot), by, at, timezone, zoneTables }
  if (decision.kind === 'fire') {
    const { build, id: rollout, reason } = decision.start.beginning
    return { ...own, outcome: 'fired', code: 'fired', reason, build, rollout }
  }
  const { code, build, rollout } = decision
  return { ...own, outcome: 'skipped', code, reason: decision.reason.slice(0, MAX_REASON), build, rollout }
}

/** A ring that takes every build when it is published. The rollout's own record fences it: there is one of an app at a time. */
export async function releaseAuto(world: SlotWorld, ring: Name, signal: AbortSignal): Promise<void> {
  const { by, clock, ledger, lease } = world
  const observed = await observe(world, { ...world, rings: [ring] }, signal)
  const builds = await world.catalog.list(signal)
  const wish = wishOf(world, [ring], by, `published: ${ring} takes every build`)
  const facts = factsOf(world, observed, builds, [ring], ring)
  if (decideAuto(wish, facts, clock.now()) === null) return
  const takenBack = await takenBackOf(ledger, facts, signal)
  const decision = decideAuto(wish, { ...facts, takenBack }, clock.now())
  if (decision === null) return
  const settled = await checked(world, decision, observed, builds, signal)
  if (settled.kind === 'skip') return
  const rollout = await execute(
    { ledger, lease },
    observed.ledger,
    beginDeed(settled.start, by, { auto: true }),
    signal,
  )
  world.onDecided({ record: null, rollout })
}
