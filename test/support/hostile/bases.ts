// Owns the honest builds that lies are told about: random small trees from a seed, published for real.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { decodeManifest, type Manifest, objectsOf } from '#fleet/manifest.ts'
import { seeded } from '#test/support/source-tree.ts'
import { tmp } from '#test/support/tmp.ts'
import { type TestBuild, type TestStore, testStore } from '#test/support/tree-node.ts'

/** A build as it lies in the store. */
export interface Base extends TestBuild {
  readonly bytes: Buffer
  readonly read: Manifest
  readonly artifact: Buffer
  /** From the build that is hot; null when none was worth writing. */
  readonly delta: Buffer | null
}

type Node = { readonly file: Buffer; readonly mode: number } | { readonly link: string } | { readonly mode: number }

function noise(random: () => number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4) buffer.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
  return buffer
}

/** What runs: some of everything, with a file of more than one piece. */
function hotTree(): Map<string, Node> {
  const random = seeded(1)
  const tree = new Map<string, Node>()
  for (const path of ['app/index.php', 'app/lib/a.js', 'app/lib/b.js', 'bin/run', 'conf/site.ini', 'public/logo.svg']) {
    tree.set(path, {
      file: noise(random, 40 + Math.floor(random() * 900)),
      mode: path.startsWith('bin') ? 0o755 : 0o644,
    })
  }
  tree.set('assets/large.bin', { file: noise(random, 1_300_000), mode: 0o644 })
  tree.set('assets/middle.bin', { file: noise(random, 200_000), mode: 0o644 })
  tree.set('app/empty', { file: Buffer.alloc(0), mode: 0o644 })
  tree.set('bin/go', { link: 'run' })
  tree.set('app/assets', { link: '../assets' })
  tree.set('var/spool', { mode: 0o700 })
  return tree
}

const NAMES = ['x', 'index.html', 'ünï.txt', '日本', 'a b', '-', 'q.tar', "it's", 'x.y.z', '%2e%2e', 'lib', 'new']

/** The tree of a seed: the one that runs, with a few things changed, added, removed or made something else. */
export function treeOf(seed: number): Map<string, Node> {
  const tree = hotTree()
  const random = seeded(seed + 2)
  const pick = <item>(list: readonly item[]): item => list[Math.floor(random() * list.length)] as item
  const changes = 2 + Math.floor(random() * 6)
  for (let change = 0; change < changes; change += 1) {
    const path = pick([...tree.keys()].filter((at) => !at.startsWith('assets')))
    const fresh = `${pick(['app', 'new', 'public/deep/er', 'conf'])}/${pick(NAMES)}`
    const file = { file: noise(random, Math.floor(random() * 3_000)), mode: pick([0o644, 0o755, 0o600, 0o444]) }
    const kind = Math.floor(random() * 7)
    if (kind < 2) tree.set(path, file)
    else if (kind === 2) tree.delete(path)
    else if (kind === 3) tree.set(fresh, { link: pick(['../bin/run', '.', 'nowhere', '../app/lib']) })
    else tree.set(fresh, file)
  }
  // New, and of two pieces: a delta brings it in two frames.
  if (random() < 0.4) tree.set('new/big.bin', { file: noise(random, 1_100_000), mode: 0o644 })
  const large = tree.get('assets/large.bin')
  if (large !== undefined && 'file' in large && random() < 0.7)
    noise(random, 64).copy(large.file, Math.floor(random() * 1_200_000))
  return tree
}

/** Writes a tree; a path whose parent is a file gives way to it. */
export function putTree(dir: string, tree: ReadonlyMap<string, Node>): void {
  for (const [path, node] of tree) {
    const at = join(dir, path)
    try {
      mkdirSync(dirname(at), { recursive: true })
      if ('file' in node) writeFileSync(at, node.file)
      else if ('link' in node) symlinkSync(node.link, at)
      else mkdirSync(at, { recursive: true })
      if ('mode' in node) chmodSync(at, node.mode)
    } catch (error) {
      if (!['EEXIST', 'ENOTDIR', 'EISDIR', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

export interface Bases {
  readonly shop: TestStore
  readonly hot: Base
  readonly cold: Base
  /** The build of a seed, published when it is first asked for. */
  of(seed: number): Promise<Base>
}

export async function openBases(t: TestContext): Promise<Bases> {
  const shop = await testStore(t)
  const known = new Map<number, Promise<Base>>()
  const source = await tmp(t, 'source')
  const publish = async (
    build: string,
    tree: ReadonlyMap<string, Node>,
    running: readonly TestBuild[],
  ): Promise<Base> => {
    const dir = join(source, build)
    mkdirSync(dir)
    putTree(dir, tree)
    const published = await shop.publish(build, dir, running)
    rmSync(dir, { recursive: true })
    const object = (name: string) => readFileSync(join(shop.directory, name))
    const bytes = zstdDecompressSync(object(objectsOf.manifest(build)))
    const from = running[0]
    const delta = from === undefined ? null : optional(() => object(objectsOf.delta(build, from.build)))
    return { ...published, bytes, read: decodeManifest(bytes), artifact: object(objectsOf.artifact(build)), delta }
  }
  const hot = await publish('hot', hotTree(), [])
  const cold = await publish('cold', treeOf(1_000_000), [])
  const of = (seed: number): Promise<Base> => {
    const base = known.get(seed) ?? publish(`h${seed}`, treeOf(seed), [hot])
    known.set(seed, base)
    return base
  }
  return { shop, hot, cold, of }
}

function optional(read: () => Buffer): Buffer | null {
  try {
    return read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
