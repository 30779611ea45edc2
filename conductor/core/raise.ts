// Owns how far the cutoff may rise: exactly to a place, never beyond the stage's share, never taking more out than the cap allows.
import type { Because, RingMark } from '#fleet/rollout.ts'
import { stateOf } from '#fleet/roster.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { isFree, keepsItsOwn, namesOf, type Placed, serviceOf } from './service.ts'

/** The new cutoff (the old one when nothing may rise), whom it takes out of service, and what stopped it from going further. */
export interface Raise {
  readonly cutoff: number
  readonly taken: readonly string[]
  readonly stopped: Because | null
}

/** ceil(share × nodes), in whole thousandths of a percent: a fraction that binary cannot hold must not cost a node more. */
export function exposedAt(share: number, nodes: number): number {
  return Math.ceil((Math.round(share * 1_000) * nodes) / 100_000)
}

/** The cutoff under which exactly ceil(share × n) nodes fall; equal places share a fate. */
export function cutoffOfShare(placed: readonly Placed[], share: number): number {
  if (share >= 100) return ALL
  const last = placed[exposedAt(share, placed.length) - 1]
  return last === undefined ? 0 : last.at + 1
}

/**
 * Has the build in cold and runs the fallback, or cannot be waited for: nothing is gained by sparing it. What it said before this rollout
 * began there is no such news, a failure as little as success: it would count as out, and be taken for nothing.
 */
export function isReady({ status, silent }: Placed, target: Target, mark: RingMark): boolean {
  if (!silent && status.generation < mark.began) return false
  return stateOf({ status, silent }, target) !== 'working' || keepsItsOwn({ status, silent }, target)
}

/** Above the cutoff and without the build in cold, for whatever reason; but for those that never come to that. */
export function unstaged(placed: readonly Placed[], target: Target): readonly Placed[] {
  return placed.filter(({ at, status, silent }) => {
    const state = stateOf({ status, silent }, target)
    const there = state === 'staged' || state === 'converged' || keepsItsOwn({ status, silent }, target)
    return at >= target.cutoff && !there
  })
}

/**
 * Takes nodes in the order of their places while the number out of service stays within `cap`. Nodes that are out already cost nothing
 * but are never passed over, because the cutoff knows no gaps.
 */
export function raise(
  placed: readonly Placed[],
  target: Target,
  mark: RingMark,
  limits: { readonly share: number; readonly cap: number; readonly waived?: ReadonlySet<string> },
): Raise {
  const limit = cutoffOfShare(placed, limits.share)
  const isOut = (node: Placed): boolean => !isFree(node, target) && serviceOf(node, target, mark) !== 'serving'
  let room = limits.cap - placed.filter(isOut).length
  let cutoff = target.cutoff
  const taken: Placed[] = []
  const next = placed.filter(({ at }) => at >= target.cutoff && at < limit)
  for (let i = 0; i < next.length; ) {
    const here = next[i]
    if (here === undefined) break
    // They stand in the order of their places, so equal ones stand together.
    let end = i
    while (next[end]?.at === here.at) end += 1
    const group = next.slice(i, end)
    const waived = (node: Placed) => limits.waived?.has(node.status.node) === true
    const busy = group.filter((node) => !isReady(node, target, mark) && !waived(node))
    if (busy.length > 0) return { cutoff, taken: namesOf(taken), stopped: waitingFor(busy) }
    const costly = group.filter((node) => !isFree(node, target) && !isOut(node))
    // Nobody is taken where all are out already, however many others are out too.
    if (costly.length > Math.max(0, room))
      return { cutoff, taken: namesOf(taken), stopped: full(placed.filter(isOut), limits.cap) }
    room -= costly.length
    taken.push(...group)
    cutoff = here.at + 1
    i += group.length
  }
  return { cutoff: Math.max(target.cutoff, limit), taken: namesOf(taken), stopped: null }
}

function waitingFor(busy: readonly Placed[]): Because {
  return { code: 'nodes-staging', message: 'waiting for nodes to stage the build', nodes: namesOf(busy) }
}

function full(out: readonly Placed[], cap: number): Because {
  const message = `no more than ${cap} ${cap === 1 ? 'node' : 'nodes'} may be out of service at once; out now`
  return { code: 'cap-reached', message, nodes: namesOf(out) }
}
