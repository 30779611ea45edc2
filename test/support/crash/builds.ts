// Owns the builds of the crash proofs: three of them, small but with everything a tree can hold, in a store with deltas and one without.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, cpSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileStore } from '#adapters/file/store.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { publishBuild } from '#conductor/shell/publish.ts'
import { readManifest } from '#conductor/shell/read-manifest.ts'
import type { BuildId } from '#fleet/build.ts'
import { treeLines } from '../source-tree.ts'
import { putFiles, type TestFiles } from '../tree-node.ts'
import { APP } from '../tree-options.ts'
import { linesOf, type Published } from './check.ts'
import type { Workshop } from './image.ts'

export interface Builds {
  readonly zero: Published
  readonly one: Published
  readonly two: Published
  readonly all: readonly Published[]
  readonly stores: Readonly<Record<'deltas' | 'ranges', string>>
}

const BIG = randomBytes(1_300_000)

/** Rewritten, added, removed; a large file changed in one place; a file that becomes a directory, a link that becomes a file, modes. */
const TREES: Readonly<Record<'b0' | 'b1' | 'b2', TestFiles>> = {
  b0: { 'a/one': 'one', 'a/two': 'two', 'b/three': 'three', unique: 'zero', page: 'zero', big: BIG },
  b1: { 'a/one': 'ONE', 'a/two': 'two', 'b/three': 'three', page: 'one', big: BIG, empty: '' },
  b2: {
    'a/one': 'ONE',
    'a/two': 'three',
    'c/new': 'new',
    'c/d/newer': 'newer',
    page: 'two',
    unique: 'zero',
    'b/three/now-a-directory': 'x',
    big: Buffer.concat([BIG.subarray(0, 1_200_000), Buffer.from('changed'), BIG.subarray(1_200_007)]),
  },
}

export async function publishBuilds(workshop: Workshop): Promise<Builds> {
  const deltas = await workshop.directory('store')
  const store = fileStore(deltas)
  const ports = { store, catalog: memoryCatalog(memoryRecords(), { app: APP }), clock: systemClock }
  const signal = new AbortController().signal
  const all: Published[] = []
  for (const [build, files] of Object.entries(TREES)) {
    const dir = await workshop.directory(build)
    putFiles(dir, files)
    symlinkSync(build === 'b2' ? 'c/new' : 'a/one', join(dir, 'current'))
    chmodSync(join(dir, 'a'), build === 'b1' ? 0o750 : 0o755)
    const request = { app: APP, dir, build: build as BuildId, by: 'test', running: all }
    const { manifest } = await publishBuild(ports, request, () => undefined, signal)
    const read = await readManifest(store, { app: APP, build: build as BuildId, digest: manifest }, signal)
    if (read === null) throw new Error(`${build} is not in the store`)
    const lines = linesOf(read.manifest)
    // What was published is what lay there: the manifest is not taken at its word.
    assert.deepEqual(
      lines.map((line) => line.replace(/^(f \d+ \w+) \d+ /, '$1 ')),
      treeLines(dir),
    )
    all.push({ build: build as BuildId, manifest, lines })
  }
  const ranges = await workshop.directory('store')
  cpSync(deltas, ranges, { recursive: true })
  for (const { build } of all) rmSync(join(ranges, build, 'from'), { recursive: true, force: true })
  const [zero, one, two] = all as [Published, Published, Published]
  return { zero, one, two, all, stores: { deltas, ranges } }
}
