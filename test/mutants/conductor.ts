// Owns the safeguards of a conductor that the spine stands on: who may write, and how many nodes may be out.
import type { Mutant } from './mutant.ts'

const PLAN = 'test/unit/conductor-plan.test.ts'

export const CONDUCTOR: readonly Mutant[] = [
  {
    id: 'check-session',
    guard: 'A conductor that lost its lease writes nothing',
    without: 'the check-session of the transaction',
    file: 'adapters/consul/change.ts',
    find: "[{ verb: 'check-session', key: keys.lease, session }]",
    replace: '[]',
    test: [
      'test/contract/consul-ledger.test.ts',
      'real Consul: A22: a holder that has not heard yet that its lease is gone writes nothing: the transaction itself refuses',
    ],
  },
  {
    id: 'cap',
    guard: 'Nodes that are out of service already count against maxUnavailable',
    without: 'the nodes that are out',
    file: 'conductor/core/raise.ts',
    find: 'limits.cap - placed.filter(isOut).length',
    replace: 'limits.cap',
    test: [
      PLAN,
      'F12: a third of the ring silent is never a success: nothing more is taken out, and the silent are named',
    ],
  },
  {
    id: 'staged-first',
    guard: 'Nobody is asked to run a build before it lies in cold',
    without: 'the wait for nodes that stage',
    file: 'conductor/core/forward.ts',
    find: 'if (busy.length > 0) {',
    replace: 'if (busy.length < 0) {',
    test: [PLAN, 'nobody runs the build before everybody has it in cold'],
  },
  {
    id: 'hold-check',
    guard: 'No advance overtakes a hold of the line',
    without: 'the check of the hold key in the transaction',
    file: 'adapters/consul/change.ts',
    find: 'if (change.advances === true)',
    replace: 'if (change.advances === undefined)',
    test: [
      'test/contract/consul-aside.test.ts',
      'real Consul: a hold that was put on meanwhile refuses what advances, and lets everything else by',
    ],
  },
  {
    id: 'silence',
    guard: 'A silent node is no success, however few they are',
    without: 'the wait for silent nodes',
    file: 'conductor/core/forward.ts',
    find: 'if (silent.length > 0) {',
    replace: 'if (silent.length > placed.length) {',
    test: [
      'test/unit/conductor-verbs.test.ts',
      'one silent node of ten keeps a rollout from its end; waived it blocks nothing, and is still counted',
    ],
  },
]
