// Owns taking a node out of service before a swap and putting it back: maintenance, propagation, nothing in flight, deadline.
import { backoffMs } from '#fleet/backoff.ts'
import { formatDuration } from '#fleet/duration.ts'
import { describeError, FleetError, isFleetError } from '#fleet/errors.ts'
import type { Maintenance, WatchFolder } from '#fleet/node-ports.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { commandGauge } from './command.ts'
import type { Gauge, GaugeContext } from './gauge.ts'
import { httpGauge } from './http.ts'
import { leasesGauge } from './leases.ts'
import { type ProcessMatch, processesGauge } from './processes.ts'

interface DrainCommon {
  /** How long the application may take to become idle, counted from the end of `propagationSeconds`. */
  readonly timeoutSeconds: number
  /** From one reading to the next. */
  readonly intervalMs: number
  /** `abort`: a node that is still busy at the deadline is not swapped. `proceed`: it is, and that is logged. */
  readonly onTimeout: 'abort' | 'proceed'
  /** Consul's maintenance mode on while drained. `service` is the id that the service is registered under. */
  readonly maintenance?: { readonly service: string } | undefined
  /** How long load balancers may go on sending after maintenance (or `beforeDrain`) took the node off: nothing is counted before. */
  readonly propagationSeconds: number
}

/** How to tell that nothing is in flight (contract: design section 4). */
export type DrainKind =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly headers?: Readonly<Record<string, string>> | undefined
    }
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  /** `dir` is resolved against the root. */
  | { readonly kind: 'leases'; readonly dir: string }
  | { readonly kind: 'processes'; readonly match: ProcessMatch }

export type DrainConfig = DrainCommon & DrainKind
export type { ProcessMatch } from './processes.ts'

/** Defaults of the keys every kind has. */
export const DRAIN_DEFAULTS = {
  timeoutSeconds: 60,
  intervalMs: 250,
  onTimeout: 'abort',
  propagationSeconds: 0,
} as const satisfies DrainCommon

export interface DrainWorld {
  readonly clock: Clock
  readonly log: Logger
  readonly maintenance: Maintenance
  readonly watch: WatchFolder
}

/**
 * Takes the node out of service: maintenance on, wait for propagation, then read until nothing is in flight.
 * Consul being away does not stop a drain: an agent that does not answer keeps nobody in a load balancer, and a rollback must not wait for it.
 * @returns how long it took, and whether it went on (`onTimeout: proceed`) though the application was still busy
 * @throws FleetError `DRAIN_TIMEOUT` when still busy and `onTimeout` is `abort`; `CONSUL_DENIED` when maintenance was refused to us and `onTimeout`
 *   is `abort`; the signal's reason when it fired. Whatever is thrown, the caller undrains.
 */
export async function drain(
  config: DrainConfig,
  ctx: GaugeContext,
  world: DrainWorld,
  signal: AbortSignal,
): Promise<{ waitedMs: number; timedOut: boolean }> {
  const startedMs = world.clock.monotonic()
  signal.throwIfAborted()
  if (config.maintenance !== undefined) await takeOut(config, config.maintenance.service, ctx, world, signal)
  if (config.propagationSeconds > 0) await world.clock.sleep(config.propagationSeconds * 1_000, signal)
  const busy = await waitForIdle(config, ctx, world, signal)
  const waitedMs = world.clock.monotonic() - startedMs
  if (busy === null) return { waitedMs, timedOut: false }
  const detail = `still busy after ${formatDuration(config.timeoutSeconds * 1_000)}: ${busy}`
  if (config.onTimeout === 'abort') {
    throw new FleetError('DRAIN_TIMEOUT', `${detail}; the running build stays and is put back into service`)
  }
  world.log.warn('drain timed out, going on', { build: ctx.env.build, error: detail })
  return { waitedMs, timedOut: true }
}

/** Also the reading at the deadline gets this long: cut shorter, it would say "no answer" in place of the reason. */
const FAIR_READING_MS = 1_000

