// Owns one error of the disk: at a step, once or from then on, what becomes of the attempt, and that the next one gets through.
import { brokenIn, errandIn, type Ground, recoverIn } from './kill.ts'
import { type Operation, rootOf, type State } from './states.ts'
import { runChild } from './victim.ts'

/** What the disk says, and what we say of it. */
export const DISK_ERRORS = {
  EIO: 'DISK_ERROR',
  ENOSPC: 'DISK_FULL',
  EROFS: 'DISK_READ_ONLY',
  EDQUOT: 'DISK_QUOTA',
} as const
export type DiskError = keyof typeof DISK_ERRORS

export interface Fault {
  readonly state: State
  readonly operation: Operation
  /** Which step of all, over all threads, from 1. */
  readonly at: number
  readonly error: DiskError
  readonly lasts: 'once' | 'for ever'
}

export interface Suffered {
  /** `through`: the node got there by itself; `told`: it stayed, or ended, and said why. */
  readonly outcome: 'through' | 'told'
  readonly told: readonly string[]
  readonly wrong: readonly string[]
}

/** Ten times faster: what is tried again after a pause is tried soon. */
const FACTOR = 10
/** A swap that failed parks the node, as the machine has it: only an order of a higher attempt lets it try again. */
const PARKED = 'SWAP_FAILED'

/** What `conduct retry` writes. */
function retried({ orders, rest, ...operation }: Operation): Operation {
  const last = orders.at(-1)
  const generation = rest.generation + 1
  return { ...operation, orders: last ? [{ ...last, generation, attempt: 2 }] : [], rest: { ...rest, generation } }
}

export async function failAt(ground: Ground, { state, operation, at, error, lasts }: Fault): Promise<Suffered> {
  const mounted = await ground.workshop.copy(state.kind, state.image)
  const root = rootOf(mounted)
  try {
    const failpoint = `*@${at}${lasts === 'once' ? '' : '..'}:error:${error}`
    const options = { failpoint, factor: FACTOR, final: lasts === 'once' ? PARKED : '.' }
    const { code, told } = await runChild(errandIn(root, operation), options)
    // A sync that failed is an error of the disk, whatever it says: what was written may be lost.
    const expected: readonly string[] = [DISK_ERRORS[error], DISK_ERRORS.EIO, PARKED]
    const strange = told.filter((it) => !expected.includes(it)).map((it) => `told ${it}`)
    const silent = code !== 0 && told.length === 0 ? [`ended with ${code} and said nothing`] : []
    const broken = brokenIn(root, ground, state, operation)
    const { wrong } = await recoverIn(root, ground, told.includes(PARKED) ? retried(operation) : operation)
    return {
      outcome: code === 0 ? 'through' : 'told',
      told,
      wrong: [...strange, ...silent, ...broken, ...wrong],
    }
  } finally {
    await mounted.release()
  }
}
