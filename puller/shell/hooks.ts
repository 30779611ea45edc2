// Owns running a hook: what it is told, how long it may take, and how its failure reads.
import { stripVTControlCharacters } from 'node:util'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Phase } from '#fleet/node-status.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { type ChildEnd, runChild } from './child.ts'

/** A command of the operator's: no shell, working directory `<root>`. */
export interface Hook {
  readonly argv: readonly string[]
  readonly timeoutSeconds: number
}

/** What every hook is told, as `HOTCOLD_*` variables. */
export interface HookEnvironment {
  readonly app: string
  readonly ring: string
  readonly node: string
  /** The build that is to run when all goes well. */
  readonly build: string
  /** The build that ran before, null on a first deploy. */
  readonly previous: string | null
  readonly generation: number
  readonly rollout: string | null
  readonly root: string
  readonly phase: Phase
  readonly attempt: number
  /** Absolute path of the tree that was staged; for the hook that is about it. */
  readonly tree?: string
}

/** The variables of a hook; what is not known is the empty string. */
export function hookVariables(env: HookEnvironment): Record<string, string> {
  return {
    HOTCOLD_APP: env.app,
    HOTCOLD_RING: env.ring,
    HOTCOLD_NODE: env.node,
    HOTCOLD_BUILD: env.build,
    HOTCOLD_PREVIOUS: env.previous ?? '',
    HOTCOLD_GENERATION: String(env.generation),
    HOTCOLD_ROLLOUT: env.rollout ?? '',
    HOTCOLD_ROOT: env.root,
    HOTCOLD_PHASE: env.phase,
    HOTCOLD_ATTEMPT: String(env.attempt),
    ...(env.tree !== undefined && { HOTCOLD_TREE: env.tree }),
  }
}

/**
 * Runs a hook to its end, in a process group of its own that does not outlive it: what must go on running belongs to a service manager, or
 * starts with `setsid`. Hooks are run at least once: after a crash the same one may run again, with the same `HOTCOLD_ROLLOUT` and `HOTCOLD_ATTEMPT`.
 * @param name as the config calls it: `assets`, `beforeDrain`, `afterSwap`, `afterVerify`
 * @returns the last 64 KiB of what it printed
 * @throws FleetError `HOOK_FAILED` · `HOOK_TIMEOUT` · `SPAWN_FAILED`; the signal's reason when it fired, once the hook is gone
 */
export async function runHook(
  name: string,
  hook: Hook,
  env: HookEnvironment,
  world: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<{ output: string; ms: number }> {
  const end = await runChild(
    {
      what: `hook ${name}`,
      argv: hook.argv,
      cwd: env.root,
      env: { ...process.env, ...hookVariables(env) },
      timeoutMs: hook.timeoutSeconds * 1_000,
    },
    world.clock,
    signal,
  )
  reportLeftovers(name, end, world.log)
  if (end.by === 'abort') throw signal.reason
  if (end.by === 'timeout') {
    throw new FleetError(
      'HOOK_TIMEOUT',
      `hook ${name} ran longer than ${formatDuration(hook.timeoutSeconds * 1_000)} and was ended${lastWords(end.output)}`,
    )
  }
  if (end.code !== 0) throw new FleetError('HOOK_FAILED', `hook ${name} ${ending(end)}${lastWords(end.output)}`)
  world.log.debug('hook ended', { hook: name, ms: Math.round(end.ms), output: end.output })
  return { output: end.output, ms: end.ms }
}

function reportLeftovers(name: string, end: ChildEnd, log: Logger): void {
  if (end.leftovers) log.warn('hook left processes behind, they were ended', { hook: name })
  if (end.outputHeld) log.warn('hook left a daemon that holds its output open', { hook: name })
}

/** `exited with 3`, or `was ended by SIGSEGV`. */
export function ending(end: Pick<ChildEnd, 'code' | 'signal'>): string {
  return end.signal === null ? `exited with ${end.code}` : `was ended by ${end.signal}`
}

/** `; last output: …` from the last line that says something, or nothing. Made safe for one line of a log, a status and a terminal. */
export function lastWords(output: string): string {
  const lines = stripVTControlCharacters(output)
    .replace(/[^\P{C}\n]/gu, ' ')
    .split('\n')
  const last = lines.findLast((line) => line.trim() !== '')?.trim()
  if (last === undefined) return ''
  return `; last output: ${last.length > 200 ? `…${last.slice(-200)}` : last}`
}
