// Owns a node's trees for tests: a root on a real disk, a store beside it, builds published from real directories.
import assert from 'node:assert/strict'
import { mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileStore } from '#adapters/file/store.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { publishBuild } from '#conductor/shell/publish.ts'
import type { BuildId, Digest } from '#fleet/build.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import type { BuildStore, Catalog, Clock, Logger } from '#fleet/ports.ts'
import type { StageMode, StageResult, TreeName } from '#puller/core/trees.ts'
import { openTrees, type Trees, type TreesOptions } from '#puller/shell/trees.ts'
import { recordedLog } from './recorded-log.ts'
import { treeLines } from './source-tree.ts'
import { tmp } from './tmp.ts'
import { APP, QUICK } from './tree-options.ts'

/** A published build and what it was made from. */
export interface TestBuild {
  readonly build: BuildId
  readonly manifest: Digest
  /** See `treeLines`. */
  readonly lines: readonly string[]
  readonly rawBytes: number
}

/** Files by path; null makes an empty directory. */
export type TestFiles = Readonly<Record<string, string | Buffer | null>>

export interface TestStore {
  readonly store: BuildStore
  /** Where the objects lie as files. */
  readonly directory: string
  readonly catalog: Catalog
  /** Publishes a directory; deltas are written from `running`. */
  publish(build: string, dir: string, running?: readonly TestBuild[]): Promise<TestBuild>
  /** Publishes files that are made for it. */
  publishFiles(build: string, files: TestFiles, running?: readonly TestBuild[]): Promise<TestBuild>
}

export async function testStore(t: TestContext): Promise<TestStore> {
  const directory = await tmp(t, 'store')
  const store = fileStore(directory)
  const catalog = memoryCatalog(memoryRecords(), { app: APP })
  const publish: TestStore['publish'] = async (build, dir, running = []) => {
    const request = { app: APP, dir, build: build as BuildId, by: 'test', running }
    const ports = { store, catalog, clock: systemClock }
    const result = await publishBuild(ports, request, () => undefined, new AbortController().signal)
    return { ...result, lines: treeLines(dir) }
  }
  const publishFiles: TestStore['publishFiles'] = async (build, files, running) => {
    const dir = await tmp(t, 'source')
    putFiles(dir, files)
    return await publish(build, dir, running)
  }
  return { store, directory, catalog, publish, publishFiles }
}

export function putFiles(dir: string, files: TestFiles): void {
  for (const [path, content] of Object.entries(files)) {
    const at = join(dir, path)
    if (content === null) mkdirSync(at, { recursive: true })
    else {
      mkdirSync(dirname(at), { recursive: true })
      rmSync(at, { recursive: true, force: true })
      writeFileSync(at, content)
    }
  }
}

export interface NodeOptions {
  readonly root?: string
  readonly store: BuildStore
  readonly clock?: Clock
  readonly log?: Logger
  readonly options?: Partial<TreesOptions>
}

/** Trees of a node, and shorter ways to work them. */
export interface TestNode {
  readonly root: string
  readonly trees: Trees
  /** What `hot` shows; see `treeLines`. */
  hotLines(): string[]
  linesOf(tree: TreeName): string[]
  stage(build: TestBuild, mode?: StageMode): Promise<StageResult>
  /** Stages, then swaps. */
  deploy(build: TestBuild): Promise<StageResult>
  /** Closes and opens again, as a restart of the puller does. */
  reopen(clean?: boolean): Promise<TestNode>
}

export async function testNode(t: TestContext, node: NodeOptions): Promise<TestNode> {
  const root = node.root ?? (await tmp(t, 'root'))
  const world = {
    store: node.store,
    clock: node.clock ?? systemClock,
    log: node.log ?? recordedLog().log,
    node: 'node-1',
  }
  const trees = await openTrees({ root, app: APP, ...QUICK, ...node.options }, world)
  t.after(() => trees.close(true))
  const stage: TestNode['stage'] = ({ build, manifest }, mode = 'stage') =>
    trees.stage({ build, manifest, mode }, { signal: new AbortController().signal, onProgress: () => undefined })
  return {
    root,
    trees,
    hotLines: () => treeLines(join(root, 'hot')),
    linesOf: (tree) => treeLines(join(root, 'trees', tree)),
    stage,
    deploy: async (build) => {
      const result = await stage(build)
      await trees.swap((await trees.survey()).coldTree)
      return result
    },
    reopen: async (clean = true) => {
      await trees.close(clean)
      return await testNode(t, { ...node, root })
    },
  }
}

/** Runs what must fail, and proves that it failed for this reason and that hot is where and what it was. @returns the error's message */
export async function failsWithHotUnchanged(
  node: TestNode,
  code: ErrorCode,
  action: () => Promise<unknown>,
): Promise<string> {
  const link = readlinkSync(join(node.root, 'hot'))
  const before = node.hotLines()
  const outcome = await action().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  assert.deepEqual([readlinkSync(join(node.root, 'hot')), node.hotLines()], [link, before], 'hot is as it was')
  if (!('error' in outcome)) assert.fail(`expected ${code}, got ${JSON.stringify(outcome.value)}`)
  if (!(outcome.error instanceof FleetError)) throw outcome.error
  assert.equal(outcome.error.code, code, outcome.error.message)
  return outcome.error.message
}
