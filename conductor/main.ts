// Owns the composition of `conduct`: reads the config, opens the ports, runs one verb, and turns every end into words and an exit code.
import { hostname, userInfo } from 'node:os'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { type ConsulClient, type ConsulOptions, connectConsul } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { prometheus } from '#adapters/prometheus/metrics.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { parseConfig, readConfigFile } from '#adapters/runtime/config-file.ts'
import { createLogger } from '#adapters/runtime/logger.ts'
import { listenForShutdown } from '#adapters/runtime/shutdown.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { openStore, type StoreOptions } from '#adapters/store.ts'
import { createReporter, describeFailure, logged, type Reporter } from '#conductor/cli/reporter.ts'
import type { Bench, Output } from '#conductor/cli/world.ts'
import { ERRORS, exitCodeOf, FleetError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { scheduleOf, scheduleSchema } from '#schedule/load.ts'
import type { Schedule } from '#schedule/timetable.ts'
import { type Common, type Invocation, parseCommandLine, type SimCommand } from './cli/program.ts'
import { namedRings, readSettings, type Settings } from './cli/settings.ts'
import { type ConductConfig, conductSchema } from './config.ts'
import type { RequestReport } from './metrics.ts'

/** The part of the world that `conduct` touches beside Consul and the store: tests hand in their own. */
export interface World {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  /** Aborts when the person wants it to end. */
  readonly signal: AbortSignal
  readonly hostname: string
  /** The login. */
  readonly user: string
}

/** Runs one command line to its end. Never throws; the exit code is of the table in the help. */
export async function main(argv: readonly string[], world?: World): Promise<number> {
  if (world !== undefined) return command(argv, world)
  using shutdown = listenForShutdown()
  return await command(argv, worldOfProcess(AbortSignal.any([shutdown.signal, readerGone()])))
}

/** `conduct history | head`: a reader that has seen enough ends the command, and is no error. Without progress a rollout goes on all the same. */
function readerGone(): AbortSignal {
  const gone = new AbortController()
  process.stdout.on('error', (error) => gone.abort(error))
  process.stderr.on('error', () => undefined)
  return gone.signal
}

function worldOfProcess(signal: AbortSignal): World {
  const { stdout, stderr, env } = process
  return { stdout, stderr, env, cwd: process.cwd(), clock: systemClock, signal, hostname: hostname(), user: login(env) }
}

function login(env: NodeJS.ProcessEnv): string {
  try {
    return userInfo().username
  } catch {
    // A container may run a number that no user has.
    return env.USER ?? env.LOGNAME ?? 'unknown'
  }
}

async function command(argv: readonly string[], world: World): Promise<number> {
  const { stdout, stderr } = world
  const invocation = parseCommandLine(argv, {
    writeOut: (text) => void stdout.write(text),
    writeErr: (text) => void stderr.write(text),
  })
  if (typeof invocation === 'number') return invocation
  if ('demo' in invocation) return demonstrate(invocation.demo, world)
  const { json } = 'sim' in invocation ? invocation.sim : invocation.common
  const report = createReporter(world, world.env, json === true)
  try {
    if ('sim' in invocation) return await simulation(invocation.sim, world)
    if ('serve' in invocation) return await daemon(invocation, report, world)
    return await run(invocation, report, world)
  } catch (error) {
    report.settle()
    return fail(error, report, world)
  }
}

async function run(
  { common, run: verb, verb: name }: Extract<Invocation, { run: unknown }>,
  report: Reporter,
  world: World,
): Promise<number> {
  const settings = readSettings(common, world, (path) => configAt(path, world))
  const log = notes(report)
  return await withBench({ settings, name, common, report, log }, world, (bench) => verb(bench))
}

interface Asked {
  readonly settings: Settings
  /** Of the verb. */
  readonly name: string
  readonly common: Common
  readonly report: Reporter
  readonly log: Logger
  /** How long a blocking query may stay quiet, in milliseconds, if not as usual. */
  readonly waitMs?: number
  /** Told of each request to Consul. */
  readonly onRequest?: (report: RequestReport) => void
}

/** Opens what verbs are handed, for as long as `use` runs. */
async function withBench(
  { settings, name, common, report, log, onRequest, ...more }: Asked,
  world: World,
  use: (bench: Bench, client: ConsulClient) => Promise<number>,
): Promise<number> {
  const client = connectConsul(
    { ...consulOf(settings), ...more },
    { clock: world.clock, log, ...(onRequest && { onRequest }) },
  )
  try {
    const { app } = settings
    const ports = {
      ledger: ledger(client, { app }),
      board: statusBoard(client, { app }),
      locks: locks(client, { app }),
      catalog: catalog(client, { app }),
      metrics: prometheus,
      store: () => openStore(storeOf(settings), { clock: world.clock, log }),
    }
    const rings = await namedRings(settings, ports.ledger, name, world.signal)
    return await use(benchOf(settings, rings, ports, report, common, world), client)
  } finally {
    client.close()
  }
}

/** Quiet queries come back so often: a view is known to be fresh within that time and its deadline. */
const DAEMON_WAIT_MS = 10_000

/** Loaded for this verb only. Its words go to a log; what ends it before it serves is said as of any verb. */
async function daemon(
  { serve: { listen }, common }: Extract<Invocation, { serve: unknown }>,
  report: Reporter,
  world: World,
): Promise<number> {
  const settings = readSettings(common, world, (path) => configAt(path, world))
  const { serve } = await import('./daemon.ts')
  const { openCalendar } = await import('./shell/open-calendar.ts')
  const log = createLogger({ name: 'conduct', write: (line) => void world.stdout.write(line) })
  const around = { clock: world.clock, log, parse: scheduleIn(world), watch: watchFolder }
  await using watched = await openCalendar(settings.schedule, around)
  const requests = { tell: (_report: RequestReport): void => undefined }
  const onRequest = (one: RequestReport): void => requests.tell(one)
  const asked = { settings, name: 'serve', common, report, log, waitMs: DAEMON_WAIT_MS, onRequest }
  const { calendar } = watched
  const options = { ...settings.serve, ...(listen !== null && { listen }), log, env: world.env, calendar, requests }
  return await withBench(asked, world, (bench, client) =>
    serve({ ...bench, report: logged(log) }, { ...options, client }),
  )
}

function scheduleIn({ hostname, env }: World) {
  return (text: string, path: string) => parseConfig(text, path, scheduleSchema, { hostname, env })
}

function configAt(path: string | null, { hostname, env }: World): ConductConfig {
  const surroundings = { hostname, env }
  return path === null
    ? parseConfig('', 'no config file', conductSchema, surroundings)
    : readConfigFile(path, conductSchema, surroundings)
}

function benchOf(
  settings: Settings,
  rings: Bench['rings'],
  ports: Bench['ports'],
  report: Reporter,
  common: Common,
  world: World,
): Bench {
  const { app, policy, route, gates, dir, evidence } = settings
  const by = common.by ?? world.user
  return {
    app,
    rings,
    ringsNamed: (common.ring ?? []).length > 0,
    policy,
    route,
    gates,
    place: { dir, env: world.env },
    ports,
    clock: world.clock,
    report,
    by,
    holder: `${by}@${world.hostname}`,
    signal: world.signal,
    schedule: scheduleFor(settings, world),
    evidence,
  }
}

/** Read once, when first asked for: most verbs need no calendar. */
function scheduleFor({ schedule: path }: Settings, world: World): Bench['schedule'] {
  let read: Promise<Schedule | null> | null = null
  const load = async () => {
    if (path === null) return null
    const { scheduleText } = await import('./shell/schedule-text.ts')
    return scheduleOf(scheduleIn(world)(await scheduleText(path), path), path)
  }
  return () => {
    read ??= load()
    return read
  }
}

function storeOf({ store }: Settings): StoreOptions {
  if (store !== null) {
    const { url, ...rest } = store
    return { url, ...given(rest) }
  }
  throw new FleetError(
    'CONFIG_MISSING',
    'no store is configured: name one with --store s3://bucket/prefix or --store file:///dir',
  )
}

/** The address is settled by now; what is left out stays left out. */
function consulOf({ consul }: Settings): ConsulOptions {
  const { url, ...rest } = consul
  return { url, ...given(rest) }
}

/** Without the keys whose value is undefined: an option that is left out is not one that is set to nothing. */
function given<options extends object>(
  options: options,
): { [key in keyof options]?: Exclude<options[key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as typeof options
}

/** Warnings of the adapters, once each: they are for the person, not for a log. */
function notes(report: Reporter): Logger {
  const told = new Set<string>()
  const note = (message: string, facts: Readonly<Record<string, unknown>> = {}): void => {
    const what = typeof facts.error === 'string' ? `${message}: ${facts.error}` : message
    if (told.has(what) || report.json) return
    told.add(what)
    report.say(report.paintAside.dim(`note: ${what}`))
  }
  return { debug: () => undefined, info: () => undefined, warn: note, error: note }
}

function fail(error: unknown, report: Reporter, world: World): number {
  if (world.signal.aborted && !isFleetError(error)) {
    report.say('Stopped.')
    return 1
  }
  if (!isFleetError(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    report.say(`This is a bug in conduct, please report it:\n${stack}`)
    return 70
  }
  const [first = '', ...rest] = describeFailure(error, error.message)
  report.say(report.paintAside.red(first))
  for (const line of rest) report.say(line)
  if (report.json) {
    const { title, fix } = { fix: null, ...ERRORS[error.code] }
    report.document({ error: { code: error.code, title, message: error.message, fix } })
  }
  return exitCodeOf(error)
}

/** The demo brings its own Consul, store and fleet, and drives them through this very program. */
async function demonstrate(options: Extract<Invocation, { demo: unknown }>['demo'], world: World): Promise<number> {
  const { demo } = await import('#conductor/cli/demo.ts')
  const { clock, env, signal, stdout, stderr } = world
  const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const observe = (url: string, app: string, ring: string) => {
    const client = connectConsul({ url }, { clock, log: quiet })
    const doors = {
      feed: targetFeed(client, { app, ring }),
      board: statusBoard(client, { app }),
      catalog: catalog(client, { app }),
    }
    return { ...doors, close: () => client.close() }
  }
  return demo(options, { clock, env, signal, stdout, stderr, observe })
}

/** Loaded for this verb only: it brings the puller's machine and a Consul in memory along. */
async function simulation(command: SimCommand, world: World): Promise<number> {
  const { sim } = await import('./sim/verb.ts')
  return await sim(command, world)
}

// The launcher beside this file is how people start it; under Node 26 this file can be started too.
if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
