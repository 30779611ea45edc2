// Owns the table of reasons: for every state in which a rollout, a ring or a node stands or waits, what happens next, when, and what to type.

/** In these texts a word in braces stands for a fact of the case: `app`, `build`, `id`, `ring`, `node`. */
export interface ReasonSpec {
  readonly title: string
  /** What happens without anybody doing anything. */
  readonly next: string
  /** When that happens, where the case itself names no time. */
  readonly when: string
  /** What to type: to go on, to help, or to see it happen. */
  readonly command: string
  /** In place of `next` once the rollout is over. */
  readonly over?: string
}

/** A row as it is written down: title, next, when, command, over. */
export type Row = readonly [title: string, next: string, when: string, command: string, over?: string]

/** Makes a table of rows. */
export function table<code extends string>(rows: Readonly<Record<code, Row>>): Readonly<Record<code, ReasonSpec>> {
  const entries = Object.entries<Row>(rows).map(([code, [title, next, when, command, over]]) => {
    return [code, { title, next, when, command, ...(over !== undefined && { over }) }]
  })
  return Object.fromEntries(entries) as Readonly<Record<code, ReasonSpec>>
}

const SOMEBODY = 'when somebody types it'
const AT_ONCE = 'at once'
const NOTHING = 'nothing, until somebody acts'
const QUARANTINED = 'nothing: {build} is under quarantine, and what ran before runs again'

const QUARANTINES = 'the rollback goes on in waves by itself; {build} is under quarantine then'
const NEXT_STEP = 'as soon as the last of them says so'

/** Of a rollout. */
export const ROLLOUT_REASONS = table({
  'never-released': ['Nothing was released yet', NOTHING, SOMEBODY, 'conduct release'],
  done: ['The rollout is done', 'nothing: every ring of it runs {build}', 'it is over', 'conduct pending'],
  'going-on': [
    'The rollout goes on',
    'whoever drives writes the next order or passes the stage',
    'within a second',
    'conduct watch',
  ],
  paused: ['An operator paused the rollout', 'nothing: no node more gets the build', SOMEBODY, 'conduct resume'],
  'orphan-write': [
    'An order was written by somebody without the lease',
    'nothing: the conductor writes nothing over it unasked',
    SOMEBODY,
    'conduct release {build} --adopt',
  ],
  'progress-deadline': [
    'The stage did not come forward in time',
    'nothing: it stays on hold, and nothing is taken back',
    SOMEBODY,
    'conduct resume',
  ],
  'smoke-not-run': [
    'The smoke test could not be started',
    'it is tried again once the hold is lifted; that says nothing of the build',
    SOMEBODY,
    'conduct resume',
  ],
  hold: ['The rollout is on hold', NOTHING, SOMEBODY, 'conduct resume'],
  'line-held': [
    'An operator stopped the line',
    'nothing advances there; a rollback still works',
    SOMEBODY,
    'conduct unhold',
  ],
  closed: ['It is outside deploy hours', 'it goes on when they open', 'when they open', 'conduct plan'],
  'no-driver': [
    'Nobody drives the rollout',
    'nothing: nodes finish what they were ordered, and no further order is written',
    SOMEBODY,
    'conduct release {build}',
  ],
  'no-driver-back': [
    'Nobody drives the rollback',
    'nothing: nodes finish what they were ordered, and the rest is not taken back',
    SOMEBODY,
    'conduct rollback',
  ],
  'ring-empty': [
    'The ring has no nodes',
    'the stage goes on when one reports; its progress deadline puts it on hold',
    'when a puller of this app and ring reports',
    'puller run, on a node of {ring}',
  ],
  prestaging: ['A ring is staged before its turn', 'the order for it is written', AT_ONCE, 'conduct watch'],
  'nodes-staging': [
    'Nodes bring the build into cold',
    'the cutoff rises when all that can have staged it',
    NEXT_STEP,
    'conduct why NODE',
  ],
  'nodes-working': ['Nodes swap and verify', 'the stage soaks when all of them run it', NEXT_STEP, 'conduct watch'],
  'nodes-silent': [
    'Nodes are silent',
    'the stage goes on when they report or are waived: no data is no success',
    'when their pullers report',
    'conduct waive {node} --reason WHY',
  ],
  barrier: [
    'Nobody swaps before all have staged the build',
    'the cutoff rises when the last one has it',
    NEXT_STEP,
    'conduct waive {node} --reason WHY',
  ],
  'cap-reached': [
    'As many nodes are out of service as may be',
    'the cutoff rises when one is back',
    'when one of them is back',
    'conduct status --nodes',
  ],
  'node-ahead': [
    'Nodes obey another order than the key shows',
    'the order is written again above theirs, once all had time to say where they stand',
    'within seconds',
    'conduct history',
  ],
  'smoke-running': [
    'The smoke test runs',
    'exit 0 goes on, anything else takes the build back',
    'when it ends',
    'conduct pause',
  ],
  soaking: ['The stage soaks', 'the stage is passed if its gates pass', 'when the soak is over', 'conduct watch'],
  'gate-inconclusive': [
    'A gate has no verdict',
    'it is asked again; a pass goes on, a fail takes the build back',
    'at the next reading of the gate',
    'conduct rollback',
  ],
  approval: ['The stage waits for approval', 'nothing, until it is promoted', SOMEBODY, 'conduct promote'],
  'failures-over-budget': [
    'More nodes failed the build than may',
    QUARANTINES,
    'wave by wave',
    'conduct status --nodes',
    QUARANTINED,
  ],
  'identity-mismatch': [
    'A node answers with another build',
    QUARANTINES,
    'wave by wave',
    'conduct why {node}',
    QUARANTINED,
  ],
  'gate-failed': ['A gate failed', QUARANTINES, 'wave by wave', 'conduct gate backtest GATE', QUARANTINED],
  'smoke-failed': ['The smoke test failed', QUARANTINES, 'wave by wave', 'conduct diff {build}', QUARANTINED],
  recalling: ['The rollout is being rolled back', 'the next wave is ordered back', 'within a second', 'conduct watch'],
  'wave-returning': [
    'A wave of the rollback comes back',
    'the next wave goes when it is back, or has had its time',
    'after a minute at the latest',
    'conduct rollback --now',
  ],
  'nodes-returning': [
    'Nodes come back to what ran before',
    'the rollback is over when the last one is back, failed or silent',
    NEXT_STEP,
    'conduct status --nodes',
  ],
  'rolled-back': [
    'The rollout was rolled back by an operator',
    'nothing: what ran before runs again',
    'it is over',
    'conduct release',
  ],
  aborted: [
    'The aborted rollout left a ring between two builds',
    'nothing: every node keeps what it runs',
    SOMEBODY,
    'conduct release {build}',
  ],
  'called-off': ['The rollout was aborted', 'nothing: no ring is between two builds', 'it is over', 'conduct release'],
})

