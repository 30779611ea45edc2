// Owns the composition of `conduct serve`: the view, the leader with its duties, the door, and how they begin and end together.

import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import type { ConsulClient } from '#adapters/consul/client.ts'
import { publications } from '#adapters/consul/publications.ts'
import { appStirs } from '#adapters/consul/stirs.ts'
import { measuredStore } from '#adapters/measured-store.ts'
import { openSupervisor } from '#adapters/runtime/supervisor.ts'
import { payAfter } from '#conductor/cli/after.ts'
import { beginnerOf } from '#conductor/cli/asked.ts'
import { rolloutId } from '#conductor/cli/lease.ts'
import { storeOf } from '#conductor/cli/preflight.ts'
import { readerOf } from '#conductor/cli/release.ts'
import { look } from '#conductor/cli/verbs.ts'
import type { Bench } from '#conductor/cli/world.ts'
import { openingOf } from '#conductor/core/opening.ts'
import type { Picture } from '#conductor/core/picture.ts'
import { autoRings } from '#conductor/core/route.ts'
import { type Duty, lead } from '#conductor/shell/lead.ts'
import { rolloutsDuty } from '#conductor/shell/leading.ts'
import { historyReader } from '#conductor/shell/read-history.ts'
import type { Calendar } from '#conductor/shell/slots.ts'
import { slotsDuty } from '#conductor/shell/slots-duty.ts'
import { View } from '#conductor/shell/view.ts'
import { openDoor } from '#conductor/web/door.ts'
import { EventStream } from '#conductor/web/events.ts'
import { Liveness } from '#conductor/web/liveness.ts'
import { routesOf } from '#conductor/web/routes.ts'
import { scraped } from '#conductor/web/scrape.ts'
import { describeError } from '#fleet/errors.ts'
import type { LeaseNote, Logger } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { slotsAfter } from '#schedule/calendar.ts'
import { createConductorMetrics, type RequestReport } from './metrics.ts'

export interface DaemonOptions {
  /** `address:port`. */
  readonly listen: string
  readonly hosts: readonly string[]
  readonly log: Logger
  readonly client: ConsulClient
  /** Of the process: what systemd put there for us alone is taken out. */
  readonly env: Record<string, string | undefined>
  /** The schedule in force, watched. */
  calendar(): Calendar
  /** Told of each request to Consul, from when the daemon has metrics on. */
  readonly requests: { tell: (report: RequestReport) => void }
}

/** Four looks at a ring a second while its nodes speak: a view is less than a second behind with what comes after. */
const PACE = { changes: { burst: 20, refillMs: 250 } }
/** Between two looks of a leader without work, beside what it hears. */
const LOOK_MS = 1_000

/** Serves until the bench's signal aborts, and then lets the lease go. @returns the exit code */
export async function serve(asked: Bench, options: DaemonOptions): Promise<number> {
  const { app, clock, signal } = asked
  const { client, log, env, listen, hosts, calendar, requests } = options
  const stop = new AbortController()
  const over = AbortSignal.any([signal, stop.signal])
  const view = viewOf(asked, client, log)
  const liveness = new Liveness(clock, ['view', 'leader'])
  const metrics = createConductorMetrics({
    app,
    startedMs: clock.now(),
    readings: {
      leads: () => liveness.leads,
      ready: () => view.freshness().fresh,
      viewAgeMs: () => view.freshness().ageMs,
      clients: () => events.clients,
      nextSlotMs: () => nextSlotMs(calendar(), clock.now()),
    },
  })
  requests.tell = metrics.consul
  const store = async () => measuredStore(await asked.ports.store(), clock, metrics.store)
  const bench = { ...asked, ports: { ...asked.ports, store }, schedule: async () => calendar().schedule, signal: over }
  const seen = { ...bench, ports: { ...bench.ports, ...view.ports } }
  const history = historyReader(bench.ports.ledger, metrics.history, metrics.historyRead)
  const picture = async (inner: AbortSignal) => (await look({ ...seen, signal: inner })).picture
  const events = new EventStream(newsroom(seen, view, () => picture(over), log))
  const exposition = scraped(metrics, { picture, history, log }, over)
  const door = await openDoor({
    listen,
    hosts,
    log,
    routes: routesOf({ bench: seen, view, liveness, metrics: exposition, events }),
  })
  const supervisor = openSupervisor(env, { clock, log })
  log.info('serves', { app, address: door.address })
  const state = () => `serves ${app} at ${door.address}${liveness.leads ? ', leads' : ''}`
  const loops = [
    view.run(over, () => liveness.turned('view')),
    events.run(over),
    supervisor.watch(async () => worksStill(liveness, supervisor.watchdogMs, state()), over),
    leads(bench, view, liveness, options),
  ]
  // One that ends by a fault of ours takes the others along: half a daemon would look like a whole one.
  const guarded = loops.map((loop) => loop.catch((error: unknown) => fail(error, stop, over, log)))
  await supervisor.ready(state())
  over.addEventListener('abort', () => void supervisor.stopping(), { once: true })
  await Promise.all(guarded)
  await door.close()
  log.info('serves no longer', { app, reason: describeError(over.reason) })
  return stop.signal.aborted ? 70 : 0
}

