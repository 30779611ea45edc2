// Owns the command line of `conduct`: its verbs, options and help texts, and nothing of what they do.
import { Command, CommanderError, InvalidArgumentError, type OutputConfiguration } from 'commander'
import { isBuildId } from '#fleet/build.ts'
import { isRolloutId } from './lease.ts'
import { plan } from './plan.ts'
import { addDoctor } from './program-doctor.ts'
import { addEvidence } from './program-evidence.ts'
import { addSchedule } from './program-schedule.ts'
import { registerServe } from './program-serve.ts'
import { registerShows } from './program-shows.ts'
import { registerVerbs } from './program-verbs.ts'
import { publish } from './publish.ts'
import { release } from './release.ts'
import { rollback } from './rollback.ts'
import { releaseInPlace } from './supersede.ts'
import { builds, init, status } from './verbs.ts'
import { watch } from './watch.ts'
import { why } from './why.ts'
import type { Bench } from './world.ts'

/** Options of every verb, and of those that change something. */
export interface Common {
  readonly app?: string
  readonly config?: string
  readonly consul?: string
  readonly store?: string
  readonly json?: boolean
  readonly ring?: readonly string[]
  readonly by?: string
  readonly reason?: string
  readonly yes?: boolean
  readonly timeout?: number
  readonly dryRun?: boolean
}

/** What was asked for: a verb with its bench still to be made, or the demo, which brings its own world. */
export type Invocation =
  | { readonly verb: string; readonly common: Common; readonly run: (bench: Bench) => Promise<number> }
  | { readonly demo: { readonly keep: boolean; readonly embedded: boolean; readonly nodes?: number } }
  | { readonly sim: SimCommand }
  | { readonly serve: { readonly listen: string | null }; readonly common: Common }
  | { readonly doctor: DoctorCommand }

/** An examination must go on where a config is broken: it makes no bench. */
export type DoctorCommand = Common & { readonly puller?: readonly string[] }

/** A simulation brings its own world too. */
export interface SimCommand {
  readonly nodes: number
  readonly seed: number
  /** How many seeds, from `seed` on. */
  readonly seeds: number
  readonly faults: string
  readonly events: boolean
  readonly json: boolean
}

const MINUTE_MS = 60_000
const RELEASE_MS = 60 * MINUTE_MS
const ROLLBACK_MS = 15 * MINUTE_MS
const WATCH_MS = 24 * 60 * MINUTE_MS

const UNITS: Readonly<Record<string, number>> = { '': 1_000, ms: 1, s: 1_000, m: MINUTE_MS, h: 60 * MINUTE_MS }

/** `90`, `90s`, `5m`, `1h` in milliseconds. */
function duration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m|h)?$/.exec(text) ?? []
  if (digits === '') throw new InvalidArgumentError('A duration is written like 90s, 5m or 1h.')
  return Number(digits) * (UNITS[unit] ?? 1_000)
}

function count(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A count is a whole number above zero.')
}

function buildId(text: string): string {
  if (isBuildId(text)) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a build id.`)
}

function rolloutName(text: string): string {
  if (isRolloutId(text)) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is no id of a rollout, like r-20261122-160430-3f2a.`)
}

const append = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

function reading(command: Command): Command {
  return command
    .option('--app <name>', 'the app (default: of the config)')
    .option('--ring <name>', 'a ring, may be repeated (default: the rings of the plan)', append)
    .option('--config <file>', 'config file (default: $HOTCOLD_CONFIG, ./hotcold.yaml, /etc/hotcold/conduct.yaml)')
    .option('--consul <url>', 'Consul agent (default: of the config; without one $CONSUL_HTTP_ADDR)')
    .option('--store <url>', 'store of builds: s3://bucket/prefix or file:///dir (default: of the config)')
    .option('--json', 'print one JSON document instead of sentences')
}

function changing(command: Command): Command {
  return reading(command)
    .option('--reason <text>', 'why, for the history and for whoever looks')
    .option('--by <name>', 'who (default: the login)')
    .option('--yes', 'answer every question with yes')
    .option('--timeout <time>', 'how long to wait, like 90s, 5m, 1h', duration)
    .option('--dry-run', 'say what would be done, and do nothing')
}

