// Owns the proof of what holds a node back at the last moment: its wave of a bare order, the flap guard, a pin.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Clock, Pin, Pins } from '#fleet/ports.ts'
import { ALL } from '#fleet/target.ts'
import type { NodeState } from '#puller/core/state.ts'
import { openTurns } from '#puller/shell/turn.ts'
import { bare, held, order, resting } from '#test/support/walk-worlds.ts'

const signal = new AbortController().signal

/** A clock that a sleep moves on. */
function steppedClock(): Clock & { slept: number } {
  let now = 1_000
  const clock = {
    slept: 0,
    now: () => now,
    monotonic: () => now,
    random: () => 0.5,
    sleep: async (ms: number) => {
      now += ms
      clock.slept += ms
    },
  }
  return clock
}

function turns(clock: Clock, pins: Pins, more = {}) {
  const options = { bareWaveSeconds: 10, minSecondsBetweenBareSwaps: 0, ...more }
  return openTurns(options, { pins, clock, log: silentLogger })
}
const free: Pins = { read: async () => null }

/** On A, asked for C by a bare id, at a place of the circle. */
function asked(place: number, more: Partial<NodeState> = {}): NodeState {
  const state = resting(order(1, 'A', null, ALL), 'A', 'C')
  return { ...state, previous: null, order: { ...bare(9, 'C'), place }, ...more }
}

test('a bare order is taken in three waves by place, a first install and a record in none', async () => {
  for (const [place, seconds] of [
    [0, 0],
    [1_500_000_000, 10],
    [4_294_967_295, 20],
  ] as const) {
    const clock = steppedClock()
    assert.equal(await turns(clock, free).ask(asked(place), signal), null)
    assert.equal(clock.slept, seconds * 1_000, `place ${place}`)
  }
  const clock = steppedClock()
  await turns(clock, free).ask(asked(4_294_967_295, { hot: null }), signal)
  await turns(clock, free).ask(
    { ...asked(4_294_967_295), order: { ...order(9, 'C', 'A', ALL), place: 4_294_967_295 } },
    signal,
  )
  assert.equal(clock.slept, 0)
})

test('a wave is counted from when the order was met: asked again, a node does not start to wait anew', async () => {
  const clock = steppedClock()
  const open = turns(clock, free)
  await open.ask(asked(1_500_000_000), signal)
  await open.ask(asked(1_500_000_000), signal)
  assert.equal(clock.slept, 10_000)
})

test('F3: the flap guard holds bare orders apart, never a way back and never a record', async () => {
  const clock = steppedClock()
  const open = turns(clock, free, { bareWaveSeconds: 0, minSecondsBetweenBareSwaps: 300 })
  await open.ask(asked(0), signal)
  open.swapped(asked(0))
  await open.ask({ ...asked(0), order: bare(10, 'B') }, signal)
  assert.equal(clock.slept, 300_000)
  open.swapped(asked(0))
  await open.ask({ ...asked(0), order: bare(11, 'B'), previous: held('B') }, signal)
  await open.ask({ ...asked(0), order: order(12, 'B', 'A', ALL) }, signal)
  assert.equal(clock.slept, 300_000)
})

test('a pin holds with its words; when Consul does not answer, what was known before counts', async () => {
  const pin: Pin = { by: 'ana', reason: 'a core dump', expires: '2026-11-22T18:00:00Z' }
  let away = false
  const pins: Pins = {
    read: async () => {
      if (away) throw new FleetError('CONSUL_UNREACHABLE', 'no answer')
      return pin
    },
  }
  const open = turns(steppedClock(), pins)
  const record = { ...asked(0), order: order(9, 'C', 'A', ALL) }
  assert.equal(await open.ask(record, signal), 'pinned by ana until 2026-11-22T18:00:00Z: a core dump; keeping A')
  away = true
  assert.match((await open.ask(record, signal)) ?? '', /^pinned by ana/)
  const never = turns(steppedClock(), { read: () => Promise.reject(new FleetError('CONSUL_UNREACHABLE', 'no answer')) })
  assert.equal(await never.ask(record, signal), null, 'a rollback does not hang on Consul')
})
