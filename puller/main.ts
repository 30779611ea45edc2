// Owns the puller's command line and puts the program together: config, adapters, the running node.
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { catalog } from '#adapters/consul/catalog.ts'
import { connectConsul } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { consulMaintenance } from '#adapters/consul/maintenance.ts'
import { pins } from '#adapters/consul/pins.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { closest } from '#adapters/runtime/closest.ts'
import { readConfigFile } from '#adapters/runtime/config-file.ts'
import { createLogger } from '#adapters/runtime/logger.ts'
import { listenForShutdown } from '#adapters/runtime/shutdown.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { openStore } from '#adapters/store.ts'
import { describeError, ERRORS, exitCodeOf, FleetError, isFleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { BuildStore, Logger } from '#fleet/ports.ts'
import { defined, type PullerConfig, pullerSchema } from './config.ts'
import { rollbackTo } from './core/machine.ts'
import { statusOf } from './core/report.ts'
import { createMetrics, type PullerMetrics } from './metrics.ts'
import { askControl, listenOn } from './shell/listen.ts'
import {
  type NodeOptions,
  type RunningNode,
  refusal,
  resume,
  runNode,
  type Verified,
  verifyTrees,
} from './shell/node.ts'
import { openTrees, type Trees } from './shell/trees.ts'

const VERBS = ['run', 'status', 'verify', 'rollback', 'check-config'] as const
type Verb = (typeof VERBS)[number]

const USAGE = `usage: puller <verb> [--config FILE] [--json]

  run            follows the order of its app and ring until it is told to end
  status         says where this node stands
  verify         compares both trees with their manifests; exit 1 when one differs
  rollback       swaps back to the build that ran before, without Consul, and parks the node
  check-config   reads the configuration and says what is wrong with it

The configuration is the file of --config, of HOTCOLD_CONFIG, ./hotcold.yaml or /etc/hotcold/puller.yaml.`

interface Call {
  readonly verb: Verb
  readonly config: string
  readonly json: boolean
}

/** @throws FleetError `USAGE` · `CONFIG_MISSING` */
function parseCall(argv: readonly string[]): Call {
  const options = { config: { type: 'string' }, json: { type: 'boolean', default: false } } as const
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (cause) {
    const flag = /'(--[^' =]*)/.exec(describeError(cause))?.[1] ?? ''
    const guess = closest(flag, ['--config', '--json', '--help'])
    throw new FleetError(
      'USAGE',
      `unknown or incomplete option ${flag}${guess === null || guess === flag ? '' : `, did you mean ${guess}?`}`,
    )
  }
  const [word = '', ...rest] = parsed.positionals
  const verb = VERBS.find((known) => known === word)
  if (verb === undefined) {
    const guess = closest(word, VERBS)
    const what = word === '' ? 'no verb was given' : `unknown verb "${word}"`
    throw new FleetError(
      'USAGE',
      guess === null ? `${what}; puller --help lists them` : `${what}, did you mean "${guess}"?`,
    )
  }
  if (rest.length > 0) throw new FleetError('USAGE', `${verb} takes no "${rest[0]}"`)
  return { verb, config: configFile(parsed.values.config), json: parsed.values.json }
}

function configFile(named: string | undefined): string {
  const file = named ?? process.env.HOTCOLD_CONFIG
  if (file !== undefined) return file
  const found = ['hotcold.yaml', '/etc/hotcold/puller.yaml'].find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new FleetError('CONFIG_MISSING', 'there is neither ./hotcold.yaml nor /etc/hotcold/puller.yaml')
}

function out(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Runs one command to its end; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    out(USAGE)
    return 0
  }
  try {
    const call = parseCall(argv)
    const config = readConfigFile(call.config, pullerSchema, { hostname: hostname().toLowerCase(), env: process.env })
    return await COMMANDS[call.verb](config, call)
  } catch (error) {
    process.stderr.write(`${said(error)}\n`)
    if (isFleetError(error, 'ROOT_TAKEN')) return 75
    return exitCodeOf(error)
  }
}

