// Owns the proof that downloads which share a slow line are not each held to the rate that is expected of the line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { isFleetError } from '#fleet/errors.ts'
import type { BuildStore, Clock } from '#fleet/ports.ts'
import { Downloads } from '#puller/shell/fetch.ts'
import { recordedLog } from '#test/support/recorded-log.ts'

/** Time that passes only by `pass`: whoever sleeps wakes when it is due. */
function steppedTime() {
  let nowMs = 0
  const sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>()
  const sleep: Clock['sleep'] = (ms, signal) =>
    new Promise((resolve, reject) => {
      const sleeper = { dueMs: nowMs + ms, wake: resolve }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        sleepers.delete(sleeper)
        reject(signal.reason)
      })
    })
  const pass = (ms: number) => {
    nowMs += ms
    for (const sleeper of [...sleepers]) {
      if (sleeper.dueMs > nowMs) continue
      sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
  return { clock: { now: () => nowMs, monotonic: () => nowMs, random: () => 0, sleep } satisfies Clock, pass }
}

/** So many downloads at once, of 2,000 bytes each: each body gives 100 bytes every 100 ms. */
async function all(count: number): Promise<PromiseSettledResult<readonly number[]>> {
  const { clock, pass } = steppedTime()
  const store = {
    async *read() {
      for (let part = 0; part < 20; part += 1) {
        await clock.sleep(100)
        yield new Uint8Array(100)
      }
    },
  } as unknown as BuildStore
  const options = { maxBytesPerSecond: null, minBytesPerSecond: 2_000, stallSeconds: 0.5 }
  const downloads = new Downloads({ store, clock, log: recordedLog().log }, options)
  const one = async () => {
    let bytes = 0
    const stream = downloads.stream('artifact', { start: 0, end: 2_000 }, '1', new AbortController().signal)
    for await (const part of stream) bytes += part.byteLength
    return bytes
  }
  let ended = false
  const outcome = Promise.allSettled([Promise.all(Array.from({ length: count }, one))])
  outcome.finally(() => {
    ended = true
  })
  for (let step = 0; !ended; step += 1) {
    assert.ok(step < 10_000, 'it ends')
    await turn()
    pass(20)
  }
  return (await outcome)[0]
}

test('four downloads at once may each have a part of the least rate; one alone has stalled with it', async () => {
  const [many, alone] = [await all(4), await all(1)]
  assert.ok(alone.status === 'rejected' && isFleetError(alone.reason, 'STORE_STALLED'))
  assert.deepEqual(many.status === 'fulfilled' ? many.value : many.reason, [2_000, 2_000, 2_000, 2_000])
})
