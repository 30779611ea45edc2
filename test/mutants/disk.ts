// Owns the safeguards against a power cut: what must be on the disk before what, and what is distrusted afterwards.
import type { Mutant } from './mutant.ts'

const DURABLE = 'puller/shell/durable.ts'
const SYNC_FILE = 'disk.syncAndClose(`${at}.fsync`, fd)'
const SYNC_NAME = 'disk.syncDirectory(`${at}.sync`, dirname(path))'
const ORDER = 'test/fault/trees-order.test.ts'
const RECOVERY = 'test/integration/trees-recovery.test.ts'
const SEALED = [
  ORDER,
  'D2: a seal, and all that stands beside a tree, is synced before it has its name, and its name before anything relies on it',
] as const
const UNSEALED = [ORDER, 'D2: the old seal is gone from the disk before the first change of its tree'] as const
const ACCEPTED = [
  'test/integration/puller-orders.test.ts',
  'D2: an order is on the disk, bytes and name, before anything is changed for it',
] as const

export const DISK: readonly Mutant[] = [
  {
    id: 'syncfs',
    guard: 'A sealed tree is durable: every byte of it is on the disk before its seal is',
    without: 'the syncfs before the seal',
    file: 'puller/shell/sync-volume.ts',
    find: "run('sync', ['-f', path])",
    replace: "run('true', [])",
    test: [ORDER, 'D2: one syncfs stands between the last change of a tree and its seal'],
  },
  {
    id: 'syncfs-error',
    guard: 'What the disk could not take is not believed later',
    without: 'the discarding of a tree whose syncfs failed',
    file: 'puller/shell/sync-volume.ts',
    find: 'discardTree(layout, tree)\n    throw error',
    replace: 'throw error',
    test: [
      'test/fault/trees-errors.test.ts',
      'C5, C7: a disk that reports an error costs the attempt, never hot; what could not be synced is not believed again',
    ],
  },
  {
    id: 'seal-fsync',
    guard: 'A seal that has its name is whole',
    without: 'the fsync of the seal',
    file: DURABLE,
    find: SYNC_FILE,
    replace: `at === 'seal' ? closeSync(fd) : ${SYNC_FILE}`,
    test: SEALED,
  },
  {
    id: 'seal-name',
    guard: 'A tree that was said to be sealed is still sealed after a power cut',
    without: 'the fsync of the directory that the seal is in',
    file: DURABLE,
    find: SYNC_NAME,
    replace: `if (at !== 'seal') ${SYNC_NAME}`,
    test: SEALED,
  },
  {
    id: 'unseal',
    guard: 'A tree that is being changed has no seal',
    without: 'the removal of the seal before the first write',
    file: 'puller/shell/apply.ts',
    find: 'unseal(layout.root, cold)',
    replace: '',
    test: UNSEALED,
  },
  {
    id: 'unseal-sync',
    guard: 'The old seal cannot come back by a power cut once its tree has changed',
    without: 'the fsync after the removal of the seal',
    file: 'puller/shell/seal.ts',
    find: "disk.syncDirectory('unseal.sync', join(root, 'trees'))",
    replace: 'undefined',
    test: UNSEALED,
  },
  {
    id: 'swap-sync',
    guard: 'Whatever follows a swap follows it on the disk too',
    without: 'the fsync of the root after the hot link moved',
    file: 'puller/shell/layout.ts',
    find: 'disk.syncDirectory(`${at}.sync`, layout.root)',
    replace: '',
    test: [
      ORDER,
      'D2: the hot link moves after the seal and the mark of what it leaves, and is synced before anything else happens',
    ],
  },
  {
    id: 'ratchet-fsync',
    guard: 'The ratchet is whole after a power cut',
    without: 'the fsync of the ratchet',
    file: DURABLE,
    find: SYNC_FILE,
    replace: `at === 'ratchet' ? closeSync(fd) : ${SYNC_FILE}`,
    test: ACCEPTED,
  },
  {
    id: 'ratchet-name',
    guard: 'The ratchet does not fall by a power cut',
    without: 'the fsync of the directory that the ratchet is in',
    file: DURABLE,
    find: SYNC_NAME,
    replace: `if (at !== 'ratchet') ${SYNC_NAME}`,
    test: ACCEPTED,
  },
  {
    id: 'ratchet-first',
    guard: 'An order is on the disk before anybody acts on it',
    without: 'the waiting for the ratchet to be written',
    file: 'puller/shell/admission.ts',
    find: 'await world.ratchet.save(',
    replace: 'void world.ratchet.save(',
    test: ['test/unit/admission.test.ts', 'D1: an order is on the disk before the machine hears of it'],
  },
  {
    id: 'hot-again',
    guard: 'After an unclean stop hot is compared with its manifest before it is trusted',
    without: 'the comparison at the start',
    file: 'puller/shell/node.ts',
    find: 'await soundnessOfHot(trees, log, signal)',
    replace: 'null',
    test: [
      'test/integration/puller-end.test.ts',
      'D2: after an unclean stop that left a file of hot empty, a node says so and goes back to the tree that is whole',
    ],
  },
  {
    id: 'unclean-mark',
    guard: 'A puller that died leaves trees that nobody trusts',
    without: 'the doubt after an unclean stop',
    file: 'puller/shell/trees.ts',
    find: 'unclean ? TREE_NAMES : []',
    replace: '[]',
    test: [RECOVERY, 'D2: after an unclean stop hot is distrusted until every byte of it was read again'],
  },
  {
    id: 'boot',
    guard: 'A reset of the machine is an unclean stop, whatever the last puller said',
    without: 'the boot’s identity in the clean mark',
    file: 'puller/shell/marks.ts',
    find: 'return mark === bootId()',
    replace: 'return mark !== undefined',
    test: [
      RECOVERY,
      'D2: the mark of a clean stop counts for the boot that it was left in: after a reset hot is distrusted',
    ],
  },
  {
    id: 'unclean-armed',
    guard: 'After an unclean stop a rollback sweeps also the tree that was armed',
    without: 'the doubt about the armed tree',
    file: 'puller/shell/survey.ts',
    find: ' && !doubted.has(coldTree)',
    replace: '',
    test: [RECOVERY, 'D2: after an unclean stop an armed tree is not armed until it was swept again'],
  },
]
