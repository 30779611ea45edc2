// Owns the settings of one command line: the config file, what options and environment put over it, and which rings it is about.
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import {
  type ConductConfig,
  CUSTOMARY_RINGS,
  configuredRings,
  type EvidenceSettings,
  evidenceSettings,
} from '#conductor/config.ts'
import type { Gate } from '#conductor/core/gates.ts'
import { limitsOf, type Route, SLACK, type Step } from '#conductor/core/route.ts'
import type { Policy } from '#conductor/core/standing.ts'
import { isName, type Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { RESERVED_RINGS } from '#fleet/keys.ts'
import type { Ledger } from '#fleet/ports.ts'
import type { Common } from './program.ts'

export interface Settings {
  readonly app: Name
  readonly consul: ConductConfig['consul']
  /** Null when nothing names a store: most verbs need none. */
  readonly store: NonNullable<ConductConfig['store']> | null
  /** Null when neither options nor config name any. */
  readonly rings: readonly Name[] | null
  readonly policy: Policy
  readonly route: Route
  readonly gates: readonly Gate[]
  /** Where commands of the config are looked for: the folder of the config file, or that of whoever typed. */
  readonly dir: string
  /** The schedule file; null: the app has no calendar. */
  readonly schedule: string | null
  readonly evidence: EvidenceSettings
  readonly serve: ConductConfig['serve']
}

interface Place {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** Where a config is looked for when nothing names one. */
export const FOUND = ['./hotcold.yaml', '/etc/hotcold/conduct.yaml']

/**
 * Options win over the config, the config over the environment.
 * @param read parses and validates a config file
 * @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` · `NAME_INVALID`
 */
export function readSettings(common: Common, place: Place, read: (path: string | null) => ConductConfig): Settings {
  const path = configPath(common, place)
  const config = read(path)
  const app = common.app ?? config.app
  if (app === undefined) {
    const where = path === null ? `there is no config file (${FOUND.join(', ')})` : `${path} names no app`
    throw new FleetError('CONFIG_MISSING', `${where} and no --app is given`)
  }
  const rings = (common.ring ?? []).map((ring) => nameOf(ring, '--ring'))
  const reserved = rings.find((ring) => RESERVED_RINGS.includes(ring))
  if (reserved !== undefined) {
    throw new FleetError('NAME_INVALID', `a ring cannot be called ${reserved}: that is a key of the app itself`)
  }
  const { maxUnavailable, failureBudget, waveSeconds } = config
  const route = routeOf(config)
  return {
    app: nameOf(app, '--app'),
    consul: consulOf(config, common, path === null ? place.env : null),
    store: storeOf(config, common, place.cwd),
    rings: rings.length > 0 ? inOrder(rings, configuredRings(config) ?? CUSTOMARY_RINGS) : configuredRings(config),
    policy: {
      maxUnavailable,
      failureBudget,
      waveMs: waveSeconds * 1_000,
      allAtOnce: false,
      rings: limitsOf(route.steps),
    },
    route,
    gates: config.gates,
    dir: path === null ? place.cwd : dirname(path),
    schedule:
      config.schedule === undefined ? null : resolve(path === null ? place.cwd : dirname(path), config.schedule),
    evidence: evidenceSettings(config),
    serve: config.serve,
  }
}

/** Without a plan and without rings it is Slack's. @throws FleetError `CONFIG_INVALID` */
function routeOf({ plan, rings, slotMinutes, gates }: ConductConfig): Route {
  const steps = plan ?? rings?.map((ring) => ({ ring })) ?? SLACK
  const named = gates.map(({ name }) => name)
  const unknown = steps.flatMap((step: Step) => step.gates ?? []).find((gate) => !named.includes(gate))
  if (unknown !== undefined) {
    const known = named.length === 0 ? 'gates names none' : `gates names ${named.join(', ')}`
    throw new FleetError('CONFIG_INVALID', `the plan asks for the gate ${unknown}, and ${known}`)
  }
  return { steps, slotMinutes, gates }
}

function nameOf(text: string, option: string): Name {
  if (isName(text)) return text
  const rule = 'a-z, 0-9, dot and dash, at most 63, beginning with a letter or digit'
  throw new FleetError('NAME_INVALID', `${option} ${JSON.stringify(text)} is not a name: ${rule}`)
}

/** Named rings in the order of the plan, whatever order they were typed in; unknown ones last. */
function inOrder(named: readonly Name[], plan: readonly Name[]): readonly Name[] {
  const known = plan.filter((ring) => named.includes(ring))
  return [...known, ...[...new Set(named)].filter((ring) => !plan.includes(ring))]
}

/** The config of this command line; null: there is none. */
export function configPath(common: Pick<Common, 'config'>, { env, cwd }: Place): string | null {
  if (common.config !== undefined) return resolve(cwd, common.config)
  if (env.HOTCOLD_CONFIG) return resolve(cwd, env.HOTCOLD_CONFIG)
  return FOUND.map((path) => resolve(cwd, path)).find((path) => existsSync(path)) ?? null
}

/** Without a config file the variables of Consul's own command line count; with one, nothing but it and the options. */
function consulOf(config: ConductConfig, common: Common, env: Place['env'] | null): ConductConfig['consul'] {
  const { consul } = config
  const address = env?.CONSUL_HTTP_ADDR ?? ''
  const around = address === '' || address.includes('://') ? address : `http://${address}`
  const url = common.consul ?? (around === '' ? consul.url : around)
  if (!/^https?:\/\/[^/]+/.test(url)) {
    throw new FleetError('CONFIG_INVALID', `consul url ${JSON.stringify(url)} is no address like http://127.0.0.1:8500`)
  }
  const token = consul.token ?? (consul.tokenFile === undefined ? env?.CONSUL_HTTP_TOKEN : undefined)
  return { ...consul, url, ...(token !== undefined && { token }) }
}

/** A path is a store too: `--store ./builds`. */
function storeOf({ store }: ConductConfig, common: Common, cwd: string): Settings['store'] {
  if (common.store === undefined) return store ?? null
  const url = common.store.includes('://') ? common.store : `file://${resolve(cwd, common.store)}`
  return { ...store, url }
}

/**
 * The rings that a verb is about. When nothing names any: those of the customary path that exist, in its order; `init` creates production.
 */
export async function namedRings(
  settings: Settings,
  ledger: Ledger,
  verb: string,
  signal: AbortSignal,
): Promise<readonly Name[]> {
  if (settings.rings !== null) return settings.rings
  const production = CUSTOMARY_RINGS.slice(-1)
  if (verb === 'init') return production
  const { targets } = await ledger.view(CUSTOMARY_RINGS, signal)
  const there = CUSTOMARY_RINGS.filter((ring) => (targets[ring]?.raw ?? null) !== null)
  return there.length > 0 ? there : production
}
