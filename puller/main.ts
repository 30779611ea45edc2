// Owns the puller's command line and puts the program together: config, adapters, the running node.
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { catalog } from '#adapters/consul/catalog.ts'
import { connectConsul } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { consulMaintenance } from '#adapters/consul/maintenance.ts'
import { pins } from '#adapters/consul/pins.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { measuredStore } from '#adapters/measured-store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { closest } from '#adapters/runtime/closest.ts'
import { readConfigFile } from '#adapters/runtime/config-file.ts'
import { createLogger } from '#adapters/runtime/logger.ts'
import { giveMemoryBack } from '#adapters/runtime/memory.ts'
import { listenForShutdown } from '#adapters/runtime/shutdown.ts'
import { openSupervisor } from '#adapters/runtime/supervisor.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { openStore } from '#adapters/store.ts'
import { exitCodeOf, FleetError, isFleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { BuildStore, Logger } from '#fleet/ports.ts'
import { defined, type PullerConfig, pullerSchema } from './config.ts'
import { rollbackTo } from './core/machine.ts'
import { statusOf } from './core/report.ts'
import { createMetrics, type PullerMetrics } from './metrics.ts'
import { becomeOwner, ownerOfRoot } from './shell/belongs.ts'
import { type Call, complaint, parseCall, USAGE, type Verb } from './shell/call.ts'
import { nothingToGoBackTo, type Verified, verifyTrees } from './shell/commands.ts'
import { askControl, listenOn } from './shell/listen.ts'
import { type NodeOptions, type RunningNode, resume, runNode } from './shell/node.ts'
import { differs, rollbackLine, statusLines, verifyLines } from './shell/tell.ts'
import { openTrees, type Trees } from './shell/trees.ts'

function out(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

/** Runs one command to its end; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    out(USAGE)
    return 0
  }
  try {
    const call = parseCall(argv, { env: process.env, exists: existsSync, closest })
    const config = readConfigFile(call.config, pullerSchema, { hostname: hostname().toLowerCase(), env: process.env })
    return await COMMANDS[call.verb](config, call)
  } catch (error) {
    process.stderr.write(`${complaint(error)}\n`)
    if (isFleetError(error, 'ROOT_TAKEN')) return 75
    return exitCodeOf(error)
  }
}

const COMMANDS: Readonly<Record<Verb, (config: PullerConfig, call: Call) => Promise<number>>> = {
  run: (config) => run(config),
  status,
  verify,
  rollback,
  'check-config': checkConfig,
}

/** Also what only the clients can tell: whether the store's URL names a store, and Consul's files can be read. Nothing is asked of either. */
async function checkConfig(config: PullerConfig, call: Call): Promise<number> {
  const log = createLogger({ level: 'warn', name: 'puller', fd: 2 })
  await openStore(defined(config.store), { clock: systemClock, log })
  consulOf(config, log, null).client.close()
  out(`${call.config} is in order`)
  return 0
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
  const client = connectConsul(options, { clock: systemClock, log, ...(metrics && { onRequest: metrics.consul }) })
  return { client, maintenance: consulMaintenance(client) }
}

async function run(config: PullerConfig): Promise<number> {
  using shutdown = listenForShutdown()
  const { app, ring, node } = config
  const log = createLogger({ level: config.log.level, name: 'puller' })
  const supervisor = openSupervisor(process.env, { clock: systemClock, log })
  shutdown.signal.addEventListener('abort', () => void supervisor.stopping(), { once: true })
  const metrics = createMetrics(systemClock)
  const opened = await openStore({ ...defined(config.store), mustExist: true }, { clock: systemClock, log })
  const store = measuredStore(opened, systemClock, metrics.store)
  const trees = await openRoot(config, log, store)
  let clean = false
  const { client, maintenance } = consulOf(config, log, metrics)
  let running: RunningNode | null = null
  const ended = new AbortController()
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
    const around = { clock: systemClock, log, watch: watchFolder, giveMemoryBack }
    const world = { ...around, trees, upstream, maintenance, observer: metrics }
    const options = nodeOptions(config)
    const found = await resume(world, options.reader, shutdown.signal)
    await runNode(options, world, found, shutdown.signal, (ready) => {
      running = ready
      void supervisor.ready(`follows ${app}/${ring}`)
      // Until the end, not until the stop: to finish what was begun may take longer than the watchdog waits.
      void supervisor.watch(() => whereItStands(config.root), ended.signal)
    })
    clean = true
    log.info('puller stopped', {})
    return 0
  } catch (error) {
    if (shutdown.signal.aborted && error === shutdown.signal.reason) return 0
    log.error('puller ends because of an error', { error })
    throw error
  } finally {
    ended.abort(new Error('the puller ends'))
    await listening?.close()
    client.close()
    await trees.close(clean)
  }
}

/** Asks this very puller by its own socket, as an operator would. @throws FleetError when it does not answer */
async function whereItStands(root: string): Promise<string> {
  const reply = await askControl(root, 'GET', '/status', OWN_ANSWER_MS)
  if (reply === null) throw new FleetError('ROOT_TAKEN', 'the puller does not listen on its own socket')
  const { phase, hot, generation } = reply.body as NodeStatus
  return `${phase}, runs ${hot ?? 'nothing'}, ${generation < 0 ? 'no order yet' : `generation ${generation}`}`
}

/** A puller that is well answers within milliseconds. */
const OWN_ANSWER_MS = 5_000

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
  const now = reply === null ? await withRoot(config, statusOfRoot) : (reply.body as NodeStatus)
  if (call.json) out(JSON.stringify({ running: reply !== null, ...now }))
  else out(...statusLines(now, reply !== null))
  return 0
}

