// Owns the safeguards of the cold tree: when it may be written, and when it may be believed to be what it was.
import type { Mutant } from './mutant.ts'

const IN_USE = 'test/integration/trees-in-use.test.ts'
const SWEEP = 'test/integration/trees-sweep.test.ts'
const MARK = [
  SWEEP,
  'the mark of an armed tree counts for the tree and the manifest that it names, and for no other',
] as const

export const COLD: readonly Mutant[] = [
  {
    id: 'in-use',
    guard: 'Cold is never written while a process uses it',
    without: 'the look for processes that use cold',
    file: 'puller/shell/idle.ts',
    find: 'judge(ground, tree, usage, retiredForMs)\n}',
    replace: '}',
    test: [IN_USE, 'F17: a process that has its working directory in cold keeps it from being written'],
  },
  {
    id: 'in-use-inode',
    guard: 'A process uses a tree by the inodes that it holds, whatever path it sees them under',
    without: 'the look at inodes: the path that the process shows is looked up here instead',
    file: 'puller/shell/in-use.ts',
    find: 'const stat = statSync(path, { throwIfNoEntry: false })\n    return',
    replace: 'const stat = statSync(readlinkSync(path), { throwIfNoEntry: false })\n    return',
    test: [
      IN_USE,
      'F17: a process in another mount namespace, that sees cold under another path, keeps it from being written',
    ],
  },
  {
    id: 'in-use-device',
    guard: 'Inodes of another volume are others, though their numbers are the same',
    without: 'the device beside the inode',
    file: 'puller/shell/in-use.ts',
    find: 'stat.dev === dev && wanted.has(stat.ino)',
    replace: 'wanted.has(stat.ino)',
    test: [IN_USE, 'a process on another volume, whose files have the inode numbers of cold’s, is no obstacle'],
  },
  {
    id: 'in-use-mapped',
    guard: 'A mapped file is in use though nobody holds it open',
    without: 'the look at mappings',
    file: 'puller/shell/in-use.ts',
    find: 'look(() => mappedIn(base, dev, wanted))',
    replace: 'null',
    test: [IN_USE, 'F17: a process that only maps a library out of cold keeps it from being written'],
  },
  {
    id: 'quiet',
    guard: 'Cold is left alone for coldQuietSeconds after the swap that retired it',
    without: 'the quiet time',
    file: 'puller/shell/idle.ts',
    find: 'marks.isRetired(tree) && quietMs > 0',
    replace: 'false',
    test: [IN_USE, 'cold is not written within coldQuietSeconds of the swap that retired it, also over a restart'],
  },
  {
    id: 'armed-sweep',
    guard: 'A rollback to a tree that is not armed sweeps it first',
    without: 'the question whether the tree is armed',
    file: 'puller/shell/effects.ts',
    find: 'there && survey.armed',
    replace: 'there',
    test: [
      'test/integration/puller-faults.test.ts',
      'an app that wrote into its tree: the next use of that tree finds and repairs it',
    ],
  },
  {
    id: 'armed-retired',
    guard: 'A tree that goes into service loses its mark',
    without: 'the end of the mark at a swap',
    file: 'puller/shell/marks.ts',
    find: 'this.#save({ retired, armed: null })',
    replace: 'this.#save({ ...this.#file, retired })',
    test: [
      SWEEP,
      'a tree that was armed, was in service, and came back, is not armed: the application may have written into it',
    ],
  },
  {
    id: 'armed-tree',
    guard: 'The armed mark of one tree says nothing of the other',
    without: 'the tree in the mark',
    file: 'puller/shell/marks.ts',
    find: 'mark.tree === sealed.tree && ',
    replace: '',
    test: MARK,
  },
  {
    id: 'armed-manifest',
    guard: 'The armed mark of one build says nothing of the next in that tree',
    without: 'the manifest in the mark',
    file: 'puller/shell/marks.ts',
    find: ' && mark.manifest === sealed.manifest',
    replace: '',
    test: MARK,
  },
]
