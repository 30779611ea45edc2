// Owns the proof that bombs take no more memory than a node has: each is staged in a process of its own with a small heap.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import type { Digest } from '#fleet/build.ts'
import { encodeMarker } from '#fleet/delta.ts'
import { digestOf, objectsOf } from '#fleet/manifest.ts'
import { PROJECT } from '#test/support/source.ts'
import { tmp } from '#test/support/tmp.ts'
import { type TestBuild, testNode, testStore } from '#test/support/tree-node.ts'

const MIB = 2 ** 20
/** What a bomb may take at its peak beyond a process that has only started. */
const MOST_MIB = 400

interface Told {
  readonly outcome: string
  readonly startMiB: number
  readonly peakMiB: number
}

/** A root that runs `hot`, and a store that tests may write into. */
async function ground(t: TestContext) {
  const dir = await tmp(t, 'bomb')
  const shop = await testStore(t)
  const hot = await shop.publishFiles('hot', { a: 'x'.repeat(1_000), b: 'y' })
  const next = await shop.publishFiles('next', { a: 'x'.repeat(1_000), b: 'z' })
  mkdirSync(join(dir, 'root'))
  const node = await testNode(t, { root: join(dir, 'root'), store: shop.store })
  await node.deploy(hot)
  await node.trees.close(true)
  cpSync(shop.directory, join(dir, 'store'), { recursive: true })
  const put = (name: string, bytes: Uint8Array) => {
    mkdirSync(dirname(join(dir, 'store', name)), { recursive: true })
    writeFileSync(join(dir, 'store', name), bytes)
  }
  const stage = async (build: string, manifest: string): Promise<Told> => {
    const main = join(PROJECT, 'test/support/hostile/bomb-main.ts')
    const args = ['--max-old-space-size=384', main, dir, build, manifest]
    const told = JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Told
    t.diagnostic(`${told.outcome}: ${told.startMiB} MiB at start, ${told.peakMiB} MiB at the peak`)
    assert.ok(told.peakMiB - told.startMiB < MOST_MIB, `${told.peakMiB} MiB at the peak`)
    return told
  }
  return { hot, next, put, stage }
}

test('E11: a manifest that nobody ordered and that grows to 400 MiB is refused without being held', async (t: TestContext) => {
  const { put, stage } = await ground(t)
  put(objectsOf.manifest('bomb'), zstdCompressSync(Buffer.alloc(400 * MIB, '[],')))
  assert.equal((await stage('bomb', `sha256:${'0'.repeat(64)}`)).outcome, 'DIGEST_MISMATCH')
})

test('E11: a manifest that was ordered and holds 30 million lists is refused before they are made', async (t: TestContext) => {
  const { put, stage } = await ground(t)
  const bomb = Buffer.from(`{"v":1,"entries":[${'[],'.repeat(30_000_000)}[]]}`)
  put(objectsOf.manifest('bomb'), zstdCompressSync(bomb))
  assert.equal((await stage('bomb', digestOf(bomb))).outcome, 'LIMITS_EXCEEDED')
})

function deltaOf(hot: TestBuild, next: { build: string; manifest: Digest }, lists: number): Buffer {
  const names = { v: 1, from: hot.build, fromManifest: hot.manifest, build: next.build, manifest: next.manifest }
  const rest = { manifestBytes: 5, preamble: '', frameSplice: [], entrySplice: [], frames: [] }
  const head = Buffer.from(JSON.stringify({ ...names, ...rest }).replace(/\]\}$/, `${'[],'.repeat(lists)}[]]}`))
  const packed = zstdCompressSync(head)
  return Buffer.concat([encodeMarker(packed.byteLength, head.byteLength), packed])
}

test('E11: the head of a delta that holds millions of lists costs the delta and not the build', async (t: TestContext) => {
  const { hot, next, put, stage } = await ground(t)
  put(objectsOf.delta('next', 'hot'), deltaOf(hot, next, 10_000_000))
  assert.equal((await stage('next', next.manifest)).outcome, 'accepted')
})

test('E11: the head of a delta that is longer than any costs the delta and not the build', async (t: TestContext) => {
  const { hot, next, put, stage } = await ground(t)
  put(objectsOf.delta('next', 'hot'), deltaOf(hot, next, 40_000_000))
  assert.equal((await stage('next', next.manifest)).outcome, 'accepted')
})
