// Owns a node about to be drained in a test: a root with a hot tree, and the world that a drain uses.
import { realpath } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { describeError, type FleetError, isFleetError } from '#fleet/errors.ts'
import type { Maintenance } from '#fleet/node-ports.ts'
import { DRAIN_DEFAULTS, type DrainConfig, type DrainKind, type DrainWorld, drain } from '#puller/shell/drain/drain.ts'
import type { HookEnvironment } from '#puller/shell/hooks.ts'
import { type RecordedLine, recordedLog } from './recorded-log.ts'
import { layHot } from './served-app.ts'
import { tmp } from './tmp.ts'

/** For a config without maintenance: touching it is a bug. */
const untouched: Maintenance = {
  enter: () => Promise.reject(new Error('maintenance was not asked for')),
  leave: () => Promise.reject(new Error('maintenance was not asked for')),
}

export interface DrainedNode {
  readonly root: string
  readonly env: HookEnvironment
  readonly world: DrainWorld
  readonly lines: RecordedLine[]
  /** Starts a drain; 30 s, a reading every 20 ms, abort, unless told. */
  drain(
    config: DrainKind & Partial<DrainConfig>,
    options?: { readonly signal?: AbortSignal; readonly world?: Partial<DrainWorld> },
  ): Promise<{ waitedMs: number; timedOut: boolean }>
  /** What the drain was last said to wait for. */
  waitingFor(): string | null
}

/** A root where build b1 is hot, in tree a. */
export async function drainedNode(t: TestContext): Promise<DrainedNode> {
  const root = await realpath(await tmp(t, 'drain'))
  await layHot(root, 'a', 'b1')
  const { log, lines } = recordedLog()
  const env: HookEnvironment = {
    app: 'web',
    ring: 'production',
    node: 'web-1',
    build: 'b2',
    previous: 'b1',
    generation: 2,
    rollout: 'r-7',
    root,
    phase: 'draining',
    attempt: 1,
  }
  const world: DrainWorld = { clock: systemClock, log, maintenance: untouched, watch: watchFolder }
  return {
    root,
    env,
    world,
    lines,
    drain: (config, options = {}) =>
      drain(
        { ...DRAIN_DEFAULTS, timeoutSeconds: 30, intervalMs: 20, ...config },
        { root, env },
        { ...world, ...options.world },
        options.signal ?? new AbortController().signal,
      ),
    waitingFor: () => {
      const line = lines.findLast(({ message }) => message === 'waiting for the application to become idle')
      return line === undefined ? null : String(line.facts.reason)
    },
  }
}

/** The FleetError that a promise must reject with. */
export async function failureOf(running: Promise<unknown>): Promise<FleetError> {
  const error = await running.then(
    (value) => new Error(`it succeeded with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (isFleetError(error)) return error
  throw error instanceof Error ? error : new Error(describeError(error))
}

/** Whether a promise is still open after everything that is ready by now has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => false,
    () => false,
  )
  return Promise.race([settled, new Promise<true>((resolve) => setTimeout(resolve, 50, true))])
}
