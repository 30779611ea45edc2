// Owns what a node says of itself: a state and what the shell knows, put into the words of the status record.
import type { Name } from '#fleet/build.ts'
import type { NodeStatus, Trouble } from '#fleet/node-status.ts'
import { asked, refusedBy } from './notice.ts'
import type { NodeState } from './state.ts'

/** What only the shell knows. */
export interface Surroundings {
  readonly app: Name
  readonly ring: Name
  readonly node: Name
  /** Highest generation on disk. */
  readonly generation: number
  /** Troubles outside the machine: Consul, the record, the journal. */
  readonly troubles: readonly Trouble[]
  readonly progress: NodeStatus['progress']
  /** Wall time in milliseconds. */
  readonly nowMs: number
}

/** Longest sentence of a status, in characters: records stay small. */
const MAX_MESSAGE = 500
/** Tries of keeping cold fit after which it is worth a word: a tree that was just retired is in use for a while by right. */
const PATIENT_TRIES = 5

function short(trouble: Trouble): Trouble {
  const { code, message } = trouble
  return { code, message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 1)}…` : message }
}

/** Why the job in hand waits, when that is worth a word. */
export function waitsFor({ job }: NodeState): Trouble | null {
  if (job?.kind !== 'wait' || (job.pause === 'arm' && job.tries < PATIENT_TRIES)) return null
  return job.trouble
}

/** What is wrong by the machine's own lights. */
function troublesOf(state: NodeState): readonly Trouble[] {
  const troubles: Trouble[] = []
  const { stand, hotDrift } = state
  const waits = waitsFor(state)
  if (waits !== null) troubles.push(waits)
  if (stand !== null) troubles.push({ code: stand.code, message: stand.message })
  if (hotDrift.length > 0) {
    troubles.push({
      code: 'DRIFT',
      message: `hot differs from its build in ${hotDrift.length} files: ${hotDrift.slice(0, 5).join(', ')}`,
    })
  }
  return troubles
}

/** The refusal that counts under the order in force, else the newest one. */
function refusalOf(state: NodeState): NodeStatus['refusal'] {
  const target = state.order?.target
  const counts = target && state.refusals.filter((refusal) => refusedBy(state, refusal, target))
  const named =
    counts?.findLast((refusal) => refusal.build === target?.build) ??
    counts?.findLast((refusal) => refusal.build === target?.fallback)
  return named ? { build: named.build, ...short(named) } : null
}

/** The status of this node now. */
export function statusOf(state: NodeState, around: Surroundings): NodeStatus {
  const target = state.order?.target
  return {
    app: around.app,
    ring: around.ring,
    node: around.node,
    phase: state.phase,
    hot: state.hot?.build ?? null,
    cold: state.cold?.build ?? null,
    armed: state.cold?.armed ?? false,
    generation: around.generation,
    rollout: target?.rollout ?? null,
    attempt: target?.attempt ?? 1,
    refusal: refusalOf(state),
    at: new Date(around.nowMs).toISOString(),
    troubles: [...troublesOf(state), ...around.troubles].slice(0, 8).map(short),
    progress: around.progress,
  }
}

/** Two states that others must hear about at once if this differs: all of the status but its time and progress, and what is wanted. */
export function gist(state: NodeState, status: NodeStatus): string {
  const { at: _at, progress: _progress, ...rest } = status
  return JSON.stringify([rest, asked(state).hot?.build ?? null])
}
