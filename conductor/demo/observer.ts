// Owns what the demo knows from outside: what the answers say, how the key changed, and what the nodes say of themselves.
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Clock, StatusBoard, TargetFeed } from '#fleet/ports.ts'
import type { RosterNode } from '#fleet/roster.ts'
import type { Target } from '#fleet/target.ts'
import { readOrder } from '#fleet/wire.ts'
import { type Children, PROJECT } from './children.ts'
import { DEMO, type DemoNode, waitFor } from './fleet.ts'
import { type Totals, totalsOf } from './score.ts'
import type { LoadOrder, LoadReport, Sighting } from './traffic.ts'

/** More than is promised, so that a slow moment still keeps the promise. */
export const REQUESTS_PER_SECOND = 60

/** Follows the key and the statuses until the signal aborts. */
export interface Watched {
  /** Every record seen in the key, oldest first. */
  readonly keys: readonly Target[]
  roster: readonly RosterNode[]
  /** Nodes that have reported a refusal, with the build each refused. */
  readonly refusals: Map<string, string>
}

export function watchKeys(feed: TargetFeed, board: StatusBoard, signal: AbortSignal): Watched {
  const keys: Target[] = []
  const watched: Watched = { keys, roster: [], refusals: new Map() }
  const followKey = async (): Promise<void> => {
    for await (const event of feed.watch(signal)) {
      if (event.type !== 'reading' || event.reading.kind !== 'value') continue
      const order = readOrder(event.reading.raw, DEMO)
      if (order.kind === 'record') keys.push(order.target)
    }
  }
  const followNodes = async (): Promise<void> => {
    for await (const roster of board.changes(DEMO.ring, signal)) {
      watched.roster = roster
      for (const { status } of roster) {
        if (status.refusal !== null) watched.refusals.set(status.node, status.refusal.build)
      }
    }
  }
  // A watch that breaks leaves what it saw; whoever waits for more runs into its limit and says for what.
  followKey().catch(() => {})
  followNodes().catch(() => {})
  return watched
}

/** The load while it runs. */
export interface Load {
  report(): LoadReport | null
  readonly sightings: readonly Sighting[]
  /** Stops sending, waits for the last answers, and sums up. */
  finish(): Promise<Totals>
}

export async function startLoad(
  nodes: readonly DemoNode[],
  dir: string,
  running: Children,
  world: { clock: Clock; signal: AbortSignal; env: Readonly<Record<string, string | undefined>> },
): Promise<Load> {
  const { clock, signal, env } = world
  const argv = [process.execPath, join(PROJECT, 'conductor/demo/load.ts')]
  const child = running.start(argv, { env, logFile: join(dir, 'load.log'), ipc: true })
  const sightings: Sighting[] = []
  let last: LoadReport | null = null
  child.on('message', (report: LoadReport) => {
    last = report
    sightings.push(...report.sightings)
  })
  const urls = Object.fromEntries(nodes.map(({ name, appUrl }) => [name, `${appUrl}/`]))
  order(child, { urls, perSecond: REQUESTS_PER_SECOND })
  const report = (): LoadReport | null => last
  const answered = (): boolean => nodes.every(({ name }) => (report()?.nodes[name]?.served ?? 0) > 0)
  await waitFor('an answer of every node', clock, signal, 15_000, answered)
  const beganMs = clock.monotonic()
  return {
    report,
    sightings,
    async finish() {
      const elapsedMs = clock.monotonic() - beganMs
      order(child, 'stop')
      await waitFor('the last answers', clock, signal, 45_000, () => report()?.over === true)
      const end = report()
      if (end === null) throw new Error('the load never reported')
      return totalsOf(end, elapsedMs)
    },
  }
}

function order(child: ChildProcess, what: LoadOrder | 'stop'): void {
  child.send(what)
}
