// Owns reading the statuses of a ring: one prefix, and who is silent because no living session holds its key.
import type { Name } from '#fleet/build.ts'
import type { FleetError } from '#fleet/errors.ts'
import type { Logger, StatusBoard } from '#fleet/ports.ts'
import { type RosterNode, rosterNode } from '#fleet/roster.ts'
import type { ConsulClient, Entry } from './client.ts'
import { type Pace, watch } from './watch.ts'

/** A conductor is one of few: it may look for the first node of a ring each second. */
const PACE: Partial<Pace> = { absentMs: 1_000 }

/** A burst of statuses becomes one read, and 10,000 nodes, 4 MB, are read once a second and not each time one of them speaks. */
function gatherMs(entries: readonly Entry[]): number {
  return 100 + entries.length / 10
}

/** The roster of an app's rings. Its keys are its nodes: one whose status cannot be read is silent, and logged. */
export function statusBoard(
  client: ConsulClient,
  options: { readonly app: string; readonly pace?: Partial<Pace> },
): StatusBoard {
  const { app } = options
  const keys = client.keys(app)
  return {
    async roster(ring, signal) {
      const { value } = await client.list(keys.nodes(ring), signal)
      return rosterOf(value, { app, ring, prefix: keys.nodes(ring) }, client.log)
    },
    async *changes(ring, signal) {
      const prefix = keys.nodes(ring)
      const watched = {
        what: prefix,
        read: (index: number, inner: AbortSignal) => client.list(prefix, inner, { index }),
        print: (entries: readonly Entry[]) =>
          entries.map((entry) => `${entry.key} ${entry.modifyIndex} ${entry.session}`).join('\n'),
        isAbsent: (entries: readonly Entry[]) => entries.length === 0,
        gatherMs,
      }
      const { clock, log, waitMs } = client
      const world = { clock, log, waitMs, pace: { ...PACE, ...options.pace } }
      for await (const event of watch(watched, world, signal)) {
        // No data is never good news: the last roster stands, and its statuses grow old where all can see it.
        if (event.type === 'trouble') log.warn('roster is not answered', { ring, error: event.error.message })
        else yield rosterOf(event.value, { app, ring, prefix }, log)
      }
    },
  }
}

function rosterOf(
  entries: readonly Entry[],
  of: { readonly app: string; readonly ring: Name; readonly prefix: string },
  log: Logger,
): readonly RosterNode[] {
  const { app, ring, prefix } = of
  return entries.flatMap((entry) => {
    const node = entry.key.slice(prefix.length)
    const tell = ({ code, message }: FleetError) =>
      log.warn('status was rejected', { key: entry.key, code, error: message })
    return rosterNode({ app: app as Name, ring, node }, entry, tell) ?? []
  })
}
