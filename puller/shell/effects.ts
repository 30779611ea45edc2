// Owns doing what the machine asks: one function per job, its outcome as an event, and nothing decided here.

import { assert } from '#fleet/assert.ts'
import { backoffMs } from '#fleet/backoff.ts'
import { describeError, type ErrorCode, FleetError, isFleetError } from '#fleet/errors.ts'
import type { Maintenance, WatchFolder } from '#fleet/node-ports.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { spareIn } from '../core/recover.ts'
import { type ColdTree, type Job, type NodeState, type Outcome, PAUSES, same } from '../core/state.ts'
import type { StageProgress, StageResult } from '../core/trees.ts'
import type { Reader } from './accepted.ts'
import { publishAssets } from './assets.ts'
import { type DrainConfig, drain, undrain } from './drain/drain.ts'
import { type Hook, type HookEnvironment, runHook } from './hooks.ts'
import { type VerifyConfig, verify } from './probe.ts'
import type { Trees } from './trees.ts'
import type { Turns } from './turn.ts'

export interface EffectsOptions {
  readonly reader: Reader
  readonly root: string
  readonly drain: DrainConfig
  readonly hooks: Readonly<Partial<Record<'assets' | 'beforeDrain' | 'afterSwap' | 'afterVerify', Hook | undefined>>>
  readonly verify: VerifyConfig | null
  /** Before the fallback is fetched again in the background: a fixed part, and a random one that spreads a ring. */
  readonly rearm: { readonly delaySeconds: number; readonly spreadSeconds: number }
  /** The failpoint of the demo's control run: draining returns at once. */
  readonly skipDrain: boolean
}

export interface EffectsWorld {
  readonly trees: Trees
  readonly turns: Turns
  readonly clock: Clock
  readonly log: Logger
  readonly maintenance: Maintenance
  readonly watch: WatchFolder
  readonly onProgress: (progress: StageProgress | null) => void
  readonly onStaged: (result: StageResult) => void
}

/** Between rounds of lifting maintenance while Consul is away; each round takes about 15 s itself. */
const LIFT_AGAIN_MS = 15_000

/** Runs one job to its outcome. Rejects only when aborted, or by a bug of ours. */
export type Perform = (job: Job, state: NodeState, signal: AbortSignal) => Promise<Outcome>

type Failure = Exclude<Extract<Outcome, { readonly code: ErrorCode }>['type'], 'fetchBlocked'>

/** What drains, hooks and verify are told of the move in hand; on the way back, `build` is what is gone back to. */
function environmentOf(state: NodeState, options: Pick<EffectsOptions, 'reader' | 'root'>): HookEnvironment {
  const { move, phase, order, hot } = state
  const back = phase === 'reverting'
  const build = (back ? move?.from : move?.to) ?? hot
  const previous = back ? move?.to : move?.from
  return {
    ...options.reader,
    build: build?.build ?? '',
    previous: previous?.build ?? null,
    generation: order?.target.generation ?? 0,
    rollout: order?.target.rollout ?? null,
    root: options.root,
    phase,
    attempt: order?.target.attempt ?? 1,
  }
}

/** Whether a job leaves no trace outside this process under these options: asking for the turn, and a drain with nothing to do. */
export function tracelessUnder({ drain: { kind, maintenance, propagationSeconds }, hooks }: EffectsOptions) {
  const nothingToDrain =
    kind === 'none' && maintenance === undefined && propagationSeconds === 0 && hooks.beforeDrain === undefined
  return (job: Job): boolean => job.kind === 'turn' || (job.kind === 'drain' && nothingToDrain)
}

