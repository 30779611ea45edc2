// Owns the composition of `conduct serve`: the view, the leader with its duties, the door, and how they begin and end together.

import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import type { ConsulClient } from '#adapters/consul/client.ts'
import { appStirs } from '#adapters/consul/stirs.ts'
import { systemdNotifier } from '#adapters/runtime/notify.ts'
import { payAfter } from '#conductor/cli/after.ts'
import { beginnerOf } from '#conductor/cli/asked.ts'
import { readerOf } from '#conductor/cli/release.ts'
import { look } from '#conductor/cli/verbs.ts'
import type { Bench } from '#conductor/cli/world.ts'
import { type Duty, lead } from '#conductor/shell/lead.ts'
import { rolloutsDuty } from '#conductor/shell/leading.ts'
import { View } from '#conductor/shell/view.ts'
import { feedDog } from '#conductor/shell/watchdog.ts'
import { openDoor } from '#conductor/web/door.ts'
import { EventStream } from '#conductor/web/events.ts'
import { Liveness } from '#conductor/web/liveness.ts'
import { routesOf } from '#conductor/web/routes.ts'
import { describeError } from '#fleet/errors.ts'
import type { LeaseNote, Logger } from '#fleet/ports.ts'
import { daemonRegistry } from './metrics.ts'

export interface DaemonOptions {
  /** `address:port`. */
  readonly listen: string
  readonly hosts: readonly string[]
  readonly log: Logger
  readonly client: ConsulClient
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Four looks at a ring a second while its nodes speak: a view is less than a second behind with what comes after. */
const PACE = { changes: { burst: 20, refillMs: 250 } }
/** Between two looks of a leader without work, beside what it hears. */
const LOOK_MS = 1_000

/** Serves until the bench's signal aborts, and then lets the lease go. @returns the exit code */
export async function serve(bench: Bench, options: DaemonOptions): Promise<number> {
  const { app, clock, signal } = bench
  const { client, log, env, listen, hosts } = options
  const stop = new AbortController()
  const over = AbortSignal.any([signal, stop.signal])
  const view = viewOf(bench, client, log)
  const liveness = new Liveness(clock, ['view', 'leader'])
  const events = new EventStream(newsroom({ ...bench, signal: over }, view, log))
  const readings = {
    leads: () => liveness.leads,
    viewAgeMs: () => view.freshness().ageMs,
    clients: () => events.clients,
  }
  const metrics = daemonRegistry(app, readings)
  const seen = { ...bench, ports: { ...bench.ports, ...view.ports }, signal: over }
  const door = await openDoor({
    listen,
    hosts,
    log,
    routes: routesOf({ bench: seen, view, liveness, metrics, events }),
  })
  const notifier = systemdNotifier(env, { log })
  log.info('serves', { app, address: door.address })
  const loops = [
    view.run(over, () => liveness.turned('view')),
    events.run(over),
    feedDog(notifier, () => liveness.look().turnedMs, clock, over),
    leads({ ...bench, signal: over }, view, liveness, log),
  ]
  // One that ends by a fault of ours takes the others along: half a daemon would look like a whole one.
  const guarded = loops.map((loop) => loop.catch((error: unknown) => fail(error, stop, over, log)))
  await notifier.tell('ready', `serves ${app} at ${door.address}`)
  over.addEventListener('abort', () => void notifier.tell('stopping'), { once: true })
  await Promise.all(guarded)
  await door.close()
  log.info('serves no longer', { app, reason: describeError(over.reason) })
  return stop.signal.aborted ? 70 : 0
}

function fail(error: unknown, stop: AbortController, over: AbortSignal, log: Logger): void {
  if (over.aborted) return
  log.error('a loop of the daemon has failed', { error })
  stop.abort(error)
}

function viewOf({ app, rings, ports, clock }: Bench, client: ConsulClient, log: Logger): View {
  const board = statusBoard(client, {
    app,
    pace: PACE,
    onAnswer: (ring) => view.onRoster(ring, null),
    onTrouble: (ring, error) => view.onRoster(ring, error),
  })
  const view: View = new View(
    { ledger: ports.ledger, locks: ports.locks, board, catalog: catalog(client, { app }) },
    { stirs: appStirs(client, { app }), rings, clock, log },
  )
  return view
}

function newsroom(bench: Bench, view: View, log: Logger) {
  const seen = { ...bench, ports: { ...bench.ports, ...view.ports } }
  return {
    clock: bench.clock,
    log,
    changed: view.changed,
    version: () => view.version,
    tail: () => view.ledger?.tail?.seq ?? 0,
    picture: async () => (await look(seen)).picture,
    history: (limit: number, signal: AbortSignal) => bench.ports.ledger.history(limit, signal),
  }
}

function leads(bench: Bench, view: View, liveness: Liveness, log: Logger): Promise<void> {
  const { app, by, clock, holder, place, policy, rings, signal } = bench
  // Rosters come from the view: read by listening, once for everybody here.
  const ports = { ...bench.ports, board: view.board }
  const note = (): LeaseNote => {
    const since = new Date(clock.now()).toISOString()
    return { holder, since, rollout: null, build: null, reason: 'conduct serve', serves: true }
  }
  let heard = 0
  // What was written since the last wait must not wait for the next look.
  const stirred = async (inner: AbortSignal) => {
    if (view.stirred.rings === heard) await view.stirred.wait(clock, LOOK_MS, inner)
    heard = view.stirred.rings
  }
  const onTurn = () => liveness.turned('leader')
  const rollouts = rolloutsDuty({
    driving: { ...ports, app, clock, policy, by, place },
    gates: () => readerOf(bench),
    rings,
    log,
    note,
    begin: beginnerOf({ ...bench, ports }),
    settle: (lease, rollout, inner) => payAfter({ ...bench, ports, signal: inner }, lease, rollout),
    stirred,
    onTurn,
  })
  /** What this daemon does while it leads; each ends when its signal aborts. */
  const duties: readonly Duty[] = [rollouts]
  const onTerm = (term: boolean) => {
    liveness.leads = term
  }
  return lead({ locks: ports.locks, clock, log, note, duties, stirred, onTerm, onTurn }, signal)
}