/** Of a ring, where it is not the one that the rollout stands at. */
export const RING_REASONS = table({
  'ring-settled': ['The ring runs what it is ordered', 'nothing', 'it is done', 'conduct status --ring {ring}'],
  'ring-created': ['Nothing was released to the ring yet', NOTHING, SOMEBODY, 'conduct release --ring {ring}'],
  'ring-unknown': [
    'The ring has no target key yet',
    'nothing: its nodes wait for a key',
    SOMEBODY,
    'conduct init --ring {ring}',
  ],
  'ring-key-gone': ['The target key of the ring is gone', 'its nodes keep what they run', SOMEBODY, 'conduct rollback'],
  'ring-key-unreadable': [
    'The target key of the ring cannot be read',
    'its nodes keep what they run',
    SOMEBODY,
    'conduct rollback --ring {ring}',
  ],
  'ring-key-older': [
    'The target key shows an order of before',
    'its nodes keep what they run, and refuse it',
    SOMEBODY,
    'conduct audit verify',
  ],
  'ring-bare-order': [
    'A bare build id was written by hand',
    'its nodes follow it in three waves',
    AT_ONCE,
    'conduct rollback --ring {ring}',
  ],
  'ring-orphan-write': [
    'The order of the ring was written by hand',
    'its nodes follow it; the conductor leaves it alone',
    AT_ONCE,
    'conduct history --ring {ring}',
  ],
  'ring-held': [
    'An operator stopped the ring',
    'nothing advances there; a rollback still works',
    SOMEBODY,
    'conduct unhold --ring {ring}',
  ],
  'ring-no-nodes': [
    'No node of the ring has ever reported',
    'it is counted as soon as one does',
    'when a puller of {app}/{ring} starts',
    'puller run, on a node of {ring}',
  ],
  'ring-in-hand': ['The rollout stands at this ring', 'what the rollout waits for', 'see the rollout', 'conduct why'],
  'ring-next': [
    'It is not the turn of the ring yet',
    'it is staged and raised when the stages before it have passed',
    'after the ring in hand',
    'conduct plan',
  ],
  'ring-returning': [
    'The ring is taken back',
    'it goes on in waves, and ends with a closing order',
    'wave by wave',
    'conduct watch --ring {ring}',
  ],
  'ring-nodes-failed': [
    'Nodes of the ring refuse what it is ordered',
    'they keep what they run until they are asked once more',
    SOMEBODY,
    'conduct release {build} --retry',
  ],
  'ring-nodes-silent': [
    'Nodes of the ring are silent',
    'they obey the order of the key when they are back',
    'when their pullers report',
    'conduct forget {node} --reason WHY',
  ],
  'ring-nodes-working': [
    'Nodes of the ring follow its order',
    'each one says so when it is done',
    NEXT_STEP,
    'conduct watch --ring {ring} --nodes',
  ],
})
