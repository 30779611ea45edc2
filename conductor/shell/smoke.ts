// Owns the smoke tests of a drive: one a soak, run beside the turns of the driver, which never wait for it.
import { progressOf, stageOf } from '#conductor/core/progress.ts'
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import { SMOKE_SECONDS } from '#conductor/core/route.ts'
import { describeError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { type CommandEnd, runCommand } from './command.ts'
import type { Place } from './evaluate.ts'

/** The test of one soak: of one stage, since it converged. */
interface Run {
  readonly key: string
  readonly stop: AbortController
  done: Promise<void>
  end: CommandEnd | { readonly error: unknown } | null
}

const MESSAGE_CHARACTERS = 400

export class Smoke {
  readonly #world: { readonly clock: Clock; readonly place: Place }
  #run: Run | null = null
  /** Tests that were told to end. */
  #past: Promise<unknown> = Promise.resolve()

  constructor(world: { readonly clock: Clock; readonly place: Place }) {
    this.#world = world
  }

  /**
   * Starts the smoke test of the stage in hand unless it runs or has run in this soak; once it is over, its outcome as an event. One that
   * could not be started says nothing of the build: the rollout is put on hold, and it is tried again once the hold is lifted.
   */
  look(rollout: Rollout): RolloutEvent | null {
    const key = `${rollout.id} ${rollout.stage} ${progressOf(rollout).convergedAt}`
    // A test of an earlier soak proves nothing any more.
    if (this.#run !== null && this.#run.key !== key) this.stop()
    this.#run ??= this.#start(rollout, key)
    const { end } = this.#run
    if (end === null) return null
    if (!('error' in end))
      return { type: 'smoked', passed: end.passed, message: end.message.slice(0, MESSAGE_CHARACTERS) }
    this.#run = null
    const at = new Date(this.#world.clock.now()).toISOString()
    const why = describeError(end.error).slice(0, MESSAGE_CHARACTERS)
    const reason = `the smoke test of ${stageOf(rollout).ring} did not run: ${why}`
    return { type: 'held', hold: { by: 'conduct', code: 'smoke-not-run', reason, at } }
  }

  #start(rollout: Rollout, key: string): Run {
    const { clock, place } = this.#world
    const { smoke = [], smokeSeconds = SMOKE_SECONDS } = stageOf(rollout)
    const env = { ...place.env, ...smokeVariables(rollout) }
    const command = { argv: smoke, cwd: place.dir, env, timeoutMs: smokeSeconds * 1_000 }
    const run: Run = { key, stop: new AbortController(), end: null, done: Promise.resolve() }
    run.done = runCommand(command, clock, run.stop.signal)
      .catch((error: unknown) => ({ error }))
      .then((end) => {
        run.end = end
      })
    return run
  }

  /** Tells what still runs to end, and waits for nothing: a rollback must not. */
  stop(): void {
    const run = this.#run
    this.#run = null
    run?.stop.abort(new Error('the soak is over'))
    this.#past = Promise.all([this.#past, run?.done])
  }

  /** Resolves when nothing is left of any test. */
  async end(): Promise<void> {
    this.stop()
    await this.#past
  }
}

/** What a smoke test is told; what is not known is the empty string. */
function smokeVariables(rollout: Rollout): Readonly<Record<string, string>> {
  const { ring, share } = stageOf(rollout)
  return {
    HOTCOLD_APP: rollout.app,
    HOTCOLD_RING: ring,
    HOTCOLD_BUILD: rollout.build,
    HOTCOLD_PREVIOUS: rollout.fallbacks[ring]?.build ?? '',
    HOTCOLD_ROLLOUT: rollout.id,
    HOTCOLD_GENERATION: String(rollout.generations[ring] ?? ''),
    HOTCOLD_STAGE: String(rollout.stage + 1),
    HOTCOLD_SHARE: String(share),
    HOTCOLD_ATTEMPT: String(rollout.attempt ?? 1),
  }
}
