// Owns looking on while a living driver rolls back, and saying how that ended.
import { isOver } from '#conductor/core/reduce.ts'
import { observe } from '#conductor/shell/observe.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { type Ending, endOfRollback } from './ending.ts'
import { follow } from './follow.ts'
import { LEADERLESS_MS } from './led.ts'
import type { Progress } from './progress.ts'
import type { RollbackOptions } from './rollback.ts'
import type { Bench } from './world.ts'

/**
 * How it ended, or null when nobody drives it any more: then it is whoever looks on who goes on with it.
 * @param ids of the rollouts that go back, in their order: the way back is over when the last one is
 */
export async function accompanyBack(
  bench: Bench,
  options: RollbackOptions,
  progress: Progress,
  ids: readonly string[],
): Promise<Ending | null> {
  const { ports, signal, app, policy, report, clock } = bench
  let drivenAt = clock.monotonic()
  const isLeft = () => clock.monotonic() - drivenAt > LEADERLESS_MS
  const before = ids.slice(0, -1)
  report.say('The driver of the rollout is rolling it back.')
  const picture = await follow(bench, options.timeoutMs, ({ rollout, ...now }) => {
    progress.show({ rollout, ...now }, rollout?.because ?? [], null)
    if (now.lease !== null) drivenAt = clock.monotonic()
    return rollout === null || (rollout.endedAt !== null && !before.includes(rollout.id)) || isLeft()
  })
  const observed = await observe(ports, { app, rings: bench.rings, policy }, signal)
  const { rollout } = observed
  if (rollout === null) throw new FleetError('RECORD_INVALID', `the rollout record of ${app} is gone`)
  if (!isOver(rollout) && isLeft()) {
    report.say('Nobody drives it any more: going on with it from here.')
    return null
  }
  const ended = await Promise.all(before.map((id) => ports.ledger.finished(id, signal)))
  const all = [...ended.filter((one): one is Rollout => one !== null && one.id !== rollout.id), rollout]
  const endings = all.map((one) =>
    endOfRollback({ rollout: one, end: isOver(one) ? 'over' : 'late' }, picture.rings, progress.elapsedMs),
  )
  const last = endings.at(-1) ?? { exit: 1, lines: [] }
  return { ...last, exit: Math.max(...endings.map(({ exit }) => exit)), lines: endings.flatMap(({ lines }) => lines) }
}
