// Owns looking on while a living driver rolls back, and saying how that ended.
import { isOver } from '#conductor/core/reduce.ts'
import { observe } from '#conductor/shell/observe.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { type Ending, endOfRollback } from './ending.ts'
import { follow } from './follow.ts'
import type { Progress } from './progress.ts'
import type { RollbackOptions } from './rollback.ts'
import type { Bench } from './world.ts'

/** @param ids of the rollouts that go back, in their order: the way back is over when the last one is */
export async function accompanyBack(
  bench: Bench,
  options: RollbackOptions,
  progress: Progress,
  ids: readonly string[],
): Promise<Ending> {
  const { ports, signal, app, policy, report } = bench
  const before = ids.slice(0, -1)
  report.say('The driver of the rollout is rolling it back.')
  const picture = await follow(bench, options.timeoutMs, ({ rollout, ...now }) => {
    progress.show({ rollout, ...now }, rollout?.because ?? [], null)
    return rollout === null || (rollout.endedAt !== null && !before.includes(rollout.id))
  })
  const observed = await observe(ports, { app, rings: bench.rings, policy }, signal)
  const { rollout } = observed
  if (rollout === null) throw new FleetError('RECORD_INVALID', `the rollout record of ${app} is gone`)
  const ended = await Promise.all(before.map((id) => ports.ledger.finished(id, signal)))
  const all = [...ended.filter((one): one is Rollout => one !== null && one.id !== rollout.id), rollout]
  const endings = all.map((one) =>
    endOfRollback({ rollout: one, end: isOver(one) ? 'over' : 'late' }, picture.rings, progress.elapsedMs),
  )
  const last = endings.at(-1) ?? { exit: 1, lines: [] }
  return { ...last, exit: Math.max(...endings.map(({ exit }) => exit)), lines: endings.flatMap(({ lines }) => lines) }
}
