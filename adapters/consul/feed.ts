// Owns the order of one app and ring as it stands in Consul: watched stale, confirmed by the leader.
import { FleetError } from '#fleet/errors.ts'
import type { FeedEvent, TargetFeed, TargetReading } from '#fleet/ports.ts'
import type { Answer, ConsulClient, Entry } from './client.ts'
import { type Pace, watch } from './watch.ts'

/** The target key of `app` and `ring` as a feed. After a `trouble` that is over, the reading in force is yielded again. */
export function targetFeed(
  client: ConsulClient,
  options: { readonly app: string; readonly ring: string; readonly pace?: Partial<Pace> },
): TargetFeed {
  const key = client.keys(options.app).target(options.ring)
  const watched = {
    what: key,
    read: (index: number, signal: AbortSignal) => client.get(key, signal, { consistency: 'stale', index }),
    print: (entry: Entry | null) =>
      entry === null ? 'absent' : `${entry.modifyIndex} ${Buffer.from(entry.value).toString('base64')}`,
    isAbsent: (entry: Entry | null) => entry === null,
  }
  const world = {
    clock: client.clock,
    log: client.log,
    waitMs: client.waitMs,
    ...(options.pace && { pace: options.pace }),
  }
  return {
    async *watch(signal): AsyncGenerator<FeedEvent> {
      for await (const event of watch(watched, world, signal)) {
        yield event.type === 'trouble' ? event : { type: 'reading', reading: readingOf(event.value, true) }
      }
    },
    async read(signal) {
      const answer = await client.get(key, signal)
      refuseStale(answer, key)
      return readingOf(answer.value, false)
    },
  }
}

function readingOf(entry: Entry | null, stale: boolean): TargetReading {
  if (entry === null) return { kind: 'absent', stale }
  return { kind: 'value', raw: entry.value, modifyIndex: entry.modifyIndex, stale }
}

/** A default read is the leader's, unless something in between answers for it. */
function refuseStale(answer: Answer<unknown>, key: string): void {
  if (answer.meta.knownLeader && answer.meta.lastContactMs === 0) return
  throw new FleetError('CONSUL_NO_LEADER', `no leader vouches for ${key}; what was known before stands`)
}
