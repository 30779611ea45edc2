// Owns the policy at a slot: each reason for firing nothing, and what is fired when there is none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openingOf } from '#conductor/core/opening.ts'
import { NO_SIGNALS, plan } from '#conductor/core/plan.ts'
import { calendarStop, decideAuto, decideSlot, overtaken, type SlotFacts } from '#conductor/core/slot.ts'
import type { BuildId } from '#fleet/build.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { Slot } from '#schedule/calendar.ts'
import { slotsOn } from '#schedule/calendar.ts'
import { A, APP, B, C, RING, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { scheduled } from '#test/support/schedules.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const D = 'd-build' as BuildId
const TEXT = 'freezes: [{ from: 2026-12-21, to: 2026-12-24, reason: year end }]\nholidays: { country: US }\n'
const published = (build: BuildId, hour: number, over: Partial<CatalogEntry> = {}): CatalogEntry =>
  entryOf(build, { createdAt: `2026-11-23T0${hour}:00:00Z`, ...over })
const good = { good: { [RING]: '2026-11-23T04:00:00Z' } }
const quarantine = { by: 'conduct', reason: 'its gate failed', at: '2026-11-23T05:00:00Z' }

/** B is good and runs, C is newer. */
function facts(over: Partial<SlotFacts> = {}): SlotFacts {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  const view = sim.view().rings[RING]
  assert.ok(view !== undefined)
  const builds = [published(C, 3), published(B, 2, good), published(A, 1, good)]
  const route = { steps: [{ ring: RING }], slotMinutes: 40 }
  return { rings: [view], rollout: null, builds, line: [], goal: RING, takenBack: [], route, ...over }
}

/** The ring after somebody went back to a build by name. */
function backOn(build: BuildId): SlotFacts['rings'] {
  const sim = new Simulation({ nodes: 3, before: settledOn(build, B), hot: build, cold: B, build: C })
  return Object.values(sim.view().rings)
}

const open = (over: Partial<Rollout> = {}): Rollout => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  return { ...sim.rollout, ...over }
}

async function decided(
  over: Partial<SlotFacts> = {},
  more: { date?: string; lateMs?: number; text?: string; required?: string[] } = {},
) {
  const schedule = await scheduled(more.text ?? TEXT)
  const slot = slotsOn(schedule, more.date ?? '2026-11-23')[3] as Slot
  const wish = { ...WISH, build: null, required: more.required ?? [] }
  const decision = decideSlot(slot, schedule, wish, facts(over), slot.atMs + (more.lateMs ?? 0))
  if (decision.kind === 'fire') return `fire ${decision.start.beginning.build}`
  return decision.kind === 'wait' ? 'wait' : `${decision.code}: ${decision.reason}`
}

test('the newest build that is newer than the good one is fired', async () => {
  assert.equal(await decided(), `fire ${C}`)
  assert.equal(await decided({ builds: [published(D, 4), ...facts().builds] }), `fire ${D}`)
})

test('nothing new, or nothing at all: nothing is fired, with the fact', async () => {
  assert.equal(
    await decided({ builds: facts().builds.slice(1) }),
    `nothing-new: nothing newer than ${B} is published (production)`,
  )
  assert.equal(await decided({ builds: [] }), 'nothing-new: nothing is published yet')
})

test('builds that may not go are passed over by name, and the newest that may is taken', async () => {
  const builds = [published(D, 4, { quarantine }), ...facts().builds]
  assert.equal(await decided({ builds }), `fire ${C}`)
  const none = [
    published(D, 4, { quarantine }),
    published(C, 3, { checks: { ci: 'failed' } }),
    ...facts().builds.slice(1),
  ]
  assert.match(
    await decided({ builds: none }),
    /^none-eligible: d-build is under quarantine by conduct: its gate failed; c-build has not passed ci$/,
  )
  assert.match(await decided({}, { required: ['qa'] }), /^none-eligible: c-build has not passed qa$/)
  const passed = [published(C, 3, { checks: { qa: 'passed' } }), ...facts().builds.slice(1)]
  assert.equal(await decided({ builds: passed }, { required: ['qa'] }), `fire ${C}`)
})

test('what was taken back is not tried again by itself, nor is anything older than it', async () => {
  assert.match(await decided({ takenBack: [C] }), /^nothing-new/)
  const builds = [published(D, 4), ...facts().builds]
  assert.match(await decided({ builds, takenBack: [D] }), /^nothing-new/, 'C came before what was taken back')
  assert.equal(await decided({ builds, takenBack: [C] }), `fire ${D}`)
  const again = published(A, 1, { good: { [RING]: '2026-11-23T05:00:00Z' } })
  const back = { builds: [published(B, 2, good), again], rings: backOn(A) }
  assert.match(await decided(back), /^nothing-new/, 'B was good before A was again: rollback --to A stands')
})

test('more builds than go without a person wait for one', async () => {
  const text = 'maxChangesPerDeploy: 1\n'
  const builds = [published(D, 4), ...facts().builds]
  assert.match(
    await decided({ builds }, { text }),
    /^too-many-changes: d-build would bring 2 builds at once, and at most 1 go without a person$/,
  )
  assert.equal(await decided({}, { text }), `fire ${C}`)
})

test('G5: a rollout that is open, or being taken back, keeps a slot from firing; one to other rings is waited for', async () => {
  assert.match(await decided({ rollout: open() }), /^rollout-open: rollout .* of c-build is open \(staging\)$/)
  assert.match(await decided({ rollout: open({ phase: 'recalling' }) }), /^rollout-open/)
  const elsewhere = open({ fallbacks: { staging: null } })
  assert.equal(await decided({ rollout: elsewhere }), 'wait')
  assert.match(await decided({ rollout: elsewhere }, { lateMs: 600_000 }), /^rollout-open/)
  assert.equal(await decided({ rollout: open({ phase: 'done' }) }), `fire ${C}`)
})

