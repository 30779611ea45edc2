// Owns publishing the assets of a staged tree: what is cold does not count as staged before the operator's hook has done that.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { type Hook, type HookEnvironment, runHook } from './hooks.ts'

/**
 * Runs the `assets` hook, if there is one.
 * @throws FleetError `ASSETS_FAILED`: another word than for the hooks of a move, because it says nothing of the build · the signal's reason
 */
export async function publishAssets(
  hook: Hook | undefined,
  env: HookEnvironment & { readonly tree: string },
  world: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  if (hook === undefined) return
  try {
    const { ms } = await runHook('assets', hook, env, world, signal)
    world.log.info('hook finished', { hook: 'assets', build: env.build, ms: Math.round(ms) })
  } catch (error) {
    signal.throwIfAborted()
    throw isFleetError(error) ? new FleetError('ASSETS_FAILED', error.message, { cause: error }) : error
  }
}
