// Owns a node with two builds of one source, for tests of what the next build does to its cold tree.
import assert from 'node:assert/strict'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BuildStore } from '#fleet/ports.ts'
import { seeded } from './source-tree.ts'
import { tmp } from './tmp.ts'
import { putFiles, type TestBuild, type TestNode, type TestStore, testNode, testStore } from './tree-node.ts'

/** Enough that stays the same in every build for a change to be a small part of it. */
export const SOURCE = {
  ...Object.fromEntries(
    Array.from({ length: 40 }, (_, at) => [`kept/dir-${at % 4}/file-${at}`, `kept ${at}\n`.repeat(100)]),
  ),
  ...{ 'touched/page': 'page one', 'touched/same': 'the same', 'lone/file': 'lone', top: 'top' },
}

/** Forwards to a store, and keeps the names of what was read, and of what object which bytes. */
export function counted(store: BuildStore): {
  readonly store: BuildStore
  readonly read: string[]
  readonly ranges: { readonly name: string; readonly start: number; readonly end: number }[]
} {
  const read: string[] = []
  const ranges: { name: string; start: number; end: number }[] = []
  const counting: BuildStore = {
    find: (name, signal) => store.find(name, signal),
    read: (name, options, signal) => {
      read.push(name)
      ranges.push({ name, ...(options.range ?? { start: 0, end: Number.POSITIVE_INFINITY }) })
      return store.read(name, options, signal)
    },
    create: (name, body, signal) => store.create(name, body, signal),
    list: (prefix, signal) => store.list(prefix, signal),
    remove: (name, signal) => store.remove(name, signal),
  }
  return { store: counting, read, ranges }
}

export interface Scene {
  readonly shop: TestStore
  /** The source; what is published is what lies there. */
  readonly dir: string
  readonly node: TestNode
  /** Names of what the node read from the store. */
  readonly read: string[]
  readonly builds: TestBuild[]
  /** Publishes the source, with deltas from the last two builds unless it is told others. */
  publish(running?: readonly TestBuild[]): Promise<TestBuild>
  /** The build that was published last, and the one so many before it. */
  last(before?: number): TestBuild
  /** The directory of the cold tree. */
  cold(): Promise<string>
  swap(): Promise<void>
}

/** Build two runs in hot, and one lies in cold, armed. @param edit what two has besides another page @param world of the node, around the store */
export async function scene(
  t: TestContext,
  edit: (dir: string) => void = () => undefined,
  world: (store: BuildStore) => Parameters<typeof testNode>[1] = (store) => ({ store }),
): Promise<Scene> {
  const shop = await testStore(t)
  const dir = await tmp(t, 'source')
  putFiles(dir, SOURCE)
  const builds: TestBuild[] = []
  const { store, read } = counted(shop.store)
  const node = await testNode(t, world(store))
  const coldTree = async () => (await node.trees.survey()).coldTree
  const last = (before = 0) => builds.at(-1 - before) ?? assert.fail('there are not so many builds')
  const publish = async (running: readonly TestBuild[] = builds.slice(-2)) => {
    builds.push(await shop.publish(`b${builds.length + 1}`, dir, running))
    return last()
  }
  await node.deploy(await publish())
  edit(dir)
  putFiles(dir, { 'touched/page': 'page two' })
  await node.deploy(await publish())
  const swept = await node.stage(last(1), 'sweep')
  assert.deepEqual([swept.armed, swept.drift], [true, []])
  read.splice(0)
  const cold = async () => join(node.root, 'trees', await coldTree())
  return { shop, dir, node, read, builds, publish, last, cold, swap: async () => node.trees.swap(await coldTree()) }
}

/** Stages, and proves the tree by an independent reader and by `verify`, and its record by a sweep that has nothing to do. */
export async function becomes(node: TestNode, build: TestBuild, how?: string): Promise<void> {
  const tree = (await node.trees.survey()).coldTree
  const result = await node.stage(build)
  assert.deepEqual(node.linesOf(tree), build.lines)
  if (how !== undefined) assert.equal(result.how, how)
  const { missing, changed, extra } = await node.trees.verify(tree, new AbortController().signal)
  assert.deepEqual([missing, changed, extra], [[], [], []])
  const swept = await node.stage(build, 'sweep')
  assert.deepEqual([swept.fetchedBytes, swept.writtenFiles, swept.drift, swept.armed], [0, 0, [], true])
}

/** Changes a file and puts its time back. */
export function keepingTime(path: string, change: (path: string) => void): void {
  const { atime, mtime } = statSync(path)
  change(path)
  utimesSync(path, atime, mtime)
}

/** Other content of the same length, in place and at the same time. */
export function spoil(path: string): void {
  keepingTime(path, (at) => writeFileSync(at, readFileSync(at).fill('X')))
}

/** Bytes that do not compress; the same for the same seed. */
export function noise(bytes: number, seed: number): Buffer {
  const random = seeded(seed)
  const buffer = Buffer.alloc(Math.ceil(bytes / 4) * 4)
  for (let at = 0; at < buffer.byteLength; at += 4) buffer.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
  return buffer.subarray(0, bytes)
}

/** Turns over a byte in the rear part of a file. */
export function flip(path: string): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.byteLength * 0.8)
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
}