function said(error: unknown): string {
  if (!isFleetError(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const { title, fix }: { title: string; fix?: string } = ERRORS[error.code]
  return `${title} (${error.code}): ${describeError(error)}${fix === undefined ? '' : `\nwhat to do: ${fix}`}`
}

const COMMANDS: Readonly<Record<Verb, (config: PullerConfig, call: Call) => Promise<number>>> = {
  run: (config) => run(config),
  status,
  verify,
  rollback,
  'check-config': async (_config, call) => {
    out(`${call.config} is in order`)
    return 0
  },
}

function nodeOptions(config: PullerConfig): NodeOptions {
  const { app, ring, node, root, drain, hooks, rearm, bareWaveSeconds, minSecondsBetweenBareSwaps } = config
  return {
    reader: { app, ring, node },
    root,
    drain,
    hooks,
    verify: config.verify ?? null,
    rearm,
    skipDrain: process.env.HOTCOLD_FAILPOINT === 'skipDrain',
    bareWaveSeconds,
    minSecondsBetweenBareSwaps,
  }
}

async function openRoot(config: PullerConfig, log: Logger, store: BuildStore): Promise<Trees> {
  const { root, app, owner, coldInUse, coldQuietSeconds, repairSeconds, fetch } = config
  const options = { root, app, coldInUse, coldQuietSeconds, repairSeconds, fetch, ...(owner && { owner }) }
  return await openTrees(options, { store, clock: systemClock, log, node: config.node })
}

function consulOf(config: PullerConfig, log: Logger, metrics: PullerMetrics | null) {
  const options = { ...defined(config.consul), prefix: config.prefix }
  const client = connectConsul(options, { clock: systemClock, log, ...(metrics && { onRequest: metrics.request }) })
  return { client, maintenance: consulMaintenance(client) }
}

async function run(config: PullerConfig): Promise<number> {
  using shutdown = listenForShutdown()
  const { app, ring, node } = config
  const log = createLogger({ level: config.log.level, name: 'puller' })
  const metrics = createMetrics()
  const store = await openStore(defined(config.store), { clock: systemClock, log })
  const trees = await openRoot(config, log, store)
  let clean = false
  const { client, maintenance } = consulOf(config, log, metrics)
  let running: RunningNode | null = null
  const { metrics: door } = config
  const listening =
    door &&
    (await listenOn(
      door.listen,
      doorOf(metrics, () => running),
    ))
  try {
    log.info('puller started', { app, ring, node, root: config.root, ...(listening && { metrics: listening.address }) })
    const upstream = {
      feed: targetFeed(client, { app, ring }),
      catalog: catalog(client, { app }),
      pins: pins(client, { app, ring, node }),
      sink: statusSink(client, { app, ring, node, shelf: trees.shelf }),
    }
    const world = { trees, upstream, maintenance, watch: watchFolder, clock: systemClock, log, observer: metrics }
    const options = nodeOptions(config)
    const found = await resume(world, options.reader, shutdown.signal)
    await runNode(options, world, found, shutdown.signal, (ready) => {
      running = ready
    })
    clean = true
    log.info('puller stopped', {})
    return 0
  } catch (error) {
    if (shutdown.signal.aborted && error === shutdown.signal.reason) return 0
    log.error('puller ends because of an error', { error })
    throw error
  } finally {
    await listening?.close()
    client.close()
    await trees.close(clean)
  }
}

function doorOf(metrics: PullerMetrics, running: () => RunningNode | null) {
  return async (_method: string, path: string) => {
    if (path === '/metrics') return { code: 200, type: metrics.contentType, body: await metrics.render() }
    if (path !== '/healthz') return null
    const node = running()
    if (node === null) return { code: 503, body: { ready: false } }
    const { phase, hot, generation } = node.status()
    return { code: 200, body: { ready: true, phase, hot, generation } }
  }
}

/** Where the node stands, asked of the running puller or read from the root. */
async function status(config: PullerConfig, call: Call): Promise<number> {
  const reply = await askControl(config.root, 'GET', '/status', 5_000)
  const running = reply !== null
  const now = running ? (reply.body as NodeStatus) : await withRoot(config, statusOfRoot)
  if (call.json) {
    out(JSON.stringify({ running, ...now }))
    return 0
  }
  out(`${now.node} of ${now.app}/${now.ring}: ${now.phase}${running ? '' : ', no puller is running'}`)
  out(
    `  hot ${now.hot ?? 'nothing yet'}, cold ${now.cold ?? 'not complete'}${now.armed ? ' (armed)' : ''}, generation ${now.generation}`,
  )
  if (now.refusal !== null) out(`  refuses ${now.refusal.build}: ${now.refusal.code}: ${now.refusal.message}`)
  for (const { code, message } of now.troubles) out(`  ${code}: ${message}`)
  return 0
}

async function statusOfRoot(config: PullerConfig, trees: Trees, log: Logger): Promise<NodeStatus> {
  const { app, ring, node } = config
  const { start, accepted, troubles } = await resume(
    { trees: unlooked(trees), log },
    { app, ring, node },
    new AbortController().signal,
  )
  const { generation } = accepted.ratchet
  return statusOf(start.state, { app, ring, node, generation, troubles, progress: null, nowMs: systemClock.now() })
}

/** For a look that must be quick: hot is taken as it lies. */
function unlooked(trees: Trees): Trees {
  return new Proxy(trees, {
    get: (target, key) => {
      if (key === 'survey') return async () => ({ ...(await target.survey()), unclean: false })
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Opens the root of a puller that is not running, and leaves it as clean as it was. */
async function withRoot<result>(
  config: PullerConfig,
  work: (config: PullerConfig, trees: Trees, log: Logger) => Promise<result>,
): Promise<result> {
  const log = createLogger({ level: 'warn', name: 'puller', fd: 2 })
  const store = await openStore(defined(config.store), { clock: systemClock, log })
  const trees = await openRoot(config, log, store)
  const { unclean } = await trees.survey()
  try {
    return await work(config, trees, log)
  } finally {
    await trees.close(!unclean)
  }
}

async function verify(config: PullerConfig, call: Call): Promise<number> {
  const reply = await askControl(config.root, 'POST', '/verify', 3_600_000)
  if (reply !== null && reply.code !== 200) throw new FleetError('TREE_DIFFERS', JSON.stringify(reply.body))
  const seen =
    reply === null
      ? await withRoot(config, (_config, trees) => verifyTrees(trees, new AbortController().signal))
      : (reply.body as readonly Verified[])
  const differs = seen.some(({ missing, extra, changed }) => missing.length + extra.length + changed.length > 0)
  if (call.json) {
    out(JSON.stringify({ differs, trees: seen }))
    return differs ? 1 : 0
  }
  if (seen.length === 0) out('there is no sealed tree yet')
  for (const { role, build, missing, extra, changed } of seen) {
    const same = missing.length + extra.length + changed.length === 0
    out(
      `${role} ${build}: ${same ? 'as its manifest says' : `differs: +${extra.length} -${missing.length} ~${changed.length}`}`,
    )
    for (const path of extra) out(`  + ${path}`)
    for (const path of missing) out(`  - ${path}`)
    for (const path of changed) out(`  ~ ${path}`)
  }
  return differs ? 1 : 0
}

/** Break-glass on the node: asks the running puller, or does it without one. */
async function rollback(config: PullerConfig): Promise<number> {
  const reply = await askControl(config.root, 'POST', '/rollback', 5_000)
  if (reply === null) return await withRoot(config, rollbackAlone)
  const body = reply.body as { to?: string; message?: string }
  if (reply.code !== 202) throw new FleetError('NO_PREVIOUS', body.message ?? 'the puller refused')
  const limitMs = systemClock.monotonic() + 600_000
  for (;;) {
    const now = (await askControl(config.root, 'GET', '/status', 5_000))?.body as NodeStatus | undefined
    if (now === undefined) throw new FleetError('ROLLOUT_FAILED', 'the puller ended while it rolled back')
    if (now.phase === 'parked') return told(now, body.to ?? '')
    if (systemClock.monotonic() > limitMs)
      throw new FleetError('ROLLOUT_FAILED', `still ${now.phase} after ten minutes`)
    await systemClock.sleep(100)
  }
}

function told(now: NodeStatus, to: string): number {
  if (now.hot === to) {
    out(`${now.node} runs ${to} again and stays parked until a record of another rollout or a recall arrives`)
    return 0
  }
  const why = now.troubles.map(({ message }) => message).join('; ')
  throw new FleetError('ROLLOUT_FAILED', `${now.node} runs ${now.hot ?? 'nothing'}, not ${to}: ${why}`)
}

async function rollbackAlone(config: PullerConfig, trees: Trees, log: Logger): Promise<number> {
  const options = nodeOptions(config)
  const { client, maintenance } = consulOf(config, log, null)
  const observer = { status: () => {}, staged: () => {}, swapped: () => {}, jobFinished: () => {} }
  const world = { trees, upstream: null, maintenance, watch: watchFolder, clock: systemClock, log, observer }
  const stop = new AbortController()
  const found = await resume(world, options.reader, stop.signal)
  const to = rollbackTo(found.start.state)
  if (to === null) throw new FleetError('NO_PREVIOUS', refusal(found.start.state).message)
  let last: NodeStatus | null = null
  try {
    await runNode(options, world, found, stop.signal, ({ loop, status: statusNow }) => {
      loop.send({ type: 'rollback', by: 'the operator' })
      // The machine itself ends by coming to rest: told to stop now, it finishes the swap first.
      const watch = async (): Promise<void> => {
        while (loop.state().phase !== 'parked') await systemClock.sleep(20)
        last = statusNow()
        stop.abort(new Error('rolled back'))
      }
      void watch()
    })
  } finally {
    client.close()
  }
  if (last === null) throw new FleetError('ROLLOUT_FAILED', 'the node stopped before it was parked')
  return told(last, to.build)
}
