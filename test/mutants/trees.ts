// Owns the safeguards of the trees' content: what may be kept, what gets in, and what may become hot.
import type { Mutant } from './mutant.ts'

const LINKS = 'test/integration/trees-links.test.ts'
const PLAN = 'fleet/stage-plan.ts'
const STAGE = 'test/integration/trees-stage.test.ts'
const SWEEP = 'test/integration/trees-sweep.test.ts'

export const TREES: readonly Mutant[] = [
  {
    id: 'nlink',
    guard: 'No file of a tree has a second name: somebody could change it from outside',
    without: 'the count of links',
    file: PLAN,
    find: 'there.nlink === 1',
    replace: 'true',
    test: [
      SWEEP,
      'a file of cold that somebody gave a second name is written anew: what happens to the other stays outside',
    ],
  },
  {
    id: 'extras',
    guard: 'A tree holds what its build has and nothing else',
    without: 'the removal of what the build does not have',
    file: PLAN,
    find: 'wanted.get(path)?.type !== there.type',
    replace: 'wanted.has(path) && wanted.get(path)?.type !== there.type',
    test: [STAGE, 'C13: what an application left behind in its tree is not in the next build that is staged there'],
  },
  {
    id: 'content',
    guard: 'No file gets its name in a tree before its bytes are those of the build',
    without: 'the comparison of digests',
    file: 'puller/shell/tree-writer.ts',
    find: 'if (got !== file.content) return { entry',
    replace: 'if (got === null) return { entry',
    test: [
      'test/integration/trees-record.test.ts',
      'what an application changed in hot is not copied into a tree that has most of the build: it comes from the store',
    ],
  },
  {
    id: 'manifest-digest',
    guard: 'Only the manifest that was ordered says what a build is',
    without: 'the digest of a manifest from the store',
    file: 'puller/shell/manifests.ts',
    find: 'if (digest !== expected.digest) {',
    replace: 'if (bytes === null) {',
    test: ['test/integration/trees-store-faults.test.ts', 'B8: an artifact or a manifest of another build is refused'],
  },
  {
    id: 'delta-digest',
    guard: 'A delta gives the manifest that was ordered, or nothing',
    without: 'the digest of the manifest that a delta gives',
    file: 'fleet/delta-apply.ts',
    find: 'if (digest !== head.manifest) {',
    replace: 'if (digest === null) {',
    test: [
      'test/unit/delta.test.ts',
      'bytes flipped anywhere in a head or in the older manifest never give another manifest',
    ],
  },
  {
    id: 'copy-digest',
    guard: 'A copy of a manifest that rotted on the node is no manifest',
    without: 'the digest of the copy',
    file: 'puller/shell/manifests.ts',
    find: ' || digestOf(bytes) !== digest',
    replace: '',
    test: [
      'test/integration/trees-recovery.test.ts',
      'C12: a copy of a manifest that rotted on the node is not compared with: it is fetched again',
    ],
  },
  {
    id: 'nofollow-directory',
    guard: 'No directory below a tree is reached through a link',
    without: 'O_NOFOLLOW on directories',
    file: 'puller/shell/directories.ts',
    find: 'O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW',
    replace: 'O_PATH | constants.O_DIRECTORY',
    test: [LINKS, 'E3: a directory that has become a link is not entered: nothing is removed or made where it leads'],
  },
  {
    id: 'nofollow-file',
    guard: 'No file below a tree is read through a link',
    without: 'O_NOFOLLOW on files',
    file: 'puller/shell/directories.ts',
    find: 'constants.O_RDONLY | constants.O_NOFOLLOW',
    replace: 'constants.O_RDONLY',
    test: [LINKS, 'E3: a file that has become a link is not read: it counts as not there'],
  },
  {
    id: 'swap-sealed',
    guard: 'Hot never leads to a tree without a seal',
    without: 'the look at the seal before the link moves',
    file: 'puller/shell/trees.ts',
    find: 'if (sealedIn(this.#ground, to) === null) throw',
    replace: 'if (this.#closed) throw',
    test: [
      'test/integration/trees-recovery.test.ts',
      'a hot link that leads nowhere good is told, and swapping to a sealed tree mends it',
    ],
  },
  {
    id: 'root-lock',
    guard: 'One puller owns a root',
    without: 'the answer of the lock',
    file: 'puller/shell/root-lock.ts',
    find: 'if (code !== 0) {',
    replace: 'if (code === null) {',
    test: [
      'test/integration/trees-disk-faults.test.ts',
      'D4: a second puller on one root is turned away by name, and gets it when the first has died',
    ],
  },
  {
    id: 'identity',
    guard: 'A healthy answer of the old build proves nothing about the new one',
    without: 'the build’s identity in verify',
    file: 'puller/shell/probe.ts',
    find: 'if (found.matches) return null',
    replace: 'if (found) return null',
    test: ['test/integration/verify-app.test.ts', 'F21: a healthy answer of the old build does not pass the new one'],
  },
  {
    id: 'twice-healthy',
    guard: 'A first good answer proves nothing',
    without: 'the second good answer',
    file: 'puller/shell/probe.ts',
    find: 'tally.streak >= 2 && ',
    replace: '',
    test: [
      'test/integration/verify-app.test.ts',
      'F20: a first good answer proves nothing, also with healthySeconds 0',
    ],
  },
]
