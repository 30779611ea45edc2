// Owns the interlock before cold is written: quiet long enough, and used by no process that can be seen.
import { formatDuration } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { TreeName } from '../core/trees.ts'
import { printable } from './directories.ts'
import type { Ground } from './ground.ts'
import type { Usage } from './in-use.ts'
import type { Inodes } from './sight.ts'
import type { Workers } from './workers.ts'

/**
 * Proves that cold may be written now.
 * @throws FleetError `COLD_QUIET` · `COLD_BUSY` naming the pid (failures F17) · `COLD_UNPROVABLE`; nothing was changed
 */
export async function needIdle(
  ground: Ground,
  workers: Workers,
  tree: TreeName,
  inodes: Inodes,
  thread = 0,
): Promise<void> {
  const { marks, cold } = ground
  const retiredForMs = marks.retiredForMs(tree)
  const quietMs = cold.quietSeconds * 1_000 - retiredForMs
  if (marks.isRetired(tree) && quietMs > 0) {
    throw new FleetError(
      'COLD_QUIET',
      `trees/${tree} went out of service ${formatDuration(retiredForMs)} ago and is not written for another ${formatDuration(quietMs)}`,
    )
  }
  // Nobody can use what is not there: a first install must not wait for processes that cannot be read.
  if (inodes.empty && !marks.isRetired(tree)) return
  const usage = await workers.call(thread, 'whoUses', [inodes.dev, inodes.inodes])
  judge(ground, tree, usage, retiredForMs)
}

function judge(ground: Ground, tree: TreeName, usage: Usage, retiredForMs: number): void {
  const [user] = usage.users
  if (user !== undefined) {
    const others = usage.users.length > 1 ? `, and ${usage.users.length - 1} more` : ''
    throw new FleetError(
      'COLD_BUSY',
      `cold tree ${tree} busy: pid ${user.pid} (${printable(user.name)}) ${printable(user.how)}${others}; hot still runs`,
    )
  }
  if (usage.unreadable.length === 0 && !usage.hidden) return
  const { policy, seconds } = ground.cold
  if (policy === 'assumeAfterSeconds' && retiredForMs >= seconds * 1_000) return
  const why = usage.hidden
    ? '/proc hides the processes of other users'
    : `processes of other users cannot be read (pid ${usage.unreadable.slice(0, 5).join(', ')})`
  const way =
    policy === 'refuse'
      ? 'run the puller as the user of the app or with CAP_SYS_PTRACE, or set coldInUse to assumeAfterSeconds'
      : `taken for idle in ${formatDuration(seconds * 1_000 - retiredForMs)}`
  throw new FleetError('COLD_UNPROVABLE', `${why}: ${way}`)
}
