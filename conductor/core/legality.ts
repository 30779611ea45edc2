// Owns the legality table: for each verb and each state of a rollout whether it is done, has been done already, or is refused and why.
import type { ErrorCode } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'

/** States that a verb tells apart: the phases, and three ways for a rollout on its way forward to stand still. */
export const ROLLOUT_STATES = [
  'none',
  'staging',
  'advancing',
  'soaking',
  'waiting',
  'paused',
  'held',
  'orphaned',
  'recalling',
  'done',
  'rolledBack',
  'aborted',
] as const
export type RolloutState = (typeof ROLLOUT_STATES)[number]

/** Code of the hold that `pause` puts on a rollout: the only one that a driver waits out. */
export const PAUSED = 'paused'
/** Code of the hold that somebody else's order puts on it. */
export const ORPHAN = 'orphan-write'

export function rolloutState(rollout: Rollout | null): RolloutState {
  if (rollout === null) return 'none'
  if (rollout.hold === null || rollout.phase === 'recalling') return rollout.phase
  if (rollout.hold.code === PAUSED) return 'paused'
  return rollout.hold.code === ORPHAN ? 'orphaned' : 'held'
}

/** What the table says. In `fact` and `help` a word in braces stands for a fact of the rollout. */
export type Cell =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'already'; readonly fact: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly fact: string; readonly help: string }

const yes: Cell = { kind: 'allowed' }
const already = (fact: string): Cell => ({ kind: 'already', fact })
const no = (code: ErrorCode, fact: string, help: string): Cell => ({ kind: 'refused', code, fact, help })

const NONE = no('ROLLOUT_NONE', 'nothing was released yet', 'conduct release begins')
const IS_DONE = no('ROLLOUT_NONE', 'rollout {id} of {build} is done', 'conduct rollback takes it back')
const IS_BACK = no('ROLLOUT_NONE', 'rollout {id} of {build} was rolled back', 'conduct release begins another')
const WAS_ABORTED = 'rollout {id} of {build} was aborted'
const IS_ABORTED = no(
  'ROLLOUT_NONE',
  WAS_ABORTED,
  'conduct release {build} goes on with the build, conduct rollback takes it back',
)
const IS_RECALLED = 'rollout {id} of {build} is being rolled back'
const RECALLING = no('ROLLOUT_RECALLING', IS_RECALLED, 'conduct watch shows it, conduct rollback brings it to its end')
const ORPHANED = no(
  'ORPHAN_WRITE',
  '{hold}',
  'conduct release {build} --adopt takes it over, conduct rollback or conduct abort ends it',
)
const over = { none: NONE, done: IS_DONE, rolledBack: IS_BACK, aborted: IS_ABORTED }
const moving = (cell: Cell) => ({ staging: cell, advancing: cell, soaking: cell, waiting: cell })
const everywhere = (cell: Cell) =>
  Object.fromEntries(ROLLOUT_STATES.map((state) => [state, cell])) as Record<RolloutState, Cell>

const RUNS = 'rollout {id} of {build} is {phase} and not stopped'
const STOPPED = 'rollout {id} of {build} is stopped by {holder}: {hold}'
const NOT_WAITING = no(
  'NOTHING_TO_PROMOTE',
  'rollout {id} of {build} is {phase} and waits for nobody',
  'conduct status shows what it waits for',
)
const RESUME_FIRST = no('ROLLOUT_STOPPED', STOPPED, 'conduct resume first')
const OPEN = no(
  'ROLLOUT_OPEN',
  'rollout {id} of {build} by {by} is open ({phase})',
  'conduct release {build} goes on with it, conduct rollback ends it, --wait queues behind it',
)

/** Every face asks this table: the command line before it asks anybody, whoever holds the lease before it writes, and the tests. */
export const LEGALITY = {
  /** A build other than that of the rollout. */
  release: { ...everywhere(yes), ...moving(OPEN), paused: OPEN, held: OPEN, orphaned: OPEN, recalling: RECALLING },
  rollback: {
    ...everywhere(yes),
    none: no('NO_PREVIOUS', 'nothing was released yet', 'conduct release begins'),
    recalling: already(IS_RECALLED),
  },
  pause: {
    ...over,
    ...moving(yes),
    paused: already(STOPPED),
    held: already(STOPPED),
    orphaned: already(STOPPED),
    recalling: RECALLING,
  },
  resume: { ...over, ...moving(already(RUNS)), paused: yes, held: yes, orphaned: ORPHANED, recalling: RECALLING },
  promote: {
    ...over,
    ...moving(NOT_WAITING),
    waiting: yes,
    paused: RESUME_FIRST,
    held: RESUME_FIRST,
    orphaned: ORPHANED,
    recalling: RECALLING,
  },
  abort: {
    ...over,
    ...moving(yes),
    paused: yes,
    held: yes,
    orphaned: yes,
    recalling: RECALLING,
    aborted: already(WAS_ABORTED),
  },
  retry: { ...over, ...moving(yes), paused: RESUME_FIRST, held: yes, orphaned: ORPHANED, recalling: RECALLING },
  waive: { ...over, ...moving(yes), paused: yes, held: yes, orphaned: yes, recalling: yes },
  unwaive: { ...over, ...moving(yes), paused: yes, held: yes, orphaned: yes, recalling: yes },
  handover: { ...over, ...moving(yes), paused: yes, held: yes, orphaned: yes, recalling: yes },
  hold: everywhere(yes),
  unhold: everywhere(yes),
  pin: everywhere(yes),
  unpin: everywhere(yes),
  forget: everywhere(yes),
  quarantine: everywhere(yes),
  clear: everywhere(yes),
} as const satisfies Record<string, Readonly<Record<RolloutState, Cell>>>

export type Verb = keyof typeof LEGALITY
export const VERBS = Object.keys(LEGALITY) as readonly Verb[]

export function isVerb(text: string): text is Verb {
  return Object.hasOwn(LEGALITY, text)
}

/** What the table says of a verb now, in words that name the rollout. */
export type Ruling =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'already'; readonly message: string }
  | { readonly kind: 'refuse'; readonly code: ErrorCode; readonly message: string }

export function judge(verb: Verb, rollout: Rollout | null): Ruling {
  const cell: Cell = LEGALITY[verb][rolloutState(rollout)]
  if (cell.kind === 'allowed') return cell
  const fact = filled(cell.fact, rollout)
  if (cell.kind === 'already') return { kind: 'already', message: fact }
  return { kind: 'refuse', code: cell.code, message: `${fact}: ${filled(cell.help, rollout)}` }
}

function filled(text: string, rollout: Rollout | null): string {
  const { id = '', build = '', phase = '', by = '', hold = null } = rollout ?? {}
  const facts: Readonly<Record<string, string>> = {
    id,
    build,
    phase,
    by,
    holder: hold?.by ?? '',
    hold: hold?.reason ?? '',
  }
  return text.replace(/\{(\w+)\}/g, (_, name: string) => facts[name] ?? '')
}