/** A loop that stood still for half of the watchdog's patience is not spoken for: the other half is left for it to turn again. */
function worksStill(liveness: Liveness, watchdogMs: number | null, state: string): string {
  const { turnedMs } = liveness.look()
  if (watchdogMs !== null && turnedMs >= watchdogMs / 2) throw new Error(`a loop has not turned for ${turnedMs} ms`)
  return state
}

function nextSlotMs({ schedule }: Calendar, nowMs: number): number | null {
  const [next] = schedule === null ? [] : slotsAfter(schedule, nowMs, 1, 'open')
  return next?.atMs ?? null
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

function newsroom(seen: Bench, view: View, picture: () => Promise<Picture>, log: Logger) {
  return {
    clock: seen.clock,
    log,
    changed: view.changed,
    version: () => view.version,
    tail: () => view.ledger?.tail?.seq ?? 0,
    picture,
    history: (limit: number, signal: AbortSignal) => seen.ports.ledger.history(limit, signal),
  }
}

function leads(bench: Bench, view: View, liveness: Liveness, options: DaemonOptions): Promise<void> {
  const { app, by, clock, gates, holder, place, policy, rings, route, signal } = bench
  const { client, log, calendar } = options
  // Rosters come from the view: read by listening, once for everybody here.
  const ports = { ...bench.ports, board: view.board }
  const note = (): LeaseNote => {
    const since = new Date(clock.now()).toISOString()
    return { holder, since, rollout: null, build: null, reason: 'conduct serve', serves: true }
  }
  const stirred = (inner: AbortSignal) => view.stirred.wait(clock, LOOK_MS, inner)
  const onTurn = () => liveness.turned('leader')
  const opening = (rollout: Rollout, nowMs: number) => openingOf(calendar().schedule, autoRings(route))(rollout, nowMs)
  const rollouts = rolloutsDuty({
    driving: { ...ports, app, clock, policy, by, place, opening },
    gates: () => (gates.length === 0 ? null : readerOf(bench)),
    rings,
    log,
    note,
    begin: beginnerOf({ ...bench, ports }),
    settle: (lease, rollout, inner) => payAfter({ ...bench, ports, signal: inner }, lease, rollout),
    stirred,
    onTurn,
  })
  const slots = slotsDuty({
    world: {
      ...{ ...ports, app, rings, clock, policy, route, by, evidence: bench.evidence },
      store: () => storeOf(bench),
      sinceMs: clock.now(),
      newId: () => rolloutId(clock),
      zoneTables: process.versions.tz ?? null,
    },
    calendar,
    published: (inner) => publications(client, { app }, inner),
    log,
  })
  /** What this daemon does while it leads; each ends when its signal aborts. */
  const duties: readonly Duty[] = [rollouts, slots]
  const onTerm = (term: boolean) => {
    liveness.leads = term
  }
  return lead({ locks: ports.locks, clock, log, note, duties, stirred, onTerm, onTurn }, signal)
}
