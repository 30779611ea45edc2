// Owns the order of one app and ring in memory.
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { FeedEvent, TargetFeed, TargetReading } from '#fleet/ports.ts'
import { begin, type Records } from './records.ts'

/** The target key of `app` and `ring`; its readings are never troubled. */
export function memoryFeed(records: Records, options: { readonly app: string; readonly ring: string }): TargetFeed {
  const key = keysOf(DEFAULT_PREFIX, options.app).target(options.ring)
  function reading(stale: boolean): TargetReading {
    const record = records.get(key)
    if (record === null) return { kind: 'absent', stale }
    return { kind: 'value', raw: record.value, modifyIndex: record.modifyIndex, stale }
  }
  return {
    async *watch(signal): AsyncGenerator<FeedEvent> {
      let last: number | null = null
      while (!signal.aborted) {
        const now = reading(true)
        const mark = now.kind === 'value' ? now.modifyIndex : 0
        if (mark !== last) {
          last = mark
          yield { type: 'reading', reading: now }
        } else {
          await records.change(signal)
        }
      }
    },
    async read(signal) {
      begin(signal)
      return reading(false)
    },
  }
}
