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

export interface BoardOptions {
  readonly app: string
  readonly pace?: Partial<Pace>
  /** Told of each good answer to a watch, also of one that brings nothing new. */
  readonly onAnswer?: (ring: Name) => void
  /** Told of each round of a watch that failed. */
  readonly onTrouble?: (ring: Name, error: FleetError) => void
}

/** The roster of an app's rings. Its keys are its nodes: one whose status cannot be read is silent, and logged. */
export function statusBoard(client: ConsulClient, options: BoardOptions): StatusBoard {
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
        onAnswer: () => options.onAnswer?.(ring),
      }
      const known = knownNodes({ app, ring, prefix }, client.log)
      const { clock, log, waitMs } = client
      const world = { clock, log, waitMs, pace: { ...PACE, ...options.pace } }
      for await (const event of watch(watched, world, signal)) {
        // No data is never good news: the last roster stands, and its statuses grow old where all can see it.
        if (event.type === 'trouble') {
          log.warn('roster is not answered', { ring, error: event.error.message })
          options.onTrouble?.(ring, event.error)
        } else yield known(event.value)
      }
    },
  }
}

interface Below {
  readonly app: string
  readonly ring: Name
  readonly prefix: string
}

function rosterOf(entries: readonly Entry[], below: Below, log: Logger): readonly RosterNode[] {
  return entries.flatMap((entry) => nodeOf(entry, below, log) ?? [])
}

function nodeOf(entry: Entry, { app, ring, prefix }: Below, log: Logger): RosterNode | null {
  const node = entry.key.slice(prefix.length)
  const tell = ({ code, message }: FleetError) =>
    log.warn('status was rejected', { key: entry.key, code, error: message })
  return rosterNode({ app: app as Name, ring, node }, entry, tell)
}

/** Reads again only what was written since: of a thousand nodes a few speak between two looks. Nodes that are as they were are the same objects. */
function knownNodes(below: Below, log: Logger): (entries: readonly Entry[]) => readonly RosterNode[] {
  let known = new Map<string, { readonly entry: Entry; readonly node: RosterNode | null }>()
  return (entries) => {
    const next: typeof known = new Map()
    for (const entry of entries) {
      const before = known.get(entry.key)
      const same =
        before !== undefined &&
        before.entry.modifyIndex === entry.modifyIndex &&
        before.entry.createIndex === entry.createIndex &&
        before.entry.session === entry.session
      next.set(entry.key, same ? before : { entry: unread(entry), node: nodeOf(entry, below, log) })
    }
    known = next
    return [...known.values()].flatMap(({ node }) => node ?? [])
  }
}

/** What tells a change; the bytes need not be kept. */
function unread(entry: Entry): Entry {
  return { ...entry, value: new Uint8Array() }
}
