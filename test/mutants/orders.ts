// Owns the safeguards of orders and of the watch that brings them: what is obeyed, what is believed, and how often Consul is asked.
import type { Mutant } from './mutant.ts'

const ADMISSION = 'test/unit/admission.test.ts'
const FEED = 'test/contract/consul-watch.test.ts'
const PACE = 'test/unit/watch-pace.test.ts'
const TARGET = 'fleet/target.ts'
const WATCH = 'adapters/consul/watch.ts'
const BARE = [
  'test/unit/fleet-target.test.ts',
  'a bare id passes only with a higher index, from a read that is not stale',
] as const

export const ORDERS: readonly Mutant[] = [
  {
    id: 'ratchet',
    guard: 'An order of a lower generation moves nothing',
    without: 'the comparison of generations',
    file: TARGET,
    find: 'if (mark.generation > ratchet.generation) {',
    replace: 'if (mark.generation >= 0) {',
    test: [
      ADMISSION,
      'A4: a snapshot with an older target is restored: nothing reaches the machine, nothing is written, and the next higher order passes',
    ],
  },
  {
    id: 'ratchet-scope',
    guard: 'Generations are compared within an app and ring, never across',
    without: 'the app and ring of the ratchet on the disk',
    file: 'puller/shell/accepted.ts',
    find: 'there !== null && there !== here',
    replace: 'false',
    test: [
      ADMISSION,
      'a node that moves to another ring follows that ring’s orders from the first, and knows its old ratchet when it comes back',
    ],
  },
  {
    id: 'foreign-ring',
    guard: 'A record of another ring moves nothing, wherever it is found',
    without: 'the comparison of rings',
    file: 'fleet/wire.ts',
    find: ' || target.ring !== expected.ring',
    replace: '',
    test: [ADMISSION, 'I7: a record of another ring or app under this key moves neither the node nor its ratchet'],
  },
  {
    id: 'foreign-app',
    guard: 'A record of another app moves nothing, wherever it is found',
    without: 'the comparison of apps',
    file: 'fleet/wire.ts',
    find: 'target.app !== expected.app || ',
    replace: '',
    test: [ADMISSION, 'I7: a record of another ring or app under this key moves neither the node nor its ratchet'],
  },
  {
    id: 'bare-index',
    guard: 'A bare id that was written before the order in force moves nothing',
    without: 'the comparison of ModifyIndex',
    file: TARGET,
    find: 'if (modifyIndex > ratchet.modifyIndex) {',
    replace: 'if (modifyIndex > 0) {',
    test: [ADMISSION, 'A24: a bare id that was written before the order in force is an old one, and is not followed'],
  },
  {
    id: 'bare-stale',
    guard: 'A bare id counts only when the leader vouches for it',
    without: 'the question to the leader',
    file: TARGET,
    find: "if (mark.stale) return { verdict: 'confirm' }",
    replace: '',
    test: BARE,
  },
  {
    id: 'index-back',
    guard: 'A Consul whose index went back is read again from the start',
    without: 'the reset of the index',
    file: WATCH,
    find: 'index = wentBack || roused ? 0 : seen',
    replace: 'index = roused ? 0 : seen',
    test: [FEED, 'A3: an index that goes backwards is read again from the start'],
  },
  {
    id: 'index-roused',
    guard: 'A watch that is woken for nothing looks again: a restored Consul wakes it once, by what stood before',
    without: 'the look after such an answer',
    file: WATCH,
    find: 'index = wentBack || roused ? 0 : seen',
    replace: 'index = wentBack ? 0 : seen',
    test: [
      FEED,
      'A4: a watch that is woken by what it knows already looks again without waiting: so a restored Consul wakes it, once',
    ],
  },
  {
    id: 'index-after-error',
    guard: 'Whoever answers after an error may be another server: first look, then wait',
    without: 'the reset of the index after an error',
    file: WATCH,
    find: 'index = 0\n      yield',
    replace: 'yield',
    test: [FEED, 'one 400 does not end a watch; after an error it looks first, and then waits'],
  },
  {
    id: 'bucket-idle',
    guard: 'A Consul that answers at once and without end is not asked without end',
    without: 'the token bucket of answers that bring nothing',
    file: WATCH,
    find: '? waitWhenIdle()',
    replace: '? 0',
    test: [
      PACE,
      'A6: an index that flaps for an hour is asked twice for free and then once in 15 s, and tells one record',
    ],
  },
  {
    id: 'bucket-changes',
    guard: 'A key that changes without end is followed at a pace',
    without: 'the token bucket of changes',
    file: WATCH,
    find: ', waitForChange())',
    replace: ', 0)',
    test: [PACE, 'A6: a record that changes with each answer is followed twenty times at once and then twice a second'],
  },
  {
    id: 'content-compare',
    guard: 'An answer is no proof of a change',
    without: 'the comparison of contents',
    file: WATCH,
    find: 'print !== last && !wentBack',
    replace: '!wentBack',
    test: [FEED, 'A16: the same record under ever new indexes is told once, and the next record at once'],
  },
  {
    id: 'gone-confirmed',
    guard: 'A key is gone only when the leader says so',
    without: 'the question to the leader',
    file: 'adapters/consul/feed.ts',
    find: 'if (answer.value !== null || gone) {',
    replace: 'if (answer !== null) {',
    test: [FEED, 'A9: a server that is behind and has no key yet is not believed, and costs no time'],
  },
]
