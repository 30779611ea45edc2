// Owns how a rollout changes: every event that can befall one, and the only function that applies it.
import { assert, never } from '#fleet/assert.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { type BuildRef, type Hold, type RingMark, type Rollout, type Stage, TERMINAL_PHASES } from '#fleet/rollout.ts'
import type { Target } from '#fleet/target.ts'
import type { Order } from './orders.ts'

export type RolloutEvent =
  /** An order was written. `prior` is the fallback that stood in the ring before this rollout's first. */
  | { readonly type: 'ordered'; readonly order: Order; readonly prior: BuildRef | null }
  | { readonly type: 'stagePassed' }
  | { readonly type: 'held'; readonly hold: Hold }
  | { readonly type: 'unheld' }
  | { readonly type: 'recallBegun'; readonly cause: string; readonly outcome: string }
  | {
      readonly type: 'ended'
      readonly phase: 'done' | 'rolledBack' | 'aborted'
      readonly outcome: string
      readonly at: string
    }

/** What a rollout begins with. */
export interface Beginning {
  readonly app: Name
  readonly id: string
  readonly build: BuildId
  readonly manifest: Digest
  readonly by: string
  readonly reason: string
  readonly at: string
  readonly stages: readonly Stage[]
  readonly fallbacks: Readonly<Record<string, BuildRef | null>>
  readonly attempt: number
  readonly activation: string | null
  readonly adopt: boolean
  /** Rings that run the build already. */
  readonly there: readonly string[]
  /** Of the rollout before: the next order is above them also where the key and every node have forgotten them. */
  readonly generations: Readonly<Record<string, number>>
}

export function beginRollout({ at, ...beginning }: Beginning): Rollout {
  assert(beginning.stages.length > 0, 'a rollout has a stage')
  return {
    ...beginning,
    startedAt: at,
    endedAt: null,
    phase: 'staging',
    stage: 0,
    hold: null,
    outcome: null,
    marks: {},
    cause: null,
  }
}

export function isOver(rollout: Rollout): boolean {
  return TERMINAL_PHASES.includes(rollout.phase)
}

/** Pure; the only way a rollout changes. @throws InvariantError for an event that cannot befall it where it stands */
export function reduce(rollout: Rollout, event: RolloutEvent): Rollout {
  assert(!isOver(rollout), `nothing befalls a rollout that is over (${event.type})`)
  switch (event.type) {
    case 'ordered':
      return ordered(rollout, event.order, event.prior)
    case 'stagePassed':
      assert(rollout.phase !== 'recalling', 'a recall passes no stage')
      assert(rollout.stage + 1 < rollout.stages.length, 'there is a next stage')
      return { ...rollout, stage: rollout.stage + 1, phase: 'staging' }
    case 'held':
      return { ...rollout, hold: event.hold }
    case 'unheld':
      return { ...rollout, hold: null }
    case 'recallBegun':
      return { ...rollout, phase: 'recalling', hold: null, cause: event.cause, outcome: event.outcome }
    case 'ended':
      return { ...rollout, phase: event.phase, endedAt: event.at, outcome: event.outcome, hold: null }
    default:
      return never(event, 'rollout event')
  }
}

function ordered(rollout: Rollout, order: Order, prior: BuildRef | null): Rollout {
  const { ring, target, kind } = order
  const last = rollout.generations[ring] ?? -1
  assert(target.generation > last, 'a generation only rises')
  const mark = marked(rollout.marks?.[ring] ?? freshMark(target, prior), order)
  const back = kind === 'recall' || kind === 'close'
  assert(!back || rollout.phase === 'recalling', 'only a recall takes a build back')
  const forward = target.cutoff === 0 ? 'staging' : 'advancing'
  return {
    ...rollout,
    phase: rollout.phase === 'recalling' ? 'recalling' : forward,
    generations: { ...rollout.generations, [ring]: target.generation },
    marks: { ...rollout.marks, [ring]: mark },
  }
}

function freshMark(target: Target, prior: BuildRef | null): RingMark {
  return { began: target.generation, salt: target.salt, peak: 0, recalled: null, closed: null, prior }
}

function marked(mark: RingMark, { kind, target }: Order): RingMark {
  const { generation, cutoff } = target
  switch (kind) {
    case 'stage':
    case 'raise':
      return { ...mark, peak: Math.max(mark.peak, cutoff) }
    case 'recall':
      // Waves may begin anew, over what somebody wrote in place of the closing record: then the ring is not closed any more.
      return { ...mark, recalled: mark.recalled ?? generation, closed: null }
    case 'close':
      return { ...mark, recalled: mark.recalled ?? generation, closed: generation }
    case 'rewrite': {
      // Also a rewrite may find that the build had come further than the record knew.
      const peak = mark.recalled === null ? Math.max(mark.peak, cutoff) : mark.peak
      return mark.closed === null ? { ...mark, peak } : { ...mark, closed: generation }
    }
  }
}
