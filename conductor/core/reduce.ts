// Owns how a rollout changes: every event that can befall one, and the only function that applies it.
import { assert, never } from '#fleet/assert.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { GateMark } from '#fleet/gate.ts'
import {
  type BuildRef,
  type Hold,
  type RingMark,
  type Rollout,
  type Stage,
  TERMINAL_PHASES,
  type Waiver,
} from '#fleet/rollout.ts'
import type { Target } from '#fleet/target.ts'
import { marksWith } from './judged.ts'
import type { Order } from './orders.ts'
import { begunAt, moved, type StageEvent, staged, stepped } from './progress.ts'

export type RolloutEvent =
  /** An order was written. `prior` is the fallback that stood in the ring before this rollout's first. */
  | { readonly type: 'ordered'; readonly order: Order; readonly prior: BuildRef | null }
  | StageEvent
  /** A gate of the stage in hand said something new. */
  | { readonly type: 'judged'; readonly mark: GateMark }
  | { readonly type: 'held'; readonly hold: Hold }
  | { readonly type: 'unheld' }
  | { readonly type: 'recallBegun'; readonly cause: string; readonly outcome: string }
  /** Nodes that failed are asked once more: the orders that say so follow. */
  | { readonly type: 'retried'; readonly attempt: number; readonly nodes: number }
  | { readonly type: 'waived'; readonly waiver: Waiver }
  /** A waiver is taken back: the node counts again. */
  | { readonly type: 'unwaived'; readonly node: Name; readonly reason: string; readonly policy?: boolean }
  | { readonly type: 'handedOver'; readonly to: string; readonly from: string; readonly by: string }
  | {
      readonly type: 'ended'
      readonly phase: 'done' | 'rolledBack' | 'aborted'
      readonly outcome: string
      readonly at: string
      /** Left out: what made it turn back, if anything did. */
      readonly cause?: string
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
  /** See `Rollout.prestage`. */
  readonly prestage?: NonNullable<Rollout['prestage']>
  /** Of the rollout before: the next order is above them also where the key and every node have forgotten them. */
  readonly generations: Readonly<Record<string, number>>
  /** To an older build by name: no hold of the line stops it. */
  readonly back?: boolean
  /** See `Rollout`. */
  readonly forced?: readonly string[]
  readonly supersedes?: string | null
  readonly afterRollout?: boolean
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
    progress: begunAt(at),
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
    case 'converged':
    case 'convergenceLost':
    case 'smoked':
    case 'soaked':
    case 'promoted':
    case 'silenceBegun':
    case 'silenceOver':
      return staged(rollout, event)
    case 'judged':
      return { ...rollout, verdicts: marksWith(rollout.verdicts ?? [], event.mark) }
    case 'held':
      return { ...rollout, hold: event.hold }
    case 'unheld':
      return { ...rollout, hold: null, ...moved(rollout, null) }
    case 'recallBegun':
      return { ...rollout, phase: 'recalling', hold: null, cause: event.cause, outcome: event.outcome }
    case 'ended':
      return {
        ...rollout,
        phase: event.phase,
        endedAt: event.at,
        outcome: event.outcome,
        hold: null,
        cause: event.cause ?? rollout.cause ?? null,
      }
    case 'retried':
      assert(event.attempt > (rollout.attempt ?? 1), 'an attempt only rises')
      return { ...rollout, attempt: event.attempt }
    case 'waived':
      return { ...rollout, waivers: [...(rollout.waivers ?? []), event.waiver] }
    case 'unwaived':
      return { ...rollout, waivers: (rollout.waivers ?? []).filter(({ node }) => node !== event.node) }
    case 'handedOver':
      return { ...rollout, commander: event.to }
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
  return {
    ...rollout,
    ...stepped(rollout, order),
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