async function statusOfRoot(config: PullerConfig, trees: Trees, log: Logger): Promise<NodeStatus> {
  const { app, ring, node } = config
  const { start, accepted, troubles } = await resume({ trees, log }, { app, ring, node }, null)
  const { generation } = accepted.ratchet
  return statusOf(start.state, { app, ring, node, generation, troubles, progress: null, nowMs: systemClock.now() })
}

/** Opens the root of a puller that is not running, and leaves it as clean as it was. */
async function withRoot<result>(
  config: PullerConfig,
  work: (config: PullerConfig, trees: Trees, log: Logger) => Promise<result>,
): Promise<result> {
  becomeOwner(ownerOfRoot(config.root))
  const log = createLogger({ level: 'warn', name: 'puller', fd: 2 })
  const store = await openStore({ ...defined(config.store), mustExist: true }, { clock: systemClock, log })
  const trees = await openRoot(config, log, store)
  let clean = false
  try {
    clean = !(await trees.survey()).unclean
    return await work(config, trees, log)
  } catch (error) {
    // A refusal touched nothing; anything else may have left something half done.
    clean &&= isFleetError(error, 'NO_PREVIOUS')
    throw error
  } finally {
    await trees.close(clean)
  }
}

async function verify(config: PullerConfig, call: Call): Promise<number> {
  const reply = await askControl(config.root, 'POST', '/verify', 3_600_000)
  if (reply !== null && reply.code !== 200) {
    const { message = 'it could not' } = reply.body as { message?: string }
    throw new FleetError('ROOT_BUSY', message)
  }
  const look = (_config: PullerConfig, trees: Trees) => verifyTrees(trees, new AbortController().signal)
  const trees = reply === null ? await withRoot(config, look) : (reply.body as readonly Verified[])
  if (call.json) out(JSON.stringify({ differs: differs(trees), trees }))
  else out(...verifyLines(trees))
  return differs(trees) ? 1 : 0
}

/** Break-glass on the node: asks the running puller, or does it without one. */
async function rollback(config: PullerConfig): Promise<number> {
  const reply = await askControl(config.root, 'POST', '/rollback', 5_000)
  if (reply === null) return await withRoot(config, rollbackAlone)
  const { to = '', message = 'the puller refused' } = reply.body as { to?: string; message?: string }
  if (reply.code !== 202) throw new FleetError('NO_PREVIOUS', message)
  const endMs = systemClock.monotonic() + ROLLBACK_LIMIT_MS
  for (;;) {
    const now = (await askControl(config.root, 'GET', '/status', 5_000))?.body as NodeStatus | undefined
    if (now === undefined) throw new FleetError('ROLLOUT_FAILED', 'the puller ended while it rolled back')
    if (now.phase === 'parked') {
      out(rollbackLine(now, to))
      return 0
    }
    if (systemClock.monotonic() > endMs) throw new FleetError('ROLLOUT_FAILED', `still ${now.phase} after ten minutes`)
    await systemClock.sleep(100)
  }
}

/** Longer than any drain, hooks and verify that make sense. */
const ROLLBACK_LIMIT_MS = 600_000

async function rollbackAlone(config: PullerConfig, trees: Trees, log: Logger): Promise<number> {
  const options = nodeOptions(config)
  const { client, maintenance } = consulOf(config, log, null)
  const observer = { status: () => {}, staged: () => {}, swapped: () => {}, jobFinished: () => {} }
  const around = { clock: systemClock, log, watch: watchFolder, giveMemoryBack }
  const world = { ...around, trees, upstream: null, maintenance, observer }
  const stop = new AbortController()
  const found = await resume(world, options.reader, stop.signal)
  const to = rollbackTo(found.start.state)
  if (to === null) throw new FleetError('NO_PREVIOUS', nothingToGoBackTo(found.start.state).message)
  const parked = Promise.withResolvers<NodeStatus>()
  const watch = async ({ loop, status: now }: RunningNode): Promise<void> => {
    loop.send({ type: 'rollback', by: 'the operator' })
    while (loop.state().phase !== 'parked') await systemClock.sleep(20)
    parked.resolve(now())
    stop.abort(new Error('rolled back'))
  }
  try {
    await runNode(options, world, found, stop.signal, (node) => void watch(node))
  } finally {
    client.close()
  }
  out(rollbackLine(await parked.promise, to.build))
  return 0
}

// The launcher beside this file is how people start it; under Node 26 this file can be started too.
if (import.meta.main) process.exit(await main(process.argv.slice(2)))
