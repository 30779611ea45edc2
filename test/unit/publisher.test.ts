// Owns the proof of when a status is written: at once where a rollout waits, seldom elsewhere, again when it may have been lost.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '#adapters/runtime/logger.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { NodeStatus, Phase } from '#fleet/node-status.ts'
import type { Clock } from '#fleet/ports.ts'
import { openPublisher } from '#puller/shell/publisher.ts'
import { until } from '#test/support/until.ts'

/** A clock whose sleepers wake when the test moves it on. */
function heldClock() {
  let now = 0
  let sleepers: { at: number; wake: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    random: () => 0.5,
    sleep: (ms) => new Promise((wake) => sleepers.push({ at: now + ms, wake })),
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  const pass = async (ms: number): Promise<void> => {
    await settle()
    now += ms
    const due = sleepers.filter(({ at }) => at <= now)
    sleepers = sleepers.filter(({ at }) => at > now)
    for (const { wake } of due) wake()
    await settle()
  }
  return { clock, pass, settle }
}

function publishing(t: TestContext) {
  const { clock, pass, settle } = heldClock()
  let phase: Phase = 'idle'
  let failing = false
  const written: string[] = []
  const status = (): NodeStatus => ({
    app: 'web' as Name,
    ring: 'production' as Name,
    node: 'n1' as Name,
    phase,
    hot: null,
    cold: null,
    armed: false,
    generation: 1,
    rollout: null,
    attempt: 1,
    refusal: null,
    at: '',
    troubles: [],
    progress: null,
  })
  const publisher = openPublisher({
    sink: {
      publish: async (said) => {
        if (failing) throw new FleetError('CONSUL_UNREACHABLE', 'no answer')
        written.push(said.phase)
      },
      close: async () => {},
    },
    clock,
    log: silentLogger,
    status,
    gist: () => phase,
    urgent: () => phase === 'idle' || phase === 'staged' || phase === 'parked',
  })
  const stop = new AbortController()
  t.after(() => stop.abort())
  void publisher.run(stop.signal)
  const be = async (next: Phase): Promise<void> => {
    phase = next
    publisher.poke()
    await settle()
  }
  const fail = (on: boolean): void => {
    failing = on
  }
  return { publisher, written, be, pass, settle, fail }
}

test('phases that pass by are coalesced to one write in two seconds, and where a node comes to rest is told at once', async (t: TestContext) => {
  const { written, be, pass, settle } = publishing(t)
  await settle()
  assert.deepEqual(written, ['idle'], 'the first word is immediate')
  await be('fetching')
  await be('staged')
  assert.deepEqual(written, ['idle', 'staged'])
  for (const phase of ['draining', 'swapping', 'restarting', 'verifying'] as const) await be(phase)
  await pass(1_000)
  assert.deepEqual(written, ['idle', 'staged'])
  await pass(1_100)
  assert.deepEqual(written, ['idle', 'staged', 'verifying'])
  await be('idle')
  assert.deepEqual(written, ['idle', 'staged', 'verifying', 'idle'])
})

test('what passes within half a second is not written, what stays is', async (t: TestContext) => {
  const { written, be, pass } = publishing(t)
  await pass(10_000)
  await be('fetching')
  await pass(300)
  await be('idle')
  await pass(1_000)
  assert.deepEqual(written, ['idle'], 'it is as it was said')
  await be('fetching')
  await pass(600)
  assert.deepEqual(written, ['idle', 'fetching'])
})

test('A28: the status is said again within six minutes, and at once when Consul is back', async (t: TestContext) => {
  const { publisher, written, pass, settle } = publishing(t)
  await settle()
  await pass(3 * 60_000)
  assert.equal(written.length, 1)
  await pass(3 * 60_000)
  assert.equal(written.length, 2)
  publisher.poke(true)
  await settle()
  assert.equal(written.length, 3)
})

test('a status that could not be written is tried again, and the newest is what is written then', async (t: TestContext) => {
  const { publisher, written, be, pass, settle, fail } = publishing(t)
  await settle()
  fail(true)
  await be('staged')
  await be('parked')
  assert.equal(publisher.trouble()?.code, 'CONSUL_UNREACHABLE')
  fail(false)
  await until('it is written', async () => {
    await pass(1_000)
    return written.length > 1
  })
  assert.deepEqual(written, ['idle', 'parked'])
  assert.equal(publisher.trouble(), null)
})