/** Parses a command line: what was asked for, or the exit code when that was help or nonsense. */
export function parseCommandLine(argv: readonly string[], streams: OutputConfiguration): Invocation | number {
  let asked: Invocation | null = null
  const program = createProgram((invocation) => {
    asked = invocation
  }, streams)
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return ['commander.helpDisplayed', 'commander.version'].includes(error.code) ? 0 : 2
  }
  return asked ?? 2
}

/** The program. Parsing calls `invoke` with what was asked for, once. */
function createProgram(invoke: (invocation: Invocation) => void, streams: OutputConfiguration): Command {
  const program = new Command('conduct')
  program
    .description('Deploys builds to a fleet of plain servers, hot and cold, by one Consul key a ring.')
    .version('0.1.0', '--version')
    .exitOverride()
    .configureOutput(streams)
    .showHelpAfterError('(conduct --help lists the verbs; conduct VERB --help explains one)')
    .configureHelp({ sortSubcommands: false, sortOptions: false })
  const verb = (
    name: string,
    command: Command,
    run: (bench: Bench, options: Common & Record<string, unknown>, args: readonly string[]) => Promise<number>,
  ): void => {
    command.action((...args: unknown[]) => {
      const options = command.opts<Common & Record<string, unknown>>()
      const words = args
        .slice(0, -2)
        .flat()
        .filter((arg) => typeof arg === 'string')
      invoke({ verb: name, common: options, run: (bench) => run(bench, options, words) })
    })
  }
  const dryRun = (options: Common): boolean => options.dryRun === true

  const initiated = changing(program.command('init')).description(
    'create the keys of an app; never touches one that is there',
  )
  verb('init', initiated, (bench, options) => init(bench, { dryRun: dryRun(options) }))

  const published = changing(program.command('publish'))
    .argument('<dir>', 'the directory to publish')
    .description('publish a directory as a build; prints its id, and nothing else, on stdout')
    .option('--build <id>', 'id of the build (default: time and commit)')
    .option('--commit <sha>', 'commit it was built from')
    .option('--check <name=state>', 'what is known of it, like tests=passed; may be repeated', append)
    .option('--contains <commits>', 'commits it contains beside its own, like "$(git rev-list -n 50 HEAD)"', append)
  verb('publish', published, (bench, options, [dir = '.']) =>
    publish(bench, {
      dir,
      build: text(options.build),
      commit: text(options.commit),
      checks: Array.isArray(options.check) ? options.check : [],
      contains: Array.isArray(options.contains) ? options.contains : [],
      dryRun: dryRun(options),
    }),
  )

  const listed = reading(program.command('builds'))
    .description('list the published builds, newest first, and where they run')
    .option('--limit <n>', 'how many', count, 20)
  verb('builds', listed, (bench, options) => builds(bench, { limit: Number(options.limit) }))

  const planned = reading(program.command('plan'))
    .argument('[build]', 'the build (default: of the open rollout; else the newest that may be released)', buildId)
    .description('show what a release goes through: its stages, their nodes, and how long it takes')
    .option('--nodes', 'name the nodes that each stage adds')
  verb('plan', planned, (bench, options, [build]) =>
    plan(bench, { build: build !== undefined && isBuildId(build) ? build : null, nodes: options.nodes === true }),
  )

  const released = changing(program.command('release'))
    .argument('[build]', 'the build (default: the newest that may be released)', buildId)
    .description('bring a build to every node of the rings; goes on with an open rollout of the same build')
    .option('--adopt', 'take over a target that was written by hand, is unreadable or gone')
    .option('--restart', 'run drain, hooks and verify again where the build runs already')
    .option('--retry', 'ask nodes that refused the build once more')
    .option('--now', 'all nodes at once, whatever maxUnavailable says')
    .option('--as <id>', 'id of the rollout, as conduct plan named one: it decides who comes first', rolloutName)
    .option('--wait', 'queue behind an open rollout')
    .option('--take-over', 'take the lease from whoever holds it, with --reason, and go on')
    .option('--force <check>', 'go past a check by its name; needs --reason; may be repeated', append)
    .option('--emergency', 'go past gates and windows; needs --reason')
    .option('--supersede', 'recall the open rollout of another build first, in waves, then release')
    .addHelpText('after', RELEASE_HELP)
  verb('release', released, (bench, options, [build]) =>
    (options.supersede === true ? releaseInPlace : release)(bench, {
      build: build ?? null,
      reason: options.reason ?? '',
      adopt: options.adopt === true,
      restart: options.restart === true,
      retry: options.retry === true,
      now: options.now === true,
      id: text(options.as),
      wait: options.wait === true,
      takeOver: options.takeOver === true,
      force: Array.isArray(options.force) ? options.force : [],
      emergency: options.emergency === true,
      dryRun: dryRun(options),
      timeoutMs: options.timeout ?? RELEASE_MS,
    }),
  )

  const rolledBack = changing(program.command('rollback'))
    .description('bring back what ran before, in waves; never asks, and waits for nobody who is dead')
    .option('--to <build>', 'a build by name, or "previous": the one before what runs now', buildId)
    .option('--now', 'all nodes at once, whatever maxUnavailable says')
    .addHelpText('after', ROLLBACK_HELP)
  verb('rollback', rolledBack, (bench, options) =>
    rollback(bench, {
      to: text(options.to),
      now: options.now === true,
      reason: options.reason ?? '',
      dryRun: dryRun(options),
      timeoutMs: options.timeout ?? ROLLBACK_MS,
    }),
  )

  registerVerbs(program, changing, verb)

  const shown = reading(program.command('status'))
    .description('show every ring, its nodes, and why a rollout stands where it stands')
    .option('--nodes', 'list every node, however many')
  verb('status', shown, (bench, options) => status(bench, { nodes: options.nodes === true }))

  const watched = reading(program.command('watch'))
    .description('show the same, live; Ctrl-C ends')
    .option('--nodes', 'list every node, however many')
    .option('--timeout <time>', 'end after this long, like 90s, 5m, 1h', duration)
  verb('watch', watched, (bench, options) =>
    watch(bench, { nodes: options.nodes === true, timeoutMs: options.timeout ?? WATCH_MS }),
  )

  const explained = reading(program.command('why'))
    .argument('[node]', 'a node (default: the rollout, and every ring and node that stands or waits)')
    .description('say why it stands or waits: one reason, its evidence, what happens next and when, what to type')
    .option('--slot <time>', 'a slot by its instant, like 2026-11-22T17:00:00Z: what became of it')
  verb('why', explained, (bench, options, [node]) => why(bench, { node: node ?? null, slot: text(options.slot) }))

  const maker = { program, verb, reading, changing, count, duration, buildId, append }
  addEvidence(maker)
  addSchedule(maker)

  registerServe(program, reading, invoke)
  registerShows(program, invoke, count)
  addDoctor(program, reading, append, invoke)
  program.addHelpText('after', EXIT_CODES)
  return program
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

const EXIT_CODES = `
Exit codes: 0 done · 1 failed or rolled back · 2 usage · 3 refused by policy · 4 the world did not answer · 70 our bug`

const RELEASE_HELP = `
It goes stage by stage through the plan of the config (conduct plan shows it; without one: staging, dogfood, canary, then production
in five shares). Every node of a ring brings the build into its cold directory before anybody runs it; then the cutoff rises, never
taking more nodes out of service than maxUnavailable allows. A stage is left when all its nodes run the build, its soak is over, and its
smoke test and gates have passed. More failures than failureBudget, a failed smoke test or gate, or a node that answers with another
build roll the release back by themselves. Ctrl-C leaves the rollout open: the same command goes on with it.

Examples:
  conduct release                                the newest build, to every ring of the plan
  conduct release 20261122T160412-3f2a9c1 --ring production
  conduct release --dry-run                      who would have to download`

const ROLLBACK_HELP = `
Per ring: an order that reached nodes goes back to its fallback; one that only staged is ended. Nodes that hold the build in
cold need no download. When the driver of a rollout is dead or silent for three seconds, its lease is taken away.

Examples:
  conduct rollback                               undo the last release
  conduct rollback --now                         all nodes at once
  conduct rollback --to previous                 one build further back than what runs now`
