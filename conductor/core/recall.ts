// Owns how a build is taken back: in waves by a falling cutoff, and at last by the closing record.
import type { Because, RingMark } from '#fleet/rollout.ts'
import type { Target } from '#fleet/target.ts'
import { namesOf, type Placed, serviceOf } from './service.ts'
import type { Policy } from './standing.ts'

/** The next write of a recall. `close` needs no cutoff: everybody goes back. */
export type RecallStep =
  | { readonly type: 'close'; readonly taken: readonly string[] }
  | { readonly type: 'recall'; readonly cutoff: number; readonly taken: readonly string[] }
  | { readonly type: 'wait'; readonly because: Because }

/**
 * @param target the record in force, on its way forward or in recall, with a fallback
 * @param waveAgeMs how long ago that record was written
 */
export function recallStep(
  placed: readonly Placed[],
  target: Target,
  mark: RingMark,
  limits: { readonly cap: number; readonly policy: Policy; readonly waveAgeMs: number },
): RecallStep {
  const exposed = placed.filter((node) => node.at < target.cutoff && node.status.hot === target.build)
  const serving = exposed.filter((node) => serviceOf(node, target, mark) === 'serving')
  if (limits.policy.allAtOnce || serving.length === 0) return { type: 'close', taken: namesOf(serving) }

  const returning = placed.filter((node) => serviceOf(node, target, mark) === 'working')
  const waveRuns = target.recall && returning.some(({ at }) => at >= target.cutoff)
  if (waveRuns && limits.waveAgeMs < limits.policy.waveMs) {
    const message = 'waiting for a wave of the rollback to come back'
    return { type: 'wait', because: { code: 'wave-returning', message, nodes: namesOf(returning) } }
  }

  const room = roomFor(placed, target, mark, limits.cap)
  if (serving.length <= room(0)) return { type: 'close', taken: namesOf(serving) }
  return nextWave(serving, room)
}

/**
 * How many nodes in service a wave down to a cutoff may take: max(1, cap − nodes out outside the wave). Silent and failed nodes inside it
 * are free; a node that is still moving is counted wherever it stands, because it is out through us.
 */
function roomFor(placed: readonly Placed[], target: Target, mark: RingMark, cap: number) {
  const out = placed.map((node) => ({ at: node.at, service: serviceOf(node, target, mark) }))
  const moving = out.filter(({ service }) => service === 'working').length
  const lost = out.filter(({ service }) => service === 'failed' || service === 'silent')
  return (cutoff: number): number => {
    const outside = lost.filter(({ at }) => at < cutoff || at >= target.cutoff)
    return Math.max(1, cap - moving - outside.length)
  }
}

/** The lowest cutoff whose wave fits; when equal places make even the smallest too large, that smallest one: a rollback never stands still. */
function nextWave(serving: readonly Placed[], room: (cutoff: number) => number): RecallStep {
  const down = [...serving].sort((a, b) => b.at - a.at)
  let best: { cutoff: number; count: number } | null = null
  for (let count = 1; count <= down.length; count += 1) {
    const at = down[count - 1]?.at ?? 0
    // Equal places share a fate.
    if (down[count]?.at === at) continue
    if (best !== null && count > room(at)) break
    best = { cutoff: at, count }
  }
  if (best === null) return { type: 'close', taken: [] }
  return { type: 'recall', cutoff: best.cutoff, taken: namesOf(down.slice(0, best.count)) }
}
