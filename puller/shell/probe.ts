// Owns the verdict on a build that was just activated: healthy without a break for long enough, and really this build.
import type { BuildId } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import { describeError, FleetError } from '#fleet/errors.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { type Answer, ask } from './ask.ts'
import { runChild } from './child.ts'
import { ending, type Hook, type HookEnvironment, hookVariables, lastWords } from './hooks.ts'
import { answeringBuild, type Identity } from './identity.ts'

export type { Identity } from './identity.ts'

/** How a build proves itself. With neither `http` nor `command` there is nothing to prove. */
export interface VerifyConfig {
  /** Asked by GET; only a 2xx passes. */
  readonly http?: string | undefined
  /** Passes with exit 0; its time is that of one probe. It is told the build as `HOTCOLD_BUILD`. */
  readonly command?: Hook | undefined
  /** Sent with the HTTP probe, for instance `host`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Every probe must pass for this long, and at least two must: a first good answer proves nothing. */
  readonly healthySeconds: number
  /** All of it must be over by then. */
  readonly timeoutSeconds: number
  /** From the end of one probe to the start of the next. */
  readonly intervalMs: number
  /** Where the HTTP answer carries the build id; a command's output is never asked for it. */
  readonly identity: Identity
}

/** Longest time one HTTP probe may take. */
const PROBE_MS = 5_000

/** Why a probe did not pass. */
interface Failure {
  readonly code: 'VERIFY_FAILED' | 'IDENTITY_MISMATCH'
  readonly message: string
  /** The deadline ended the probe, not its own limit: says nothing that an earlier failure does not say better. */
  readonly cut?: boolean
}

/**
 * Probes until the build was healthy for `healthySeconds` without a break, or until the time is up. An early failure proves as little as
 * an early success (the old process may still answer while the new one starts), so only the deadline says no.
 * @throws FleetError `VERIFY_FAILED` · `IDENTITY_MISMATCH` (the last probe that failed met another build); the signal's reason when it fired
 */
export async function verify(
  config: VerifyConfig | null,
  ctx: { readonly build: BuildId; readonly env: HookEnvironment },
  world: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<{ ms: number; probes: number }> {
  const { clock, log } = world
  const startedMs = clock.monotonic()
  if (config === null || (config.http === undefined && config.command === undefined)) return { ms: 0, probes: 0 }
  const deadlineMs = startedMs + config.timeoutSeconds * 1_000
  const tally = { probes: 0, passed: 0, streak: 0, healthyFromMs: 0 }
  let last: Failure | null = null

  while (clock.monotonic() < deadlineMs || tally.probes === 0) {
    const askedMs = clock.monotonic()
    const failure = await probe(config, ctx, Math.max(1, deadlineMs - askedMs), clock, signal)
    signal.throwIfAborted()
    tally.probes += 1
    if (failure === null) {
      tally.passed += 1
      tally.streak += 1
      if (tally.streak === 1) tally.healthyFromMs = askedMs
      const healthyMs = clock.monotonic() - tally.healthyFromMs
      if (tally.streak >= 2 && healthyMs >= config.healthySeconds * 1_000) {
        return { ms: clock.monotonic() - startedMs, probes: tally.probes }
      }
    } else {
      tally.streak = 0
      if (failure.message !== last?.message) log.info('probe failed', { build: ctx.build, error: failure.message })
      if (!failure.cut || last === null) last = failure
    }
    const restMs = Math.min(config.intervalMs, deadlineMs - clock.monotonic())
    if (restMs > 0) await clock.sleep(restMs, signal)
  }
  throw notHealthy(config, tally, last)
}

function notHealthy(config: VerifyConfig, tally: { probes: number; passed: number }, last: Failure | null): FleetError {
  const within = `within ${formatDuration(config.timeoutSeconds * 1_000)}`
  const need = `healthy for ${formatDuration(config.healthySeconds * 1_000)} without a break`
  const passed = `${tally.passed} of ${tally.probes} probes passed`
  if (last === null) return new FleetError('VERIFY_FAILED', `not ${need} ${within}: ${passed}, the time was too short`)
  return new FleetError(last.code, `not ${need} ${within}: ${passed}, the last failure: ${last.message}`)
}

/** One probe: HTTP, then the command. Null when everything passed. */
async function probe(
  config: VerifyConfig,
  ctx: { readonly build: BuildId; readonly env: HookEnvironment },
  leftMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Failure | null> {
  if (config.http !== undefined) {
    const options = { headers: config.headers, timeoutMs: Math.min(PROBE_MS, leftMs) }
    const answer = await ask(config.http, options, signal).catch((error: unknown) => describeError(error))
    const failure = judge(config, ctx.build, answer)
    if (failure !== null) return { ...failure, cut: typeof answer === 'string' && leftMs < PROBE_MS }
  }
  return config.command === undefined ? null : await probeByCommand(config.command, ctx.env, leftMs, clock, signal)
}

function judge(config: VerifyConfig, build: BuildId, answer: Answer | string): Failure | null {
  if (typeof answer === 'string') return { code: 'VERIFY_FAILED', message: `${config.http} did not answer: ${answer}` }
  if (answer.status < 200 || answer.status > 299) {
    return { code: 'VERIFY_FAILED', message: `${config.http} answered ${answer.status}${lastWords(answer.body)}` }
  }
  const found = answeringBuild(config.identity, answer, build)
  if (found.matches) return null
  return { code: 'IDENTITY_MISMATCH', message: `${config.http} ${found.instead}, not ${build}` }
}

async function probeByCommand(
  command: Hook,
  env: HookEnvironment,
  leftMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Failure | null> {
  const timeoutMs = Math.min(command.timeoutSeconds * 1_000, leftMs)
  const variables = { ...process.env, ...hookVariables(env) }
  const order = { what: 'the verify command', argv: command.argv, cwd: env.root, env: variables, timeoutMs }
  try {
    const end = await runChild(order, clock, signal)
    if (end.by === 'itself' && end.code === 0) return null
    const how = end.by === 'timeout' ? `did not end within ${formatDuration(timeoutMs)}` : ending(end)
    const cut = end.by === 'timeout' && timeoutMs === leftMs
    return { code: 'VERIFY_FAILED', message: `the verify command ${how}${lastWords(end.output)}`, cut }
  } catch (error) {
    return { code: 'VERIFY_FAILED', message: describeError(error) }
  }
}
