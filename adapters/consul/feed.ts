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
  // A server that is behind does not have the key yet, or still has none: only the leader can say that it is gone.
  let gone = false
  async function read(index: number, signal: AbortSignal): Promise<Answer<Entry | null>> {
    const answer = await client.get(key, signal, { consistency: 'stale', index })
    if (answer.value !== null || gone) {
      gone = answer.value === null
      return answer
    }
    const confirmed = await vouchedFor(signal)
    gone = confirmed.value === null
    return confirmed
  }

  /** A default read is the leader's, unless something in between answers for it. */
  async function vouchedFor(signal: AbortSignal): Promise<Answer<Entry | null>> {
    const answer = await client.get(key, signal)
    if (answer.meta.knownLeader && answer.meta.lastContactMs === 0) return answer
    throw new FleetError('CONSUL_NO_LEADER', `no leader vouches for ${key}; what was known before stands`)
  }

  const watched = {
    what: key,
    read,
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
      return readingOf((await vouchedFor(signal)).value, false)
    },
  }
}

function readingOf(entry: Entry | null, stale: boolean): TargetReading {
  if (entry === null) return { kind: 'absent', stale }
  return { kind: 'value', raw: entry.value, modifyIndex: entry.modifyIndex, stale }
}