test('a hold of the line keeps a slot from firing until it expires', async () => {
  const held = { ring: null, by: 'ben', reason: 'database upgrade', at: '2026-11-23T00:00:00Z', expires: null }
  assert.match(await decided({ line: [held] }), /^line-held: .*ben.*database upgrade/)
  assert.match(await decided({ line: [{ ...held, ring: RING }] }), /^line-held/)
  assert.equal(await decided({ line: [{ ...held, expires: '2026-11-23T10:00:00Z' }] }), `fire ${C}`)
})

test('G6: holidays and freezes keep a slot from firing, whatever there is to release', async () => {
  assert.match(await decided({}, { date: '2026-11-26' }), /^holiday: 2026-11-26 is Thanksgiving Day$/)
  assert.match(await decided({}, { date: '2026-12-22' }), /^freeze: .*year end$/)
})

test('G4: a slot that was missed fires within its grace, and not after; the calendar is asked for the time at which it fires', async () => {
  assert.equal(await decided({}, { lateMs: 600_000 }), `fire ${C}`)
  assert.match(
    await decided({}, { lateMs: 601_000 }),
    /^missed: nobody was there to fire it until 601 s later, and 600 s are its grace$/,
  )
  assert.match(await decided({}, { text: 'graceSeconds: 0\n', lateMs: 1_000 }), /^missed/)
  const dark = 'blackouts: [{ from: "11:03", to: "11:10", reason: standup }]\n'
  assert.equal(await decided({}, { text: dark }), `fire ${C}`, 'at 11:00')
  assert.match(await decided({}, { text: dark, lateMs: 300_000 }), /^blackout: .*standup/)
})

test('G4: of several that were missed only the last may fire: the others say so, or what had closed them anyway', async () => {
  const schedule = await scheduled(TEXT)
  const [first, second] = slotsOn(schedule, '2026-11-23') as [Slot, Slot]
  assert.deepEqual(
    [overtaken(first, second).code, overtaken(first, second).reason],
    ['missed', 'nobody was there to fire it before the next slot (2026-11-23T09:40:00Z) was due'],
  )
  const [closed, other] = slotsOn(schedule, '2026-11-26') as [Slot, Slot]
  assert.equal(overtaken(closed, other).code, 'holiday')
  assert.equal(calendarStop(closed, schedule, closed.atMs + 9_999_999)?.code, 'holiday')
})

test('what refuses a release by hand refuses a slot', async () => {
  const [view] = facts().rings
  assert.ok(view !== undefined)
  assert.match(await decided({ rings: [{ ...view, nodes: [] }] }), /^refused: no node of production has ever reported/)
  const route = { steps: [{ ring: RING, soakSeconds: 9_999 }], slotMinutes: 40 }
  const schedule = await scheduled(TEXT)
  const slot = slotsOn(schedule, '2026-11-23')[0] as Slot
  const wish = { ...WISH, build: null, stages: [{ ring: RING, share: 100, soakSeconds: 9_999 }] }
  const decision = decideSlot(slot, schedule, wish, facts({ route }), slot.atMs)
  assert.ok(decision.kind === 'skip' && decision.code === 'refused')
  assert.match(decision.reason, /a slot has 40 min/)
})

test('a ring that takes every build gets the newest one, past the checks that it has yet to earn, and no calendar is asked', () => {
  const wish = { ...WISH, build: null, required: ['ci', 'qa'] }
  const builds = [published(C, 3, { checks: { ci: 'passed' } }), ...facts().builds.slice(1)]
  const start = decideAuto(wish, facts({ builds }), 0)?.start.beginning
  assert.deepEqual([start?.build, start?.forced], [C, ['qa', 'windows']])
  assert.equal(decideAuto(wish, facts({ builds: facts().builds.slice(1) }), 0), null)
  assert.equal(decideAuto(wish, facts({ takenBack: [C] }), 0), null)
  assert.equal(decideAuto(wish, facts({ rollout: open() }), 0), null)
  assert.equal(
    decideAuto(wish, facts({ builds: [published(C, 3, { quarantine }), ...facts().builds.slice(1)] }), 0),
    null,
  )
  const held = { ring: null, by: 'ben', reason: 'x', at: '', expires: null }
  assert.equal(decideAuto(wish, facts({ line: [held] }), 0), null)
})

test('a rollout stands outside of deploy hours and says when it goes on; one that went past windows, one that goes back, and one to free rings do not', async () => {
  const schedule = await scheduled('timezone: America/Los_Angeles\nholidays: { country: US }\n')
  const night = Date.parse('2026-11-26T03:00:00Z')
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  const opening = openingOf(schedule, [])
  const codes = (rollout: Rollout, nowMs = night) =>
    plan(rollout, sim.view(), NO_SIGNALS, opening(rollout, nowMs), nowMs).because.map(
      ({ code, message }) => `${code}: ${message}`,
    )
  assert.deepEqual(codes(sim.rollout), [
    'closed: it is 19:00 and deploy hours are 09:00 to 17:00 America/Los_Angeles; it goes on 2026-11-27 09:00',
  ])
  assert.deepEqual(codes(sim.rollout, Date.parse('2026-11-25T20:00:00Z')), [])
  assert.deepEqual(codes({ ...sim.rollout, forced: ['windows'] }), [])
  assert.equal(opening({ ...sim.rollout, back: true }, night).open, true)
  assert.equal(openingOf(schedule, [RING])(sim.rollout, night).open, true)
  assert.equal(openingOf(null, [])(sim.rollout, night).open, true)
  assert.equal(APP, sim.rollout.app)
})
