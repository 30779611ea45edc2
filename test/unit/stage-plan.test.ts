// Owns the proof of the staging plan: whatever lies in a tree, carrying the plan out gives the build, and nothing is done twice or for nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry, EntryType } from '#fleet/manifest.ts'
import {
  isNothing,
  type Present,
  pathsOf,
  peakOf,
  type StagePlan,
  stagePlan,
  type TreeView,
} from '#fleet/stage-plan.ts'
import { fc } from '#test/support/properties.ts'

const file = (path: string, content: string, more: Partial<Entry> = {}): Entry => ({
  ...{ type: 'f', mode: 0o644, size: content.length, mtime: 1, content, frame: 0, offset: 0, path },
  ...more,
})
const directory = (path: string, mode = 0o755): Entry => ({
  ...{ type: 'd', mode, size: 0, mtime: 1, content: '', frame: 0, offset: 0, path },
})
const link = (path: string, target: string): Entry => ({ ...file(path, target), type: 'l', mode: 0, size: 0 })

/** What lies there when an entry has been staged. */
const present = (entry: Entry, more: Partial<Present> = {}): Present => ({
  ...{ type: entry.type, mode: entry.mode, size: entry.size, mtimeMs: entry.mtime * 1_000, nlink: 1 },
  ...{ content: entry.type === 'd' ? null : entry.content, owned: true },
  ...more,
})
const viewOf = (entries: readonly Entry[]): TreeView => new Map(entries.map((entry) => [entry.path, present(entry)]))
const NO_HOT = new Map<string, string>()

test('a tree that is the build already needs nothing', () => {
  const entries = [directory('a'), file('a/x', 'xx'), link('l', 'a')]
  const plan = stagePlan(entries, viewOf(entries), NO_HOT)
  assert.equal(isNothing(plan), true)
  assert.equal(plan.keptBytes, 2)
})

test('content that lies on this node is copied wherever it lies, and only the rest is fetched', () => {
  const cold = viewOf([file('moved', 'mmm')])
  const entries = [file('fresh', 'ff'), file('now-here', 'mmm'), file('of-hot', 'hhhh')]
  const plan = stagePlan(entries, cold, new Map([['hhhh', 'there']]))
  assert.deepEqual(plan.copy, [
    { entry: 1, from: { tree: 'cold', path: 'moved' } },
    { entry: 2, from: { tree: 'hot', path: 'there' } },
  ])
  assert.deepEqual([plan.fetch, plan.remove], [[0], [{ path: 'moved', directory: false }]])
  assert.deepEqual([plan.copiedBytes, plan.fetchedBytes], [7, 2])
})

test('a kept file with another mode, time or owner is dressed, not written; one with a second name is written anew', () => {
  const entries = [file('linked', 'l'), file('mode', 'm'), file('owner', 'o'), file('time', 't')]
  const cold = new Map([
    ['linked', present(file('linked', 'l'), { nlink: 2 })],
    ['mode', present(file('mode', 'm'), { mode: 0o600 })],
    ['owner', present(file('owner', 'o'), { owned: false })],
    ['time', present(file('time', 't'), { mtimeMs: 1_000.5 })],
  ])
  const plan = stagePlan(entries, cold, NO_HOT)
  assert.deepEqual(plan.set, [1, 2, 3])
  assert.deepEqual(plan.copy, [{ entry: 0, from: { tree: 'cold', path: 'linked' } }])
})

test('content of another length than the manifest says is not kept, whatever its digest: a manifest may lie about one of the two', () => {
  const cold = viewOf([file('x', 'xx')])
  for (const size of [0, 1, 3]) {
    const plan = stagePlan([file('x', 'xx', { size })], cold, NO_HOT)
    assert.deepEqual([plan.set, plan.copy.length + plan.fetch.length], [[], 1], `${size} bytes`)
  }
})

test('what nobody vouches for is written anew, and what cannot be deployed is removed', () => {
  const cold = new Map([
    ['doubt', present(file('doubt', 'd'), { content: null })],
    ['socket', { ...present(file('socket', '')), type: '?' as const }],
  ])
  const plan = stagePlan([file('doubt', 'd')], cold, NO_HOT)
  assert.deepEqual([plan.fetch, plan.remove], [[0], [{ path: 'socket', directory: false }]])
  assert.deepEqual(pathsOf(plan, [file('doubt', 'd')]), ['doubt', 'socket'])
})

