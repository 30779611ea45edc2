// Owns the proof that the rules of the disk's order can fail: traces of strace, whole and with one call out of its place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changedUnderSeal, renamesTo, sealedTooSoon, unsyncedAfter, unsyncedBefore } from '#test/support/disk-order.ts'
import { callsIn } from '#test/support/strace.ts'

/** Unseal, change, sync, seal, as a puller with a worker thread and a child does it. */
const DEPLOY = [
  '10 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, child_tid=0x1} <unfinished ...>',
  '11 openat(AT_FDCWD</app>, "/r/trees/a", O_RDONLY|O_PATH <unfinished ...>',
  '10 <... clone3 resumed> => {parent_tid=[11]}, 88) = 11',
  '11 <... openat resumed>)             = 7</r/trees/a>',
  '10 unlink("/r/trees/a.seal") = 0',
  '10 fsync(5</r/trees>) = 0',
  '11 openat(AT_FDCWD</app>, "/r/.hotcold/tmp/1", O_WRONLY|O_CREAT|O_EXCL, 0600) = 8</r/.hotcold/tmp/1>',
  '11 write(8</r/.hotcold/tmp/1>, ""..., 3 <unfinished ...>',
  '10 unlink("/r/nothing") = -1 ENOENT (No such file or directory)',
  '11 <... write resumed>) = 3',
  '11 rename("/r/.hotcold/tmp/1", "/proc/self/fd/7/lib/page") = 0',
  '10 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 12',
  '12 openat(AT_FDCWD</app>, "/r/trees/a", O_RDONLY) = 7</r/trees/b>',
  '12 syncfs(7</r/trees/b>) = 0',
  '12 +++ exited with 0 +++',
  '10 write(9</r/trees/.a.seal.tmp>, ""..., 500) = 500',
  '10 fsync(9</r/trees/.a.seal.tmp>) = 0',
  '10 rename("/r/trees/.a.seal.tmp", "/r/trees/a.seal") = 0',
  '10 fsync(5</r/trees>) = 0',
  '10 symlink("trees/a", "/r/.hotcold/.swap.tmp") = 0',
  '11 chmod("/proc/self/fd/7", 0755) = 0',
]

/** The trace with the line that holds `text` taken out, and put behind the line that holds `behind` if that is given. */
function misplaced(text: string, behind?: string): string[] {
  const lines = DEPLOY.filter((line) => !line.includes(text))
  assert.equal(lines.length, DEPLOY.length - 1, text)
  const at = behind === undefined ? -1 : lines.findIndex((line) => line.includes(behind))
  return at < 0 ? lines : lines.toSpliced(at + 1, 0, DEPLOY.find((line) => line.includes(text)) ?? '')
}

const TREE = '/r/trees/a'
const SYNC_NAME = '10 fsync(5</r/trees>) = 0'

function broken(lines: readonly string[]): string[] {
  const calls = callsIn(lines.join('\n'))
  const [seal] = renamesTo(calls, (path) => path === `${TREE}.seal`)
  assert.ok(seal)
  return [
    ...sealedTooSoon(calls, TREE),
    ...changedUnderSeal(calls, TREE, true),
    ...unsyncedBefore(calls, seal),
    ...unsyncedAfter(calls, seal, (path) => !path.startsWith('/r/trees/')),
  ]
}

test('a trace is read with the paths that were meant: descriptors per process, calls of threads woven into each other, failures left out', () => {
  const calls = callsIn(DEPLOY.join('\n'))
  const said = calls.map(
    ({ name, paths, began, ended }) => `${name} ${paths.join(' ')}${ended > began ? ' later' : ''}`,
  )
  assert.ok(said.includes('openat /r/trees/a later'))
  assert.ok(said.includes('write /r/.hotcold/tmp/1 later'))
  assert.ok(said.includes('rename /r/.hotcold/tmp/1 /r/trees/a/lib/page'))
  assert.ok(said.includes('symlink /r/.hotcold/.swap.tmp'))
  assert.ok(said.includes('chmod /r/trees/a'), 'the child’s descriptor 7 is not the thread’s')
  assert.ok(!said.some((text) => text.includes('nothing')))
})

test('a deploy in the right order breaks no rule, and each call out of its place breaks the one that is about it', () => {
  assert.deepEqual(broken(DEPLOY), [])
  const page = 'rename of /r/trees/a/lib/page'
  const cases: readonly (readonly [lines: string[], said: string])[] = [
    [misplaced('syncfs'), `${TREE} was sealed without a syncfs after ${page}`],
    [misplaced('syncfs', 'rename("/r/trees/.a.seal.tmp"'), `${TREE} was sealed without a syncfs after ${page}`],
    [misplaced('syncfs', 'write resumed'), `${TREE} was sealed without a syncfs after ${page}`],
    [misplaced('unlink("/r/trees/a.seal")'), `${page} under the seal`],
    [misplaced('unlink("/r/trees/a.seal")', 'fd/7/lib/page'), `${page} under the seal`],
    [misplaced('fsync(9'), '/r/trees/a.seal got its name before its bytes were synced'],
    [misplaced('fsync(9', '"/r/trees/a.seal") = 0'), '/r/trees/a.seal got its name before its bytes were synced'],
    [misplaced('write(9', 'fsync(9'), '/r/trees/a.seal got its name before its bytes were synced'],
  ]
  for (const [lines, said] of cases) assert.deepEqual(broken(lines), [said])
  const first = DEPLOY.indexOf(SYNC_NAME)
  const last = DEPLOY.lastIndexOf(SYNC_NAME)
  assert.deepEqual(broken(DEPLOY.toSpliced(first, 1)), [`${page} before the removal of the seal was synced`])
  const late = 'the name of /r/trees/a.seal was not synced before'
  assert.deepEqual(broken(DEPLOY.toSpliced(last, 1)), [`${late} /r/.hotcold/.swap.tmp`])
  assert.deepEqual(broken(DEPLOY.slice(0, last)), [`${late} the end`])
  assert.deepEqual(broken([...DEPLOY, '11 unlink("/proc/self/fd/7/lib/page") = 0']), [
    'unlink of /r/trees/a/lib/page under the seal',
  ])
})
