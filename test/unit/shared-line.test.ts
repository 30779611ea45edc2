// Owns the proof that downloads which share a slow line are not each held to the rate that is expected of the line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '#adapters/runtime/clock.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { Downloads } from '#puller/shell/fetch.ts'
import { recordedLog } from '#test/support/recorded-log.ts'

/** Each body gives 100 bytes every 100 ms, 2 s long. */
const store = {
  async *read() {
    for (let part = 0; part < 20; part += 1) {
      await sleep(100)
      yield new Uint8Array(100)
    }
  },
} as unknown as BuildStore

const all = async (count: number) => {
  const options = { maxBytesPerSecond: null, minBytesPerSecond: 2_000, stallSeconds: 0.5 }
  const downloads = new Downloads({ store, clock: systemClock, log: recordedLog().log }, options)
  const one = async () => {
    let bytes = 0
    const stream = downloads.stream('artifact', { start: 0, end: 2_000 }, '1', new AbortController().signal)
    for await (const part of stream) bytes += part.byteLength
    return bytes
  }
  return await Promise.all(Array.from({ length: count }, one))
}

test('four downloads at once may each have a part of the least rate; one alone has stalled with it', async () => {
  const [many, alone] = await Promise.allSettled([all(4), all(1)])
  assert.ok(alone.status === 'rejected' && isFleetError(alone.reason, 'STORE_STALLED'))
  assert.deepEqual(many.status === 'fulfilled' ? many.value : many.reason, [2_000, 2_000, 2_000, 2_000])
})