export function openEffects(options: EffectsOptions, world: EffectsWorld): Perform {
  const { trees, clock, log } = world
  let lifting: AbortController | null = null

  async function stage(job: Extract<Job, { kind: 'stage' }>, state: NodeState, signal: AbortSignal): Promise<Outcome> {
    const { n, held } = job
    const { assets } = options.hooks
    const env = { ...environmentOf(state, options), build: held.build, previous: state.hot?.build ?? null }
    const survey = await trees.survey()
    const there = same(survey.cold, held)
    if (there && survey.armed) return { type: 'fetched', n, armed: true, drift: [], busy: null }
    try {
      const result = await trees.stage(
        { ...held, mode: there ? 'sweep' : 'stage' },
        {
          signal,
          onProgress: world.onProgress,
          beforeArm: (tree) => publishAssets(assets, { ...env, tree }, world, signal),
        },
      )
      world.onStaged(result)
      log.info('cold is complete', {
        build: held.build,
        how: result.how,
        fetchedBytes: result.fetchedBytes,
        writtenFiles: result.writtenFiles,
        ms: Math.round(result.ms),
      })
      return { type: 'fetched', n, armed: result.armed, drift: result.drift, busy: result.busy }
    } finally {
      world.onProgress(null)
    }
  }

  async function stageOrTell(
    job: Extract<Job, { kind: 'stage' }>,
    state: NodeState,
    signal: AbortSignal,
  ): Promise<Outcome> {
    try {
      return await stage(job, state, signal)
    } catch (error) {
      signal.throwIfAborted()
      return { type: 'fetchBlocked', n: job.n, ...telling('stage', error, 'DISK_ERROR'), cold: await spareNow() }
    }
  }

  /** On a disk that cannot even be looked at, nothing is known to be complete. */
  async function spareNow(): Promise<ColdTree | null> {
    try {
      return spareIn(await trees.survey())
    } catch (error) {
      log.warn('trees could not be looked at', { detail: describeError(error) })
      return null
    }
  }

  async function wait(job: Extract<Job, { kind: 'wait' }>, signal: AbortSignal): Promise<Outcome> {
    const { delaySeconds, spreadSeconds } = options.rearm
    const ms =
      job.pause === 'rearm'
        ? (delaySeconds + spreadSeconds * clock.random()) * 1_000
        : backoffMs(PAUSES[job.pause], job.tries, clock.random())
    await clock.sleep(ms, signal)
    return { type: 'waited', n: job.n }
  }

  async function takeOut(
    job: Extract<Job, { kind: 'drain' }>,
    state: NodeState,
    signal: AbortSignal,
  ): Promise<Outcome> {
    lifting?.abort(new Error('the node is drained again'))
    const env = environmentOf(state, options)
    const { beforeDrain } = options.hooks
    if (beforeDrain !== undefined) await runHook('beforeDrain', beforeDrain, env, world, signal)
    if (options.skipDrain) {
      log.warn('draining is skipped by a failpoint', { build: env.build })
      return { type: 'drained', n: job.n }
    }
    // What runs now never proved itself: an application that cannot even say that it is idle must not keep the next build out.
    const config: DrainConfig = job.insist ? options.drain : { ...options.drain, onTimeout: 'proceed' }
    const { waitedMs, timedOut } = await drain(config, { root: options.root, env }, world, signal)
    log.info('drained', { build: env.build, waitedMs: Math.round(waitedMs), timedOut })
    return { type: 'drained', n: job.n }
  }

  /**
   * What `beforeDrain` did is undone by `afterVerify`, also where the drain is given up: what runs had passed its verification, and a node
   * that leaves draining goes back into service. Not to be cancelled, and its failure stops nothing: maintenance is lifted either way.
   */
  async function undoBeforeDrain(state: NodeState): Promise<void> {
    if (options.hooks.beforeDrain === undefined) return
    try {
      await hook('afterVerify', state, new AbortController().signal)
    } catch (error) {
      log.error('hook failed while the drain was undone', { hook: 'afterVerify', error })
    }
  }

  /** Lifting goes on beside the machine where Consul is away for long: the node is idle by then, and must be able to move again. */
  async function putBack(state: NodeState): Promise<void> {
    lifting?.abort(new Error('the node is put back by another'))
    const ours = new AbortController()
    lifting = ours
    const lift = () => undrain(options.drain, { root: options.root, env: environmentOf(state, options) }, world)
    if (await lift()) return
    const goOn = async (): Promise<void> => {
      for (let lifted = false; !lifted && !ours.signal.aborted; ) {
        await clock.sleep(LIFT_AGAIN_MS, ours.signal)
        lifted = await lift()
      }
    }
    goOn().catch((error: unknown) => {
      if (!ours.signal.aborted) log.error('lifting maintenance ended in an unforeseen way', { error })
    })
  }

  async function swap(job: Extract<Job, { kind: 'swap' }>, state: NodeState): Promise<Outcome> {
    try {
      await trees.swap(job.to)
    } catch (error) {
      // The link may have moved before what failed: where it points decides, not the error.
      const survey = await trees.survey()
      if (survey.hotTree !== job.to) throw error
      log.warn('hot link moved, but what came after it failed', { detail: describeError(error) })
    }
    world.turns.swapped(state)
    return { type: 'swapped', n: job.n }
  }

  async function hook(name: 'afterSwap' | 'afterVerify', state: NodeState, signal: AbortSignal): Promise<void> {
    const configured = options.hooks[name]
    if (configured === undefined) return
    const { ms } = await runHook(name, configured, environmentOf(state, options), world, signal)
    log.info('hook finished', { hook: name, ms: Math.round(ms) })
  }

  function telling(job: string, error: unknown, fallback: ErrorCode): { code: ErrorCode; message: string } {
    if (!isFleetError(error)) log.error('a job failed in an unforeseen way', { job, error })
    return { code: isFleetError(error) ? error.code : fallback, message: describeError(error) }
  }

  async function attempt(
    type: Failure,
    fallback: ErrorCode,
    n: number,
    signal: AbortSignal,
    run: () => Promise<Outcome>,
  ) {
    try {
      return await run()
    } catch (error) {
      signal.throwIfAborted()
      return { type, n, ...telling(type, error, fallback) }
    }
  }

  return async (job, state, signal) => {
    const { n } = job
    switch (job.kind) {
      case 'stage':
        return await stageOrTell(job, state, signal)
      case 'wait':
        return await wait(job, signal)
      case 'turn': {
        const why = await world.turns.ask(state, signal)
        return why === null ? { type: 'turnGranted', n } : { type: 'turnHeld', n, code: 'PINNED', message: why }
      }
      case 'drain':
        return await attempt('drainFailed', 'DRAIN_TIMEOUT', n, signal, () => takeOut(job, state, signal))
      case 'undrain':
        if (state.phase === 'draining') await undoBeforeDrain(state)
        await putBack(state)
        return { type: 'undrained', n }
      case 'swap':
        return await attempt('swapFailed', 'SWAP_FAILED', n, signal, () => swap(job, state))
      case 'afterSwap':
        return await attempt('restartFailed', 'HOOK_FAILED', n, signal, async () => {
          await hook('afterSwap', state, signal)
          return { type: 'restarted', n }
        })
      case 'verify':
        return await attempt('verifyFailed', 'VERIFY_FAILED', n, signal, async () => {
          assert(state.hot !== null, 'only what is hot is verified')
          const env = environmentOf(state, options)
          const { ms, probes } = await verify(options.verify, { build: state.hot.build, env }, world, signal)
          log.info('verified', { build: state.hot.build, ms: Math.round(ms), probes })
          return { type: 'verified', n }
        })
      case 'afterVerify':
        return await attempt('finishFailed', 'HOOK_FAILED', n, signal, async () => {
          await hook('afterVerify', state, signal)
          return { type: 'finished', n }
        })
    }
  }
}

/** For the checks of a start, before any job. @throws FleetError `HOT_BROKEN` never: tells it instead */
export async function soundnessOfHot(trees: Trees, log: Logger, signal: AbortSignal): Promise<string | null> {
  const survey = await trees.survey()
  if (!survey.unclean || survey.hot === null || survey.hotTree === null) return null
  log.info('the last puller did not stop cleanly: hot is compared with its manifest', { build: survey.hot.build })
  try {
    const { missing, extra, changed } = await trees.verify(survey.hotTree, signal)
    if (extra.length > 0)
      log.warn('hot holds files that its build does not', { files: extra.slice(0, 10), count: extra.length })
    if (missing.length + changed.length === 0) return null
    return `hot differs from ${survey.hot.build}: -${missing.length} ~${changed.length} (${[...missing, ...changed].slice(0, 5).join(', ')})`
  } catch (error) {
    signal.throwIfAborted()
    // Not being able to look is no proof of anything: what runs goes on running.
    if (!(error instanceof FleetError)) throw error
    log.warn('hot could not be compared with its manifest', { code: error.code, detail: describeError(error) })
    return null
  }
}
