// Owns hearing that something of an app was written: a blocking query on each of its small keys, which cost nothing while they are quiet.
import type { Name } from '#fleet/build.ts'
import type { Ears, Stirred, Stirs } from '#fleet/stir-ports.ts'
import type { Answer, ConsulClient, Entry } from './client.ts'
import { type Pace, watch } from './watch.ts'

/** What is not there would wake on every write in the datacenter: it is asked for, requests often enough for whoever waits for an answer. */
const ABSENT_MS: Readonly<Record<Stirred, number>> = {
  requests: 250,
  lease: 500,
  rollout: 500,
  orders: 1_000,
  hold: 1_000,
  builds: 1_000,
}

/**
 * One query on the whole app would bring every status, every build and the whole history with each write of a node. So each key is asked for
 * alone, and answers are looked at for their indexes only.
 */
export function appStirs(client: ConsulClient, options: { readonly app: string }): Stirs {
  const keys = client.keys(options.app)
  const { clock, log, waitMs } = client

  async function hear(what: Stirred, key: string, ears: Ears, signal: AbortSignal): Promise<void> {
    const read = async (index: number, inner: AbortSignal): Promise<Answer<readonly Entry[]>> => {
      if (key.endsWith('/')) return client.list(key, inner, { index })
      const { value, meta } = await client.get(key, inner, { index })
      return { value: value === null ? [] : [value], meta }
    }
    const print = (entries: readonly Entry[]) =>
      entries.map((entry) => `${entry.key} ${entry.modifyIndex} ${entry.session}`).join('\n')
    const isAbsent = (entries: readonly Entry[]) => entries.length === 0
    const onAnswer = () => ears.answered(what)
    const pace: Partial<Pace> = { absentMs: ABSENT_MS[what] }
    for await (const event of watch(
      { what: key, read, print, isAbsent, onAnswer },
      { clock, log, waitMs, pace },
      signal,
    )) {
      if (event.type === 'answer') ears.stirred(what)
      else ears.troubled(what, event.error)
    }
  }

  return {
    async follow(rings: readonly Name[], ears, signal) {
      await Promise.all([
        hear('rollout', keys.rollout, ears, signal),
        hear('hold', keys.hold, ears, signal),
        hear('lease', keys.lease, ears, signal),
        hear('requests', keys.requests, ears, signal),
        hear('builds', keys.builds, ears, signal),
        ...rings.map((ring) => hear('orders', keys.target(ring), ears, signal)),
      ])
    },
  }
}