/** @returns null when idle, else what kept it busy at the deadline */
async function waitForIdle(
  config: DrainConfig,
  ctx: GaugeContext,
  world: DrainWorld,
  signal: AbortSignal,
): Promise<string | null> {
  const { clock, log } = world
  const deadlineMs = clock.monotonic() + config.timeoutSeconds * 1_000
  await using gauge = gaugeOf(config, ctx, world)
  for (let reported = ''; ; ) {
    const busy = await gauge.read(Math.max(FAIR_READING_MS, deadlineMs - clock.monotonic()), signal)
    signal.throwIfAborted()
    if (busy === null) return null
    // The count changes with every reading; a line for each would say nothing new.
    const shape = busy.replace(/\d+/g, '#')
    if (shape !== reported)
      log.info('waiting for the application to become idle', { build: ctx.env.build, reason: busy })
    reported = shape
    const leftMs = deadlineMs - clock.monotonic()
    if (leftMs <= 0) return busy
    await gauge.pause(Math.min(gauge.pollMs ?? config.intervalMs, leftMs), signal)
  }
}

function gaugeOf(config: DrainConfig, ctx: GaugeContext, world: DrainWorld): Gauge {
  switch (config.kind) {
    case 'none':
      return idle
    case 'http':
      return httpGauge(config, world)
    case 'command':
      return commandGauge(config, ctx, world)
    case 'leases':
      return leasesGauge(config, ctx, world)
    case 'processes':
      return processesGauge(config, ctx, world)
  }
}

const idle: Gauge = {
  read: async () => null,
  pause: async () => {},
  [Symbol.asyncDispose]: async () => {},
}

/**
 * The first words of our reason: this very puller, whatever the rollout. After a crash another rollout may be in force, and what the last one
 * left behind must still be lifted; nobody else writes under this name (one puller a root, one session a node).
 */
function ownerOf(ctx: GaugeContext): string {
  return `hotcold ${ctx.env.app}/${ctx.env.ring}/${ctx.env.node}`
}

async function takeOut(
  config: DrainCommon,
  service: string,
  ctx: GaugeContext,
  world: DrainWorld,
  signal: AbortSignal,
): Promise<void> {
  const reason = `swaps in ${ctx.env.build}, rollout ${ctx.env.rollout ?? 'none'}`
  try {
    const outcome = await world.maintenance.enter(service, { owner: ownerOf(ctx), reason }, signal)
    if (outcome === 'entered') return
    const why = outcome === 'foreign' ? 'somebody else put it into maintenance' : 'the agent knows no such service'
    world.log.warn('maintenance is not ours', { service, reason: why })
  } catch (error) {
    signal.throwIfAborted()
    // Refused is a fault of the config, and the load balancer goes on sending: only the operator may have said that this is fine.
    if (isFleetError(error) && error.kind === 'refused' && config.onTimeout === 'abort') throw error
    world.log.warn('maintenance could not be put on, draining without it', { service, error: describeError(error) })
  }
}

/** Waits between tries to lift maintenance, and how many: about 15 s in all. */
const LIFT_BACKOFF = { floorMs: 100, ceilingMs: 4_000 }
const LIFT_TRIES = 8

/**
 * Puts the node back into service: lifts maintenance if it is this puller's own. Never throws.
 * @returns false when it is not known to be lifted yet (Consul away for about 15 s): then it is lifted in the background as soon as Consul is
 *   back, unless the program ends before, so a start calls this again
 */
export async function undrain(
  config: DrainConfig,
  ctx: GaugeContext,
  world: Pick<DrainWorld, 'clock' | 'log' | 'maintenance'>,
): Promise<boolean> {
  if (config.maintenance === undefined) return true
  const { service } = config.maintenance
  for (let attempt = 1; ; attempt += 1) {
    try {
      const outcome = await world.maintenance.leave(service, ownerOf(ctx), NEVER)
      if (outcome === 'foreign') world.log.warn('maintenance is not ours and stays', { service })
      return true
    } catch (error) {
      if (attempt === LIFT_TRIES) {
        const facts = { service, error: describeError(error), fix: `consul maint -disable -service=${service}` }
        // The port goes on trying while this program lives; the fix is for when it does not.
        world.log.error('maintenance could not be lifted', facts)
        return false
      }
      await world.clock.sleep(backoffMs(LIFT_BACKOFF, attempt, world.clock.random()))
    }
  }
}

const NEVER = new AbortController().signal