test('a closed directory that anything changes below is opened up and gets its mode back', () => {
  const entries = [directory('shut', 0o555), file('shut/x', 'new')]
  const plan = stagePlan(entries, viewOf([directory('shut', 0o555), file('shut/x', 'old')]), NO_HOT)
  assert.deepEqual([plan.lift, plan.directories], [['shut'], [0]])
})

test('room is asked for what is needed at the worst moment, not for the whole build', () => {
  const old = [file('a', 'A', { size: 10_000 }), file('gone', 'G', { size: 8_000 })]
  const entries = [file('a', 'B', { size: 12_000 })]
  const cold = viewOf(old)
  const plan = stagePlan(entries, cold, NO_HOT)
  assert.deepEqual(peakOf(plan, entries, cold, false), { bytes: 12_288 - 8_192, inodes: 0 })
  assert.deepEqual(peakOf(plan, entries, cold, true), { bytes: 12_288, inodes: 1 })
})

const names = ['a', 'b', 'a/x', 'a/y', 'b/x', 'a/x/deep', 'b/x/deep']

/** A small random tree in which every parent of a path is a directory, sorted as manifests are. */
const trees = fc
  .dictionary(
    fc.constantFrom(...names),
    fc.tuple(fc.constantFrom<EntryType>('d', 'f', 'l'), fc.constantFrom('p', 'q', 'rr')),
  )
  .map((picked) => {
    const entries = new Map<string, Entry>()
    for (const [path, [type, content]] of Object.entries(picked).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const parents = path
        .split('/')
        .slice(0, -1)
        .map((_, at, parts) => parts.slice(0, at + 1).join('/'))
      for (const parent of parents) entries.set(parent, directory(parent))
      if (!entries.has(path))
        entries.set(path, type === 'd' ? directory(path) : type === 'f' ? file(path, content) : link(path, content))
    }
    return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  })

/** Carries a plan out on a model of a disk that is as strict as a real one. */
function carryOut(
  plan: StagePlan,
  entries: readonly Entry[],
  cold: TreeView,
  hot: ReadonlyMap<string, string>,
): Map<string, string> {
  const disk = new Map(
    [...cold].map(([path, there]) => [path, there.type === 'd' ? 'd' : `${there.type}:${there.content}`]),
  )
  const aside = new Map<number, string>()
  for (const { entry, from } of plan.copy) {
    const content =
      from.tree === 'cold' ? disk.get(from.path)?.slice(2) : [...hot].find(([, path]) => path === from.path)?.[0]
    assert.equal(content, entries[entry]?.content, 'a source has what is wanted')
    aside.set(entry, content ?? '')
  }
  for (const { path, directory } of plan.remove) {
    assert.equal(disk.get(path)?.startsWith('d') ?? false, directory)
    assert.ok(![...disk.keys()].some((other) => other.startsWith(`${path}/`)), `${path} is empty when it is removed`)
    disk.delete(path)
  }
  const put = (path: string, what: string) => {
    const parent = path.split('/').slice(0, -1).join('/')
    assert.ok(parent === '' || disk.get(parent) === 'd', `${path} has a directory to be in`)
    assert.notEqual(disk.get(path), 'd', `${path} is in nobody's way`)
    disk.set(path, what)
  }
  const at = (index: number) => entries[index] ?? assert.fail('an entry of the manifest')
  for (const index of plan.mkdir) put(at(index).path, 'd')
  for (const index of [...aside.keys(), ...plan.fetch]) put(at(index).path, `f:${at(index).content}`)
  for (const index of plan.links) put(at(index).path, `l:${at(index).content}`)
  return disk
}

test('from any tree, the plan gives the build, and planning again finds nothing to do', () => {
  const run = fc.property(trees, trees, trees, (before, wanted, running) => {
    const hot = new Map(running.flatMap((entry) => (entry.type === 'f' ? [[entry.content, entry.path] as const] : [])))
    const cold = viewOf(before)
    const plan = stagePlan(wanted, cold, hot)
    const disk = carryOut(plan, wanted, cold, hot)
    const expected = wanted.map((entry) => [entry.path, entry.type === 'd' ? 'd' : `${entry.type}:${entry.content}`])
    assert.deepEqual([...disk].sort(), expected.sort())
    assert.equal(isNothing(stagePlan(wanted, viewOf(wanted), hot)), true)
  })
  fc.assert(run, { numRuns: 500 })
})
