// Owns what a stage that has converged is still waited for: its smoke test, its soak, its gates, an operator; and stages that do not converge in time.
import { formatDuration } from '#fleet/duration.ts'
import type { Because, Rollout, Stage } from '#fleet/rollout.ts'
import { goesPast } from './bypass.ts'
import type { Plan, Signals } from './plan.ts'
import { progressOf, stageOf } from './progress.ts'
import { describeWaived } from './waiver.ts'

export const wait = (...because: readonly Because[]): Plan => ({ action: { type: 'wait' }, because })

export function rollBack(cause: string, outcome: string, because: readonly Because[] = []): Plan {
  return { action: { type: 'rollBack', cause, outcome }, because }
}

export function passStage(rollout: Rollout): Plan {
  if (rollout.stage + 1 < rollout.stages.length) return { action: { type: 'nextStage' }, because: [] }
  const waived = describeWaived(rollout)
  const but = waived === '' ? '' : `, not counting ${waived}`
  const outcome = `${rollout.build} runs on every ring of the plan${but}`
  return { action: { type: 'end', phase: 'done', outcome }, because: [] }
}

/** What gates could not tell, as reasons to wait. */
export function unsure({ verdicts }: Signals): readonly Because[] {
  return verdicts.flatMap(({ gate, verdict, message }) =>
    verdict === 'inconclusive' ? [{ code: 'gate-inconclusive', message: `${gate}: ${message}` }] : [],
  )
}

function asksNothing({ soakSeconds = 0, smoke = [], gates = [], approval }: Stage): boolean {
  return soakSeconds === 0 && smoke.length === 0 && gates.length === 0 && approval === undefined
}

/** How much of its soak is left, in milliseconds; null before it has begun. A clock that was set back makes it longer, never shorter than none. */
export function soakLeftMs(rollout: Rollout, now: number): number | null {
  const { convergedAt } = progressOf(rollout)
  if (convergedAt === null) return null
  const { soakSeconds = 0 } = stageOf(rollout)
  return Math.max(0, Date.parse(convergedAt) + soakSeconds * 1_000 - now)
}

/** Plan of a stage in which everybody runs the build. The smoke test runs while it soaks; a gate has until the end of the soak to make up its mind. */
export function settle(rollout: Rollout, signals: Signals, now: number): Plan {
  const stage = stageOf(rollout)
  if (asksNothing(stage)) return passStage(rollout)
  const { smoke } = progressOf(rollout)
  const leftMs = soakLeftMs(rollout, now)
  if (leftMs === null) return { action: { type: 'note', note: 'converged' }, because: [] }
  if (smoke?.passed === false)
    return rollBack('smoke-failed', `the smoke test of ${stage.ring} failed: ${smoke.message}`)

  const soaking = leftMs > 0 ? [soakOf(stage, leftMs)] : []
  if (smoke === null && (stage.smoke ?? []).length > 0) {
    const running = { code: 'smoke-running', message: `the smoke test of ${stage.ring} runs` }
    return { action: { type: 'smoke' }, because: [running, ...soaking] }
  }
  if (leftMs > 0) return wait(...soaking)
  const left = [...undecided(rollout, stage, signals), ...approvals(rollout, stage)]
  if (left.length === 0) return passStage(rollout)
  return rollout.phase === 'waiting' ? wait(...left) : { action: { type: 'note', note: 'soaked' }, because: left }
}

function soakOf({ ring, share, soakSeconds = 0 }: Stage, leftMs: number): Because {
  const wholeMs = soakSeconds * 1_000
  const [left, whole] = [Math.min(wholeMs, Math.ceil(leftMs / 1_000) * 1_000), wholeMs].map(formatDuration)
  return { code: 'soaking', message: `${ring} soaks at ${share} %: ${left} of ${whole} left` }
}

/** Gates of the stage that have not passed, those among them of which nothing is known at all. */
function undecided(rollout: Rollout, { gates = [] }: Stage, signals: Signals): readonly Because[] {
  if (goesPast(rollout, 'gates')) return []
  const unheard = gates.filter((name) => !signals.verdicts.some(({ gate }) => gate === name))
  const silent = unheard.map((name) => ({ code: 'gate-inconclusive', message: `${name}: it has given no verdict yet` }))
  return [...unsure(signals), ...silent]
}

function approvals({ stage: index, promoted }: Rollout, { ring, approval }: Stage): readonly Because[] {
  if (approval === undefined || promoted === index) return []
  return [{ code: 'approval', message: `${ring} has soaked and waits for approval: conduct promote lets it go on` }]
}

/** Reasons to wait that only nodes can end: a stage that stands still because of them is not waited for without an end. */
const BEHIND = ['nodes-staging', 'nodes-working', 'nodes-silent', 'cap-reached', 'barrier', 'ring-empty']

/** A hold when nothing went forward for longer than the stage allows. It takes nothing back: that nodes are slow or away says nothing of the build. */
export function overdue(rollout: Rollout, { because }: Plan, now: number): Plan | null {
  const { ring, share, progressSeconds = 0 } = stageOf(rollout)
  const { movedAt } = progressOf(rollout)
  const behind = because.find(({ code }) => BEHIND.includes(code))
  if (progressSeconds === 0 || movedAt === null || behind === undefined) return null
  if (now - Date.parse(movedAt) < progressSeconds * 1_000) return null
  const { message, nodes = [] } = behind
  const few = nodes.length > 5 ? [...nodes.slice(0, 4), `${nodes.length - 4} more`] : nodes
  const who = few.length === 0 ? '' : ` (${few.join(', ')})`
  const reason = `${ring} has not come nearer to ${share} % for ${formatDuration(progressSeconds * 1_000)}: ${message}${who}`
  const hold = { by: 'conduct', code: 'progress-deadline', reason, at: new Date(now).toISOString() }
  return { action: { type: 'hold', hold }, because }
}
