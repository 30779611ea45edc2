// Owns the command after a rollout: run once its end is written, told how it ended, and never able to change that.
import { isOver } from '#conductor/core/reduce.ts'
import { runCommand } from '#conductor/shell/command.ts'
import { execute } from '#conductor/shell/execute.ts'
import { isPassing } from '#conductor/shell/observe.ts'
import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Lease } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { plain } from './reporter.ts'
import type { Bench } from './world.ts'

/** Name of the history entry that says that it ran. */
const RAN = 'after-rollout'

/** How far back the history is asked whether it ran already. */
const RECENT = 500
const ATTEMPTS = 5
const MESSAGE_CHARACTERS = 400

/**
 * Runs the command for the last rollout if it is over and the history does not say that it ran: also for one whose driver died between its
 * end and the command. So it runs at least once, and twice when a driver dies between the command and that entry.
 */
export async function payOwed(bench: Bench, lease: Lease): Promise<void> {
  if (bench.evidence.afterRollout === null) return
  const { rollout } = await bench.ports.ledger.view(bench.rings, bench.signal)
  await payAfter(bench, lease, rollout?.record ?? null)
}

/** As `payOwed`, for a rollout that is at hand. Failures are said and written down; nothing is thrown but the signal's reason. */
export async function payAfter(bench: Bench, lease: Lease, rollout: Rollout | null): Promise<void> {
  const { ports, evidence, clock, report, place, signal } = bench
  const command = evidence.afterRollout
  if (command === null || rollout === null || !isOver(rollout) || !rollout.afterRollout) return
  try {
    const entries = await ports.ledger.history(RECENT, signal)
    if (entries.some(({ event, facts }) => event === RAN && facts.rollout === rollout.id)) return
    const { argv, timeoutMs } = command
    const env = { ...place.env, ...variables(rollout) }
    const end = await runCommand({ argv, timeoutMs, cwd: place.dir, env }, clock, signal).catch((error: unknown) => {
      if (!isFleetError(error)) throw error
      return { passed: false, message: describeError(error) }
    })
    const said = end.message.slice(0, MESSAGE_CHARACTERS)
    if (!end.passed)
      report.say(`The command after the rollout failed, which changes nothing of how it ended: ${plain(said)}.`)
    await tell(bench, lease, rollout, { passed: end.passed, said })
  } catch (error) {
    if (signal.aborted || !isFleetError(error)) throw error
    report.say(`Whether the command after ${rollout.id} ran could not be written down: ${plain(error.message)}.`)
  }
}

async function tell(
  bench: Bench,
  lease: Lease,
  { id }: Rollout,
  facts: { readonly passed: boolean; readonly said: string },
): Promise<void> {
  const { ports, rings, clock, by, signal } = bench
  for (let attempt = 0; ; attempt += 1) {
    const seen = await ports.ledger.view(rings, signal)
    const told = [{ at: new Date(clock.now()).toISOString(), by, event: RAN, facts: { rollout: id, ...facts } }]
    try {
      await execute({ ledger: ports.ledger, lease }, seen, { rollout: null, events: [], told, answered: [] }, signal)
      return
    } catch (error) {
      if (!isPassing(error) || attempt >= ATTEMPTS) throw error
      await clock.sleep(50 + 100 * clock.random(), signal)
    }
  }
}

/** What the command is told; what is not known is the empty string. */
function variables(rollout: Rollout): Readonly<Record<string, string>> {
  const rings = [...new Set(rollout.stages.map(({ ring }) => ring))]
  const last = rings.at(-1)
  return {
    HOTCOLD_APP: rollout.app,
    HOTCOLD_OUTCOME: rollout.phase,
    HOTCOLD_BUILD: rollout.build,
    HOTCOLD_PREVIOUS: (last === undefined ? null : rollout.fallbacks[last]?.build) ?? '',
    HOTCOLD_ROLLOUT: rollout.id,
    HOTCOLD_RINGS: rings.join(' '),
    HOTCOLD_BY: rollout.by,
    HOTCOLD_REASON: rollout.reason,
    HOTCOLD_CAUSE: rollout.cause ?? '',
    HOTCOLD_MESSAGE: rollout.outcome ?? '',
    HOTCOLD_STARTED_AT: rollout.startedAt,
    HOTCOLD_ENDED_AT: rollout.endedAt ?? '',
    HOTCOLD_SUPERSEDES: rollout.supersedes ?? '',
    HOTCOLD_FORCED: (rollout.forced ?? []).join(' '),
  }
}
