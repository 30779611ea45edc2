// Owns how long a node's jobs take in a simulation, and how they end.
import { backoffMs } from '#fleet/backoff.ts'
import { bareWave } from '#fleet/target.ts'
import { type Job, type NodeState, type Outcome, PAUSES, same } from '#puller/core/state.ts'
import type { Dice } from './dice.ts'
import type { Disk } from './disk.ts'

/** What of the world a job depends on. */
export interface Surroundings {
  readonly dice: Dice
  readonly disk: Disk
  /** The store does not answer. */
  readonly storeAway: boolean
  /** How likely a job fails for no reason. */
  readonly flaky: number
  /** What is hot now would not pass its verification here. */
  readonly sick: boolean
}

/** What a build brings that the one before has not. */
export const DELTA_BYTES = 1_000_000

/** Wait of a bare order's wave, in milliseconds (`bareWaveSeconds`). */
const WAVE_MS = 10_000

const failure = { message: 'it did not work' }

/** In milliseconds. */
export function durationOf(job: Job, state: NodeState, { dice, disk }: Surroundings): number {
  switch (job.kind) {
    case 'stage':
      return disk.holds(job.held) ? dice.between(200, 1_500) : dice.between(2_000, 15_000)
    case 'wait':
      return job.pause === 'rearm' ? dice.between(2_000, 10_000) : backoffMs(PAUSES[job.pause], job.tries, dice.next())
    case 'turn':
      return (state.order?.bare && state.hot !== null ? bareWave(state.order.place) * WAVE_MS : 0) + dice.between(5, 50)
    case 'drain':
      return dice.between(200, 5_000)
    case 'verify':
      return dice.between(1_000, 6_000)
    case 'afterSwap':
      return dice.between(100, 1_000)
    default:
      return dice.between(5, 50)
  }
}

/** How a job ends that began a while ago. */
export function outcomeOf(job: Job, around: Surroundings): Outcome {
  const { n } = job
  const { dice, disk, storeAway, sick } = around
  const fails = around.flaky > 0 && dice.chance(around.flaky)
  switch (job.kind) {
    case 'stage': {
      const missing = !disk.holds(job.held)
      const away = (fails || storeAway) && missing
      if (away) return { type: 'fetchBlocked', n, code: 'STORE_UNREACHABLE', ...failure, cold: disk.spare() }
      return { type: 'fetched', n, armed: true, drift: [], busy: null }
    }
    case 'wait':
      return { type: 'waited', n }
    case 'turn':
      return { type: 'turnGranted', n }
    case 'drain':
      return fails ? { type: 'drainFailed', n, code: 'DRAIN_TIMEOUT', ...failure } : { type: 'drained', n }
    case 'undrain':
      return { type: 'undrained', n }
    case 'swap':
      return fails ? { type: 'swapFailed', n, code: 'SWAP_FAILED', ...failure } : { type: 'swapped', n }
    case 'afterSwap':
      return fails ? { type: 'restartFailed', n, code: 'HOOK_FAILED', ...failure } : { type: 'restarted', n }
    case 'verify':
      return fails || sick ? { type: 'verifyFailed', n, code: 'VERIFY_FAILED', ...failure } : { type: 'verified', n }
    case 'afterVerify':
      return { type: 'finished', n }
  }
}

/** Bytes that a staging asks the store for. */
export function bytesFor(job: Job, disk: Disk): number {
  return job.kind !== 'stage' || disk.holds(job.held) || same(disk.hot, job.held) ? 0 : DELTA_BYTES
}
