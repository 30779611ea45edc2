// Owns the safeguards of what a node keeps to save work: the record of a tree vouches for what it saw, and for nothing else.
import type { Mutant } from './mutant.ts'

const RECORD = 'test/integration/trees-record.test.ts'
const LOOK = 'puller/shell/look.ts'
const PATCH = 'puller/shell/patch.ts'
const GLANCE = 'puller/shell/glance.ts'
const WAITS = 'test/integration/trees-patch-waits.test.ts'
const WORKER = 'puller/shell/worker.ts'

const CTIME = 'stat.ctimeMs !== record.ctimeMs[row]'
const UNTOUCHED = [
  RECORD,
  'C13: what was added to a directory of cold that the next build does not touch is not in it',
] as const
const SIZE = 'stat.size === size[row] && '
const MTIME = 'stat.mtimeMs === (mtime[row] ?? 0) * 1_000 && '

export const RECORDS: readonly Mutant[] = [
  {
    id: 'record-ctime-file',
    guard: 'A file is kept unread only if it has not changed since it was recorded',
    without: 'the ctime of files in the record',
    file: LOOK,
    find: CTIME,
    replace: `(rows.columns.type[row] === CHARS.d && ${CTIME})`,
    test: [
      RECORD,
      'C12: a kept file that was edited in place in an armed tree is noticed by the next staging, though its size and time are the same',
    ],
  },
  {
    id: 'record-ctime-directory',
    guard: 'A directory that was added to since it was recorded is looked into',
    without: 'the ctime of directories in the record',
    file: LOOK,
    find: CTIME,
    replace: `(rows.columns.type[row] !== CHARS.d && ${CTIME})`,
    test: UNTOUCHED,
  },
  {
    id: 'record-inode',
    guard: 'Another file at the same path is not the one that was recorded',
    without: 'the inode in the record',
    file: LOOK,
    find: 'stat.ino !== record.ino[row] || ',
    replace: '',
    test: [RECORD, 'a file that is as the build has it, but not the one that the record saw, is looked at again'],
  },
  {
    id: 'record-nlink',
    guard: 'A record does not vouch for a file with a second name',
    without: 'the count of links beside the record',
    file: LOOK,
    find: ' && stat.nlink === 1',
    replace: '',
    test: [RECORD, 'a file that the record saw with a second name is looked at again'],
  },
  {
    id: 'record-size',
    guard: 'A record does not vouch for a file of another size than the build’s',
    without: 'the size beside the record',
    file: LOOK,
    find: SIZE,
    replace: '',
    test: [RECORD, 'a file that the record saw with another size is looked at again'],
  },
  {
    id: 'record-mtime',
    guard: 'A record does not vouch for a file of another time than the build’s',
    without: 'the mtime beside the record',
    file: LOOK,
    find: MTIME,
    replace: '',
    test: [RECORD, 'a file that the record saw with another time is looked at again'],
  },
  {
    id: 'record-mode',
    guard: 'A record does not vouch for a file of another mode than the build’s',
    without: 'the mode beside the record',
    file: LOOK,
    find: '(stat.mode & 0o7777) !== mode[row]',
    replace: 'mode === null',
    test: [RECORD, 'a file that the record saw with another mode is looked at again'],
  },
  {
    id: 'record-type',
    guard: 'A record does not vouch for a file where the build has a link',
    without: 'the type beside the record',
    file: LOOK,
    find: '(stat.mode & TYPE_BITS) !== TYPES[code]',
    replace: 'TYPES[code] === TYPE_BITS',
    test: [RECORD, 'a file that the record saw in the place of a link is looked at again'],
  },
  {
    id: 'record-digest',
    guard: 'A record is believed only if it is the one that the seal names',
    without: 'the digest of the record',
    file: 'puller/shell/seal.ts',
    find: " || hash('sha256', bytes) !== seal.record",
    replace: '',
    test: [RECORD, 'C12: a record that is not the one which the seal names vouches for nothing'],
  },
  {
    id: 'patch-look',
    guard: 'A tree is not sealed by what changed alone: all that was kept is looked over',
    without: 'the answer of that look',
    file: GLANCE,
    find: 'if ((await lookOver(workers, tree, columns, record, skip)).length > 0) return null',
    replace: 'await lookOver(workers, tree, columns, record, skip)',
    test: UNTOUCHED,
  },
  {
    id: 'patch-directory',
    guard:
      'Every directory was, until the change, as it was sealed: once one changes, nobody could tell what else was put there',
    without: 'the look at directories',
    file: LOOK,
    find: 'if (skip[row] === 0 && !isUnchanged(tree, rows, record, row)) wrong.push(row)',
    replace:
      'if (skip[row] === 0 && columns.type[row] !== CHARS.d && !isUnchanged(tree, rows, record, row)) wrong.push(row)',
    test: [RECORD, 'C13: what was added to a directory of cold in which the next build changes a file is not in it'],
  },
  {
    id: 'patch-look-again',
    guard: 'What was seen of cold is believed for a few seconds only: it is looked at again before it is changed',
    without: 'the answer of the second look',
    file: PATCH,
    find: 'if ((await lookout.seen()) === null) throw new NotAsSealed()',
    replace: 'await lookout.seen()',
    test: [WAITS, 'C13: what is done to cold while the staging waits for its moment is not in the build'],
  },
  {
    id: 'patch-look-old',
    guard: 'What was seen of cold is believed for a few seconds only: it is looked at again before it is changed',
    without: 'the age of what was seen',
    file: GLANCE,
    find: 'return this.#clock.monotonic() - this.#sinceMs <= FRESH_MS',
    replace: 'return true',
    test: [WAITS, 'C13: what is done to cold while the staging waits for its moment is not in the build'],
  },
  {
    id: 'patch-look-after',
    guard: 'After bytes that were long on their way, all that was kept is looked over once more',
    without: 'the answer of that look',
    file: PATCH,
    find: 'if (drifted.length > 0) throw new NotAsSealed()',
    replace: '',
    test: [WAITS, 'C13: what is done to cold while its bytes are fetched is not in the build'],
  },
  {
    id: 'patch-count-after',
    guard: 'After bytes that were long on their way, a directory that changed holds what the build has and no more',
    without: 'the count of all paths',
    file: PATCH,
    find: 'if (walked !== null && walked.paths.length !== columns.count) throw new NotAsSealed()',
    replace: '',
    test: [WAITS, 'C13: what is put into a directory that changes while its bytes are fetched is not in the build'],
  },
  {
    id: 'patch-idle-again',
    guard: 'After a wait cold is looked through for its users again, just before it is changed',
    without: 'that second look for users',
    file: PATCH,
    find: '    await this.#needIdle()\n',
    replace: '',
    test: [WAITS, 'F17: a process that comes to use cold while the staging waits for its moment stops it'],
  },
  {
    id: 'sweep-root',
    guard: 'A sweep looks at the tree’s own directory too',
    without: 'the look at the root in a sweep',
    file: GLANCE,
    find: 'if (!isRootUnchanged(tree, record)) return null',
    replace: '',
    test: [RECORD, 'C13: what was added to the root of cold is not there any more after a sweep'],
  },
  {
    id: 'diff-digest',
    guard: 'The kept difference of the two trees is believed only whole',
    without: 'the digest of the difference',
    file: 'puller/shell/diffs.ts',
    find: " || hash('sha256', body) !== text.slice(0, cut)",
    replace: '',
    test: [RECORD, 'C12: a kept difference of the two trees that rotted is not gone by'],
  },
  {
    id: 'columns-app',
    guard: 'A build of another app is staged nowhere, however its manifest is read',
    without: 'the app of a manifest that is read into columns',
    file: WORKER,
    find: ' && read.head.app === expected.app',
    replace: '',
    test: ['test/integration/trees-recovery.test.ts', 'a build of another app is refused'],
  },
  {
    id: 'columns-build',
    guard: 'A manifest of another build is staged nowhere, however it is read',
    without: 'the build of a manifest that is read into columns',
    file: WORKER,
    find: ' && read.head.build === expected.build',
    replace: '',
    test: [RECORD, 'an order that names the manifest of another build is refused by a tree that is empty'],
  },
  {
    id: 'rows-content',
    guard: 'No file counts in a tree that is being filled before its bytes are those of the build',
    without: 'the comparison of digests',
    file: 'puller/shell/row-writer.ts',
    find: " || hash('sha256', content) !== this.#rows.content(row)",
    replace: '',
    test: [
      'test/integration/trees-stage.test.ts',
      'what an application changed in hot is not copied into cold: it comes from the store',
    ],
  },
  {
    id: 'rows-content-large',
    guard: 'No large file counts there before its bytes, part by part, came to those of the build',
    without: 'the comparison of digests at its end',
    file: 'puller/shell/row-writer.ts',
    find: "if (file.sum.digest('hex') !== this.#rows.content(file.row)) {",
    replace: "if (file.sum.digest('hex') === '') {",
    test: [
      RECORD,
      'what an application changed in a large file of hot is not copied into an empty tree: it comes from the store',
    ],
  },
]
