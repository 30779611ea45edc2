// Owns why a slot fired nothing: each code of the policy has a reason, a next step and something to type.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLOT_REASONS } from '#conductor/core/slot-reasons.ts'
import { whysOf } from '#conductor/core/why.ts'
import { slotWhy } from '#conductor/core/why-slot.ts'
import type { BuildId } from '#fleet/build.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { APP } from '#test/support/rollout-sim.ts'
import { done, pictured } from '#test/support/why-scenes.ts'

const record = (over: Partial<SlotRecord>): SlotRecord => ({
  ...{
    app: APP,
    slot: '2026-11-23T17:00:00Z',
    outcome: 'skipped',
    code: 'nothing-new',
    reason: 'nothing newer than b1 is published',
  },
  ...{
    build: 'b2' as BuildId,
    rollout: 'r-1',
    commander: 'ana',
    by: 'conduct',
    at: '2026-11-23T17:00:01Z',
    timezone: 'UTC',
    zoneTables: null,
  },
  ...over,
})

for (const [code, { title }] of Object.entries(SLOT_REASONS)) {
  test(`why: slot: ${code}: ${title}`, () => {
    const why = slotWhy(record({ code, reason: 'the fact of the case' }))
    assert.deepEqual([why.code, why.title, why.about], [code, title, '2026-11-23T17:00:00Z'])
    assert.match(
      why.evidence.join('; '),
      /the fact of the case; decided 2026-11-23T17:00:01Z by conduct; ana was to command/,
    )
    for (const text of [why.next, why.when, why.command]) assert.doesNotMatch(text, /[{}]|undefined|^$/)
    assert.match(why.command, /^conduct /)
    assert.equal(why.waits, code === 'too-many-changes')
  })
}

test('why: a slot of a later version is told by its own reason', () => {
  const why = slotWhy(record({ code: 'moon-phase', reason: 'the moon is full' }))
  assert.deepEqual([why.code, why.evidence[0]], ['moon-phase', 'the moon is full'])
})

test('why: the last slot is told where nothing is being rolled out, and where it began nothing', () => {
  assert.equal(whysOf(pictured(done), 0, record({})).slot?.code, 'nothing-new')
  assert.equal(whysOf(pictured(done), 0, record({ outcome: 'fired', code: 'fired' })).slot, null)
  assert.equal(whysOf(pictured({}), 0, record({})).slot, null, 'a rollout is open: that is what is told')
  assert.equal(whysOf(pictured(done), 0).slot, null)
})
