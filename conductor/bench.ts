// Owns opening what verbs are handed: Consul, the store, the settings and the calendar, as the config and the options say.
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { type ConsulClient, type ConsulOptions, connectConsul } from '#adapters/consul/client.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { prometheus } from '#adapters/prometheus/metrics.ts'
import { parseConfig, readConfigFile } from '#adapters/runtime/config-file.ts'
import { openStore, type StoreOptions } from '#adapters/store.ts'
import type { Reporter } from '#conductor/cli/reporter.ts'
import type { Bench, World } from '#conductor/cli/world.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'
import { scheduleOf, scheduleSchema } from '#schedule/load.ts'
import type { Schedule } from '#schedule/timetable.ts'
import type { Common } from './cli/program.ts'
import { namedRings, type Settings } from './cli/settings.ts'
import { type ConductConfig, conductSchema } from './config.ts'
import type { RequestReport } from './metrics.ts'
import { scheduleText } from './shell/schedule-text.ts'

export interface Asked {
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
export async function withBench(
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

/** @param path null: no file, every key at its default */
export function configAt(path: string | null, { hostname, env }: World): ConductConfig {
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
function scheduleFor({ schedule: path }: Settings, { hostname, env }: World): Bench['schedule'] {
  let read: Promise<Schedule | null> | null = null
  const load = async () => {
    if (path === null) return null
    const text = await scheduleText(path)
    return scheduleOf(parseConfig(text, path, scheduleSchema, { hostname, env }), path)
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
export function given<options extends object>(
  options: options,
): { [key in keyof options]?: Exclude<options[key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as typeof options
}
