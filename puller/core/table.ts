// Owns the table of the node's machine: every phase, every edge out of it, where it leads and which job it begins there.
import type { Phase } from '#fleet/node-status.ts'

/** What an edge begins: a job, `background` (whatever keeps a resting node's spare tree fit) or nothing. */
export type Begin =
  | 'stage'
  | 'turn'
  | 'drain'
  | 'undrain'
  | 'swap'
  | 'afterSwap'
  | 'verify'
  | 'afterVerify'
  | 'retry'
  | 'pinWait'
  | 'background'
  | 'backgroundWait'
  | 'nothing'

/**
 * Notices are read off the order on every turn; outcomes come from jobs. Names that end in `InPlace` belong to a restart without a swap,
 * those in `ForGood` to a failure with no way back.
 */
const NOTICES = [
  'wanted',
  'recalled',
  'readied',
  'settled',
  'unwanted',
  'unwantedInPlace',
  'unwantedForGood',
  'parked',
] as const
export type Notice = (typeof NOTICES)[number]
const OUTCOME_EDGES = [
  'fetched',
  'fetchBlocked',
  'fetchRefused',
  'waited',
  'turnGranted',
  'installGranted',
  'turnHeld',
  'drained',
  'drainedInPlace',
  'drainFailed',
  'drainFailedForGood',
  'undrained',
  'swapped',
  'swapFailed',
  'swapFailedForGood',
  'restarted',
  'restartFailed',
  'restartFailedForGood',
  'verified',
  'verifyFailed',
  'verifyFailedForGood',
  'finished',
] as const
export type Edge = Notice | (typeof OUTCOME_EDGES)[number]

export type Row = Readonly<Partial<Record<Edge, readonly [to: Phase, begin: Begin]>>>
export type Table = Readonly<Record<Phase, Row>>

export const TABLE = {
  idle: {
    wanted: ['fetching', 'stage'],
    recalled: ['staged', 'turn'],
    readied: ['staged', 'nothing'],
    settled: ['idle', 'background'],
    parked: ['parked', 'nothing'],
    fetched: ['idle', 'nothing'],
    fetchBlocked: ['idle', 'backgroundWait'],
    waited: ['idle', 'stage'],
  },
  fetching: {
    fetched: ['staged', 'nothing'],
    fetchBlocked: ['fetching', 'retry'],
    fetchRefused: ['idle', 'nothing'],
    waited: ['fetching', 'stage'],
    wanted: ['fetching', 'stage'],
    recalled: ['staged', 'turn'],
    settled: ['idle', 'background'],
    parked: ['parked', 'nothing'],
  },
  staged: {
    turnGranted: ['draining', 'drain'],
    installGranted: ['swapping', 'swap'],
    turnHeld: ['staged', 'pinWait'],
    waited: ['staged', 'turn'],
    recalled: ['staged', 'turn'],
    readied: ['staged', 'nothing'],
    wanted: ['fetching', 'stage'],
    settled: ['idle', 'background'],
    parked: ['parked', 'nothing'],
  },
  draining: {
    drained: ['swapping', 'swap'],
    drainedInPlace: ['restarting', 'afterSwap'],
    drainFailed: ['draining', 'undrain'],
    drainFailedForGood: ['idle', 'nothing'],
    unwanted: ['draining', 'undrain'],
    unwantedForGood: ['idle', 'nothing'],
    undrained: ['idle', 'background'],
  },
  swapping: {
    swapped: ['restarting', 'afterSwap'],
    swapFailed: ['draining', 'undrain'],
    swapFailedForGood: ['parked', 'nothing'],
  },
  restarting: {
    restarted: ['verifying', 'verify'],
    restartFailed: ['reverting', 'swap'],
    restartFailedForGood: ['parked', 'nothing'],
    unwanted: ['reverting', 'swap'],
    unwantedForGood: ['idle', 'nothing'],
  },
  verifying: {
    verified: ['verifying', 'afterVerify'],
    finished: ['verifying', 'undrain'],
    undrained: ['idle', 'background'],
    verifyFailed: ['reverting', 'swap'],
    verifyFailedForGood: ['parked', 'nothing'],
    unwanted: ['reverting', 'swap'],
    unwantedInPlace: ['verifying', 'undrain'],
    unwantedForGood: ['idle', 'nothing'],
  },
  reverting: {
    swapped: ['reverting', 'afterSwap'],
    restarted: ['reverting', 'verify'],
    verified: ['reverting', 'afterVerify'],
    finished: ['reverting', 'undrain'],
    undrained: ['idle', 'background'],
    swapFailedForGood: ['parked', 'nothing'],
    restartFailedForGood: ['parked', 'nothing'],
    verifyFailedForGood: ['parked', 'nothing'],
  },
  parked: {
    recalled: ['staged', 'turn'],
    wanted: ['fetching', 'stage'],
    readied: ['staged', 'nothing'],
    settled: ['idle', 'background'],
  },
} as const satisfies Table
