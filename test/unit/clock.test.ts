// Owns the proof of what the machine's clock promises of a sleep: it ends, it can be cut short with the signal's own reason, it leaves nothing behind.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'

test('a sleep is not over before its time', async () => {
  const beganMs = systemClock.monotonic()
  await systemClock.sleep(15)
  assert.ok(systemClock.monotonic() - beganMs >= 15)
})

test('a sleep that is cut short rejects with the very reason of its signal, before it began or while it lasts', async () => {
  const reason = new Error('not wanted any more')
  await assert.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), (error) => error === reason)
  const stop = new AbortController()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort(reason)
  await assert.rejects(sleeping, (error) => error === reason)
})

test('no time is no sleep, even where the signal has fired: the caller looks at it himself', async () => {
  await systemClock.sleep(0, AbortSignal.abort(new Error('fired')))
})

test('a sleep that is over listens to its signal no more: a signal lives as long as the node, and sleeps are many', async () => {
  const { signal } = new AbortController()
  for (let sleep = 0; sleep < 5; sleep += 1) await systemClock.sleep(1, signal)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})
