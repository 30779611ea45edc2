// Owns the proof of what a puller says of itself in figures: time by phase, moves by where they led, requests to the store.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measuredStore, type StoreReport } from '#adapters/measured-store.ts'
import { memoryStore } from '#adapters/memory/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { NodeStatus, Phase } from '#fleet/node-status.ts'
import { createMetrics } from '#puller/metrics.ts'
import { A, B, C, RING, SimNode, settledOn } from '#test/support/rollout-sim.ts'
import { samplesIn, valueIn } from '#test/support/scrape.ts'

const NEVER = new AbortController().signal

/** A puller's metrics, told of phases with what is hot and what ran before it; each lasts a second. */
async function told(...said: readonly [Phase, hot: string | null, previous: string | null][]) {
  let now = 50_000
  const metrics = createMetrics({ now: () => now, monotonic: () => now })
  const status = new SimNode(RING, settledOn(B, A), B, A).status()
  for (const [phase, hot, previous] of said) {
    metrics.status({ ...status, phase, hot: hot as NodeStatus['hot'] }, previous)
    now += 1_000
  }
  const samples = samplesIn(await metrics.render())
  return (name: string, labels: Readonly<Record<string, string>> = {}) => valueIn(samples, name, labels)
}

const forward: readonly [Phase, string | null, string | null][] = [
  ['staged', B, A],
  ['draining', B, A],
  ['swapping', B, A],
  ['restarting', C, B],
  ['verifying', C, B],
  ['idle', C, B],
]

test('a move is measured from draining until the node is at rest, and forward is not back', async () => {
  const value = await told(...forward)
  assert.equal(value('puller_move_seconds_sum', { outcome: 'forward' }), 4)
  assert.equal(value('puller_move_seconds_count', { outcome: 'back' }), 0, 'there from the beginning')
  assert.equal(value('puller_phase_seconds_total', { phase: 'draining' }), 1)
  assert.equal(value('puller_phase_seconds_total', { phase: 'parked' }), 0)
  assert.equal(value('puller_start_time_seconds'), 50)
  assert.ok((value('puller_resident_memory_bytes') ?? 0) > 10_000_000)
})

test('back to the build that ran before is a rollback; by itself because the build failed is a revert', async () => {
  const back = await told(...forward, ['draining', C, B], ['swapping', C, B], ['verifying', B, null], ['idle', B, null])
  assert.equal(back('puller_move_seconds_sum', { outcome: 'forward' }), 4)
  assert.equal(back('puller_move_seconds_sum', { outcome: 'back' }), 3)
  const reverted = await told(...forward.slice(0, -1), ['reverting', B, A], ['idle', B, A])
  assert.equal(reverted('puller_move_seconds_sum', { outcome: 'reverted' }), 5)
  assert.equal(reverted('puller_move_seconds_count', { outcome: 'forward' }), 0)
})

test('a drain that is called off, and one that ends parked, are told apart', async () => {
  const stayed = await told(['staged', B, A], ['draining', B, A], ['staged', B, A])
  assert.equal(stayed('puller_move_seconds_sum', { outcome: 'stayed' }), 1)
  const parked = await told(
    ['staged', null, null],
    ['swapping', null, null],
    ['verifying', C, null],
    ['parked', C, null],
  )
  assert.equal(parked('puller_move_seconds_sum', { outcome: 'parked' }), 2)
})

test('whatever is asked of a store is reported once, by how it ended', async () => {
  const reports: StoreReport[] = []
  const plain = memoryStore()
  const store = measuredStore(plain, systemClock, (report) => void reports.push(report))
  const body = async function* () {
    yield new Uint8Array(600_000)
  }
  const read = async (name: string, atMost: number, signal = NEVER) => {
    let bytes = 0
    for await (const piece of store.read(name, {}, signal)) {
      bytes += piece.byteLength
      if (bytes >= atMost) break
    }
    return bytes
  }
  assert.equal(await store.create('x', body(), NEVER), 'created')
  assert.deepEqual(await store.find('x', NEVER), await plain.find('x', NEVER))
  assert.equal(await read('x', Infinity), 600_000)
  assert.equal(await read('x', 1), 262_144)
  await assert.rejects(read('y', 1), (error) => isFleetError(error, 'STORE_MISSING'))
  await assert.rejects(read('x', 1, AbortSignal.abort(new Error('enough'))), /enough/)
  for await (const name of store.list('x', NEVER)) assert.equal(name, 'x')
  await store.remove('x', NEVER)
  assert.deepEqual(
    reports.map(({ kind, outcome }) => `${kind} ${outcome}`),
    [
      'create ok',
      'find ok',
      'read ok',
      'read cancelled',
      'read STORE_MISSING',
      'read cancelled',
      'list ok',
      'remove ok',
    ],
  )
  assert.ok(reports.every(({ ms }) => ms >= 0))
})
